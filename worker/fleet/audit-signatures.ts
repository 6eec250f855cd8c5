import { auditAuthority } from "../../shared/authority/audit-authority.ts";
import { isConditionFailed, marshalItem, values } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { FAULTS_NAMED_MAX, type SecurityItem, securityItem } from "../../shared/table/items/security.ts";
import { securityKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { pauseMs } from "./count-fleet.ts";

/** Maximum duration of one audit. Other workers skip the tenant during this time. */
const CLAIM_MS = 300_000;

type Auditor = Pick<PlatformDeps, "dynamo" | "table" | "authority" | "clock" | "log" | "metrics">;

/**
 * Audits all signatures of a tenant if an audit is due. The interval is one minute for up to 660 hosts, and
 * 30 minutes from 20,000 hosts. Only one of several workers runs each audit. Faults are logged as security
 * events, and stored for the dashboard and `lz doctor`.
 *
 * @param seen highest version of each tenant's signed head that this worker has seen. A restored table cannot
 * lower it.
 * @returns true if this worker ran the audit
 */
export async function auditSignatures(
  tenantId: string,
  seen: Map<string, number>,
  deps: Auditor,
): Promise<boolean> {
  const { dynamo, table, clock, log, metrics } = deps;
  const Key = marshalItem(securityKey(tenantId));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  const last = Item && decodeItem(securityItem, Item);
  const isFresh = last?.checkedAt !== undefined && clock() - Date.parse(last.checkedAt) < pauseMs(last.items);
  if (isFresh || !(await claim(tenantId, deps))) return false;
  const audit = await auditAuthority(
    { dynamo, table },
    {
      tenantId,
      verifier: deps.authority.verifier,
      versionMin: Math.max(seen.get(tenantId) ?? 0, last?.version ?? 0),
      nowSeconds: Math.floor(clock() / 1000),
    },
  );
  seen.set(tenantId, Math.max(seen.get(tenantId) ?? 0, audit.version));
  for (const { item, code } of audit.faults.slice(0, FAULTS_NAMED_MAX))
    log("error", "security.signature-fault", { tenantId, item, reason: code });
  metrics.count("signature_faults_total", audit.faults.length);
  const found: SecurityItem = {
    type: "Security",
    tenantId,
    checkedAt: timestamp(clock()),
    version: Math.max(audit.version, last?.version ?? 0),
    items: audit.items,
    byKid: audit.byKid,
    faultCount: audit.faults.length,
    faults: audit.faults.slice(0, FAULTS_NAMED_MAX),
  };
  await dynamo("PutItem", { TableName: table, Item: marshalItem({ ...securityKey(tenantId), ...found }) });
  return true;
}

async function claim(tenantId: string, { dynamo, table, clock }: Auditor): Promise<boolean> {
  const nowMs = clock();
  try {
    await dynamo("UpdateItem", {
      TableName: table,
      Key: marshalItem(securityKey(tenantId)),
      UpdateExpression: "SET claimedUntil = :until, #type = :type, tenantId = :tenantId",
      ConditionExpression: "attribute_not_exists(claimedUntil) OR claimedUntil < :now",
      ExpressionAttributeNames: { "#type": "type" },
      ExpressionAttributeValues: values({
        until: timestamp(nowMs + CLAIM_MS),
        now: timestamp(nowMs),
        type: "Security",
        tenantId,
      }),
    });
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}
