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
import type { AssetChange, Decision } from "../custody/change-plan.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import { readSettings, settingsStill } from "../tenant/update-tenant.ts";

/** Time in which a second person must approve a request, in milliseconds. */
export const APPROVAL_MS = 3600_000;
const DAY_SECONDS = 24 * 3600;

export type Asked = {
  admin: Admin;
  mode: Mode;
  /** Method for stopping engines, as shown to the requester or approver. */
  stopEnginesBy?: StopEnginesBy;
  justification: string;
  /** Skips the hourly limit and the approval of a second person. Only available to signed-in administrators. */
  breakGlass: boolean;
  /** Applies the isolation to all machines that share the identity. */
  everyCopy?: boolean;
  /** Whether a second person has approved the isolation. */
  isApproved: boolean;
};

/**
 * Result of the checks. `go`: isolate now, with these additional writes. `ask`: a second person must approve
 * first, and these writes store the request.
 */
export type Guarded =
  | { is: "go"; writes: readonly Write[]; target?: string }
  | { is: "ask"; approvalId: string; writes: readonly Write[]; change: AssetChange };

/**
 * Applies the tenant's limits to an isolation: the approval of a second person (four eyes), and the number of
 * isolations per hour.
 */
export async function guardIsolation(
  asset: AssetItem,
  asked: Asked,
  nowMs: number,
  deps: ControlDeps,
): Promise<Decision<Guarded>> {
  const { version, value } = await readSettings(deps, asset.tenantId);
  const changed = changedStopMode(asked, value.stopEnginesBy);
  if (changed) return refuse("admin.conflict", changed);
  if (asked.breakGlass) {
    const isInPerson = asked.admin.via === "session" && may(asked.admin, "manage-settings");
    if (!isInPerson)
      return refuse(
        "admin.forbidden",
        "breakGlass is only available to signed-in administrators, not to API keys or other roles",
      );
    return accept({ is: "go", writes: [], target: "break-glass" });
  }
  const { fourEyes, isolationsPerHourMax } = value;
  // The transaction fails if the settings change before it commits, so stricter settings apply immediately.
  const still = settingsStill(asset.tenantId, version, deps.table);
  const how = asked.mode === "stop-engines" && { stopEnginesBy: value.stopEnginesBy };
  if (fourEyes && !asked.isApproved)
    return accept(requestOf(asset, { ...asked, ...how }, still, nowMs, deps));
  if (isolationsPerHourMax === 0) return accept({ is: "go", writes: [still] });
  return countOne(asset.tenantId, isolationsPerHourMax, still, nowMs, deps);
}

/**
 * Text of the conflict if the method for stopping engines has changed since the caller saw it. Undefined if
 * it has not changed.
 */
export function changedStopMode(
  { mode, stopEnginesBy }: { mode: Mode; stopEnginesBy?: StopEnginesBy | undefined },
  now: StopEnginesBy,
): string | undefined {
  if (mode !== "stop-engines" || stopEnginesBy === undefined || stopEnginesBy === now) return undefined;
  return `the settings have changed: engines are now ${now === "terminate" ? "terminated, not suspended" : "suspended, not terminated"}. Check and request the isolation again`;
}

/**
 * Adds one to the number of isolations of this hour (UTC). Refuses with `admin.capped` at the limit, which
 * the table also checks.
 */
async function countOne(
  tenantId: string,
  max: number,
  still: Write,
  nowMs: number,
  deps: ControlDeps,
): Promise<Decision<Guarded>> {
  const key = isolationCountKey(tenantId, timestamp(nowMs).slice(0, 13));
  const Item = await deps.authority.read(key);
  const used = Item ? decodeItem(isolationCountItem, Item).count : 0;
  if (used >= max) return refuse("admin.capped", `the limit is ${max} isolations per hour`);
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

/** Writes that store a request for a second person's approval. */
function requestOf(
  before: AssetItem,
  { admin, mode, stopEnginesBy, justification, everyCopy }: Asked,
  still: Write,
  nowMs: number,
  deps: ControlDeps,
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
