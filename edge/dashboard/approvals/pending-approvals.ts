import type { z } from "zod";
import type { approvalView } from "../../api/response-schemas.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import type { Reader } from "../../control/table-query.ts";

/** Of the requests of the last hour this many are read. */
export const REQUESTS_MAX = 1000;
const PAGE_ITEMS = 100;

/** `complete`: false where more were asked for in the hour than are read, and older ones may wait too. */
export type Waiting = { waiting: ApprovalView[]; complete: boolean };

/**
 * Isolations that wait for a second person, newest first. However many newer requests were answered meanwhile: a
 * request lives an hour, so it is read on until a whole page is past its time.
 */
export async function listWaiting(reader: Reader, tenantId: string): Promise<Waiting> {
  const now = reader.clock();
  const waiting: ApprovalView[] = [];
  let from: string | undefined;
  for (let read = 0; read < REQUESTS_MAX; read += PAGE_ITEMS) {
    const page = await listApprovals(reader, tenantId, {
      limit: PAGE_ITEMS,
      ...(from !== undefined && { from }),
    });
    waiting.push(...page.items.filter((request) => isWaiting(request, now)));
    from = page.cursor;
    const isLiving = page.items.some(({ validUntil }) => now < Date.parse(validUntil));
    if (from === undefined || !isLiving) return { waiting, complete: true };
  }
  return { waiting, complete: false };
}

export type ApprovalView = z.infer<typeof approvalView>;

/** Nobody has answered it, and there still is time to. */
export const isWaiting = (request: ApprovalView, now: number): boolean =>
  isUnanswered(request) && now < Date.parse(request.validUntil);

export const isUnanswered = ({ approvedAt, deniedAt }: ApprovalView): boolean =>
  approvedAt === undefined && deniedAt === undefined;
