import type { z } from "zod";
import type { approvalView } from "../../api/response-schemas.ts";
import { listApprovals } from "../../control/containment/list-approvals.ts";
import type { Reader } from "../../control/table-query.ts";

/** Maximum number of requests, newest first, that are read to find the waiting ones. */
export const REQUESTS_MAX = 1000;
const PAGE_ITEMS = 100;

/** `complete`: false if older waiting requests may exist that were not read (see {@link REQUESTS_MAX}). */
export type Waiting = { waiting: ApprovalView[]; complete: boolean };

/**
 * Finds isolations that wait for a second person, newest first. A request is valid for one hour, so the search ends
 * at the first page on which all requests have expired.
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
    const hasValid = page.items.some(({ validUntil }) => now < Date.parse(validUntil));
    if (from === undefined || !hasValid) return { waiting, complete: true };
  }
  return { waiting, complete: false };
}

export type ApprovalView = z.infer<typeof approvalView>;

/** True if a request is unanswered and has not expired. */
export const isWaiting = (request: ApprovalView, now: number): boolean =>
  isUnanswered(request) && now < Date.parse(request.validUntil);

export const isUnanswered = ({ approvedAt, deniedAt }: ApprovalView): boolean =>
  approvedAt === undefined && deniedAt === undefined;
