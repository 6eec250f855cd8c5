import { ulid } from "ulid";
import { marshalItem, values } from "../../../shared/table/dynamo.ts";
import type { ApprovalItem } from "../../../shared/table/items/approval.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { isolationCountItem } from "../../../shared/table/items/isolation-count.ts";
import { approvalKey, isolationCountKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Mode, StopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import type { AssetChange, Decision } from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import { readSettings, settingsStill } from "../tenant/update-tenant.ts";

/** How long a second person has to approve. */
export const APPROVAL_MS = 3600_000;
const DAY_SECONDS = 24 * 3600;

export type Asked = {
  admin: Admin;
  mode: Mode;
  /** How engines will be stopped, as everybody who decided was told. */
  stopEnginesBy?: StopEnginesBy;
  justification: string;
  /** Past cap and second person, by an administrator in person; the record says so. */
  breakGlass: boolean;
  /** Every machine that uses the identity is meant. */
  everyCopy?: boolean;
  /** A second person has approved it. */
  isApproved: boolean;
};

/** `go`: what else the transaction has to carry. `ask`: a second person is needed first. */
export type Guarded =
  | { is: "go"; writes: readonly Write[]; target?: string }
  | { is: "ask"; approvalId: string; writes: readonly Write[]; change: AssetChange };

/** What a tenant lays in the way of an isolation: a second pair of eyes, and a number an hour. */
export async function guardIsolation(
  asset: AssetItem,
  asked: Asked,
  nowMs: number,
  deps: Deps,
): Promise<Decision<Guarded>> {
  const { version, value } = await readSettings(deps, asset.tenantId);
  const otherwise = saysOtherwise(asked, value.stopEnginesBy);
  if (otherwise) return refuse("admin.conflict", otherwise);
  if (asked.breakGlass) {
    const isInPerson = asked.admin.via === "session" && may(asked.admin, "manage-settings");
    if (!isInPerson) return refuse("admin.forbidden", "breaking the glass takes an administrator in person");
    return accept({ is: "go", writes: [], target: "break-glass" });
  }
  const { fourEyes, isolationsPerHourMax } = value;
  // Whoever tightens the settings is obeyed by every isolation that is not yet in the table.
  const still = settingsStill(asset.tenantId, version, deps.table);
  const how = asked.mode === "stop-engines" && { stopEnginesBy: value.stopEnginesBy };
  if (fourEyes && !asked.isApproved)
    return accept(requestOf(asset, { ...asked, ...how }, still, nowMs, deps));
  if (isolationsPerHourMax === 0) return accept({ is: "go", writes: [still] });
  return countOne(asset.tenantId, isolationsPerHourMax, still, nowMs, deps);
}

/** Nobody decides on one thing and causes another: to suspend engines and to end them are not the same. */
export function saysOtherwise(
  { mode, stopEnginesBy }: { mode: Mode; stopEnginesBy?: StopEnginesBy | undefined },
  now: StopEnginesBy,
): string | undefined {
  if (mode !== "stop-engines" || stopEnginesBy === undefined || stopEnginesBy === now) return undefined;
  return `the settings say now that engines are ${now === "terminate" ? "terminated, not suspended" : "suspended, not terminated"}: ask for it anew`;
}

/** One more of this hour (UTC), under the condition that the table itself checks. */
async function countOne(
  tenantId: string,
  max: number,
  still: Write,
  nowMs: number,
  deps: Deps,
): Promise<Decision<Guarded>> {
  const key = isolationCountKey(tenantId, timestamp(nowMs).slice(0, 13));
  const Item = await deps.authority.read(key);
  const used = Item ? decodeItem(isolationCountItem, Item).count : 0;
  if (used >= max) return refuse("admin.capped", `${max} isolations an hour is this tenant's limit`);
  const item = {
    ...key,
    type: "IsolationCount",
    tenantId,
    count: used + 1,
    expiresAt: Math.floor(nowMs / 1000) + DAY_SECONDS,
  };
  const write: Write = {
    Put: {
      TableName: deps.table,
      Item: marshalItem(item),
      ConditionExpression: Item ? "#count = :used AND #count < :max" : "attribute_not_exists(PK)",
      ...(Item && {
        ExpressionAttributeNames: { "#count": "count" },
        ExpressionAttributeValues: values({ used, max }),
      }),
    },
  };
  return accept({ is: "go", writes: [still, write] });
}

function requestOf(
  before: AssetItem,
  { admin, mode, stopEnginesBy, justification, everyCopy }: Asked,
  still: Write,
  nowMs: number,
  deps: Deps,
): Guarded {
  const { tenantId, assetId, generation } = before;
  const approvalId = ulid(nowMs, () => deps.random(1)[0]! / 256);
  const item: ApprovalItem = {
    type: "Approval",
    tenantId,
    approvalId,
    assetId,
    generation,
    mode,
    ...(stopEnginesBy && { stopEnginesBy }),
    ...(everyCopy && { everyCopy }),
    justification,
    requestedBy: admin.userId,
    ...(admin.keyMadeBy !== undefined && { keyMadeBy: admin.keyMadeBy }),
    requestedAt: timestamp(nowMs),
    validUntil: timestamp(nowMs + APPROVAL_MS),
    expiresAt: Math.floor(nowMs / 1000) + 30 * DAY_SECONDS,
  };
  const put: Write = {
    Put: {
      TableName: deps.table,
      ConditionExpression: "attribute_not_exists(PK)",
      Item: marshalItem({ ...approvalKey(tenantId, approvalId), ...item }),
    },
  };
  const how = stopEnginesBy && { stopEnginesBy };
  const asking = { action: "request-isolation" as const, mode, ...how, target: approvalId, justification };
  const records = [asking];
  return { is: "ask", approvalId, writes: [still, put], change: { before, records } };
}
