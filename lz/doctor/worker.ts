import { marshalItem } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { securityItem } from "../../shared/table/items/security.ts";
import { securityKey } from "../../shared/table/keys.ts";
import type { Deps } from "../platform/deps.ts";
import type { OpenTable } from "../platform/open-table.ts";
import { bad, type Check, good } from "./check.ts";

/**
 * Maximum age of the last signature check while a worker is running. Workers check the signatures of a tenant
 * once a minute while its hosts report, and every half hour for 20,000 hosts.
 */
const ALIVE_MS = 3 * 60_000;
const ALIVE_MS_MAX = 45 * 60_000;
const MS_PER_ITEM = 180;

/** Checks that a worker is running, from the time of the tenant's last signature check. */
export async function checkWorker(
  { dynamo, table }: Pick<OpenTable, "dynamo" | "table">,
  tenantId: string,
  { clock }: Pick<Deps, "clock">,
): Promise<Check> {
  const advice = "start a worker and read its log: it needs SQS_QUEUE_URL, the table and LZ_CONTROL_JWKS";
  try {
    const { Item } = await dynamo("GetItem", { TableName: table, Key: marshalItem(securityKey(tenantId)) });
    const checkedAt = Item && decodeItem(securityItem, Item).checkedAt;
    if (!Item || checkedAt === undefined)
      return bad(
        "worker",
        `no worker has ever checked ${tenantId}`,
        `${advice}; a host of the tenant must also report`,
      );
    const { items } = decodeItem(securityItem, Item);
    const agoMs = clock() - Date.parse(checkedAt);
    const bound = Math.min(ALIVE_MS_MAX, Math.max(ALIVE_MS, items * MS_PER_ITEM));
    const ago = `${Math.round(agoMs / 1000)} s ago`;
    return agoMs <= bound
      ? good("worker", `checked ${tenantId} ${ago}`)
      : bad("worker", `last checked ${tenantId} ${ago}`, advice);
  } catch (error) {
    return bad("worker", `cannot be checked (${error instanceof Error ? error.name : "unknown"})`, advice);
  }
}
