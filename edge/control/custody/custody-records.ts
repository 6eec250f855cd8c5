import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import { signCheckpoint } from "../../../shared/containment/custody-checkpoint.ts";
import { marshalItem, values } from "../../../shared/table/dynamo.ts";
import { type AuditItem, auditItem, type CustodyHeadItem } from "../../../shared/table/items/custody.ts";
import { auditKey, custodyHeadKey, tenantAuditKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import type { Asker, Draft } from "./change-plan.ts";

/** Table key of a custody record. */
export const recordKey = ({ tenantId, assetId, at }: AuditItem) =>
  assetId === undefined ? tenantAuditKey(tenantId, at) : auditKey(tenantId, assetId, at);

/** The newest record of a custody chain: its hash, and the number of records up to and including it. */
export type Link = { hash: string; count: number };

/**
 * Collects the custody records of one change. Each record contains two hashes: the hash of its asset's
 * previous record, and the hash of the tenant's previous record.
 */
export class Chain {
  readonly records: AuditItem[] = [];
  constructor(
    private readonly asker: Asker,
    private readonly head: CustodyHeadItem | undefined,
    private readonly nowMs: number,
  ) {}

  /**
   * Adds a record after `link`, the newest record of the asset or of the tenant. Returns the link that
   * describes the new record.
   */
  async append(draft: Draft, link: Link, assetId?: string): Promise<Link> {
    const { admin, sourceIp, requestId } = this.asker;
    const last = this.records.at(-1);
    const members = {
      type: "Audit" as const,
      tenantId: admin.tenantId,
      assetId,
      at: timestamp(this.nowMs + this.records.length),
      number: link.count + 1,
      ...draft,
      operatorId: admin.userId,
      ...(admin.keyMadeBy !== undefined && { keyMadeBy: admin.keyMadeBy }),
      sessionId: admin.sessionId,
      sourceIp,
      requestId,
      previousHash: link.hash,
      tenantPreviousHash: last?.hash ?? this.head?.hash ?? "",
      tenantNumber: (this.head?.count ?? 0) + this.records.length + 1,
    };
    const record = { ...members, hash: await custodyHash(members) };
    checkRecord(record);
    this.records.push(record);
    return { hash: record.hash, count: record.number };
  }
}

/**
 * Refuses a record that readers could not decode. Such a record could never be removed, and would make the
 * log unreadable.
 */
function checkRecord(record: AuditItem): void {
  const parsed = auditItem.safeParse(record);
  if (parsed.success) return;
  const members = parsed.error.issues.map((issue) => issue.path.join("."));
  throw new Error(`invalid custody record: ${members.join(", ")}`);
}

/** Builds the new head of the tenant's custody chain, with a signed checkpoint over the newest record. */
export async function custodyHead(
  tenantId: string,
  newest: AuditItem,
  own: Link,
  control: ControlKey,
): Promise<CustodyHeadItem> {
  const { hash, tenantNumber: count, at } = newest;
  const checkpoint = await signCheckpoint({ tenantId, hash, count }, Date.parse(at), control);
  return {
    type: "CustodyHead",
    tenantId,
    hash,
    count,
    at,
    ownHash: own.hash,
    ownCount: own.count,
    checkpoint,
  };
}

/** Write that replaces the custody head. Its condition fails if the head has changed since it was read. */
export function headPut(
  tenantId: string,
  head: CustodyHeadItem,
  before: CustodyHeadItem | undefined,
  table: string,
) {
  return {
    TableName: table,
    Item: marshalItem({ ...custodyHeadKey(tenantId), ...head }),
    ConditionExpression: before ? "#hash = :seen" : "attribute_not_exists(PK)",
    ...(before && {
      ExpressionAttributeNames: { "#hash": "hash" },
      ExpressionAttributeValues: values({ seen: before.hash }),
    }),
  };
}
