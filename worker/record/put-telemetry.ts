import { isConditionFailed } from "../../shared/table/dynamo.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { type Assessment, changeItem, changePut, samplePut } from "../heartbeat/telemetry-items.ts";
import { sampleAt } from "../heartbeat/timeline-position.ts";
import type { RecordDeps } from "./deps.ts";

/** Puts the item of a changed state, unless the stored item is from an earlier heartbeat. */
export async function putChange(
  delivery: Delivery,
  at: string,
  assessment: Assessment,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const item = changeItem(delivery, at, assessment, tenant);
  if (item.kind !== "change") return;
  await ignoreStale(deps.dynamo("PutItem", changePut(item, tenant, deps.table)));
  if (item.reviewDueAt !== undefined) deps.reviewDue?.(item.tenantId);
}

/** Puts the sample of a heartbeat, unless an item already covers its interval. */
export async function putSample(delivery: Delivery, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const at = sampleAt(delivery, tenant);
  if (at === undefined) return;
  await ignoreStale(deps.dynamo("PutItem", samplePut(delivery, at, tenant, deps.table)));
}

/** Ignores a failed write condition. It means that the table already has a better version of the item. */
export async function ignoreStale(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}
