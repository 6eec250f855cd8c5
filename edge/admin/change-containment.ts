import { SignJWT } from "jose";
import { base64url, utf8 } from "../../shared/bytes.ts";
import { timestamp } from "../../shared/clock.ts";
import { custodyHash } from "../../shared/custody.ts";
import { accept, refuse, type Verdict } from "../../shared/refusal.ts";
import { DynamoFault, marshalItem, values } from "../../shared/table/dynamo.ts";
import {
  type AssetItem,
  type AuditItem,
  assetItem,
  type CustodyHeadItem,
  custodyHeadItem,
  decodeItem,
  type IdempotencyItem,
  idempotencyItem,
} from "../../shared/table/items.ts";
import {
  actionRequired,
  assetKey,
  assetState,
  auditKey,
  custodyHeadKey,
  idempotencyKey,
  indexSort,
} from "../../shared/table/keys.ts";
import { type ControlKey, DIRECTIVE_LIFETIME_SECONDS, signDirective } from "../../shared/wire/directive.ts";
import type { Mode } from "../../shared/wire/heartbeat.ts";
import type { Deps } from "../deps.ts";
import { type Admin, mayRespond } from "./authenticate.ts";

export type ContainmentChange = {
  assetId: string;
  action: "isolate" | "release";
  /** A release keeps the mode of what it ends. */
  mode?: Mode;
  justification: string;
  idempotencyKey: string;
  sourceIp: string;
  requestId: string;
};

export type Changed = { asset: AssetItem; replayed: boolean };

const ROUNDS_MAX = 12;
const IDEMPOTENCY_SECONDS = 24 * 3600;

/**
 * Isolates or releases an asset: one transaction of the asset (exists, and is in the other status), its
 * custody record (not there yet), the tenant's custody head and the idempotency record. All or nothing.
 *
 * Refuses with `admin.conflict` when the asset already is in that status, `admin.not-found` for an asset the
 * admin's tenant does not have. A lost race is read again and decided anew, never shown.
 */
export async function changeContainment(
  admin: Admin,
  change: ContainmentChange,
  deps: Deps,
): Promise<Verdict<Changed>> {
  if (!mayRespond(admin)) return refuse("admin.forbidden");
  const control = deps.controlKey;
  if (!control) return refuse("admin.read-only");
  const requestHash = await hashOf(change);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause((5 + deps.random(1)[0]! / 16) * Math.min(2 ** round, 16));
    const before = await readBefore(admin.tenantId, change, deps);
    if (!before.asset) return refuse("admin.not-found");
    if (before.earlier) {
      if (before.earlier.requestHash === requestHash) return accept({ asset: before.asset, replayed: true });
      return refuse("admin.conflict", "this idempotency key was used for another request");
    }
    const wrong = refusedBy(before.asset, change.action);
    if (wrong) return refuse("admin.conflict", wrong);
    const written = await plan(admin, change, before.asset, before.head, requestHash, control, deps);
    try {
      await deps.dynamo("TransactWriteItems", { TransactItems: written.items });
    } catch (error) {
      if (isLostRace(error)) continue;
      throw error;
    }
    deps.openActions.forget(admin.tenantId);
    deps.log("info", `asset.${change.action}`, {
      tenantId: admin.tenantId,
      assetId: change.assetId,
      generation: written.asset.generation,
      requestId: change.requestId,
    });
    return accept({ asset: written.asset, replayed: false });
  }
  throw new Error("the containment transaction lost every round against others");
}

function refusedBy(asset: AssetItem, action: "isolate" | "release"): string | undefined {
  if (asset.revokedAt) return "the asset was revoked";
  if (action === "isolate" && asset.status === "ISOLATED") return "the asset is already ISOLATED";
  if (action === "release" && asset.status !== "ISOLATED")
    return `the asset is ${asset.status}, not ISOLATED`;
  return undefined;
}

const isLostRace = (error: unknown): boolean =>
  error instanceof DynamoFault &&
  (error.code === "TransactionConflictException" ||
    (error.code === "TransactionCanceledException" &&
      error.reasons.every((reason) =>
        ["None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"].includes(reason),
      )));

async function hashOf(change: ContainmentChange): Promise<string> {
  const { assetId, action, mode, justification } = change;
  const text = JSON.stringify([assetId, action, mode, justification]);
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))));
}

async function readBefore(tenantId: string, change: ContainmentChange, deps: Deps) {
  const get = async (key: object) => {
    const read = { TableName: deps.table, Key: marshalItem(key), ConsistentRead: true };
    return (await deps.dynamo("GetItem", read)).Item;
  };
  const [earlier, asset, head] = await Promise.all([
    get(idempotencyKey(tenantId, change.idempotencyKey)),
    get(assetKey(tenantId, change.assetId)),
    get(custodyHeadKey(tenantId)),
  ]);
  return {
    earlier: earlier && decodeItem(idempotencyItem, earlier),
    asset: asset && decodeItem(assetItem, asset),
    head: head && decodeItem(custodyHeadItem, head),
  };
}

/** Everything the transaction writes, and the asset as it will be. */
async function plan(
  admin: Admin,
  change: ContainmentChange,
  asset: AssetItem,
  head: CustodyHeadItem | undefined,
  requestHash: string,
  control: ControlKey,
  deps: Deps,
) {
  // A record never carries an older time than the one before it, whatever the node's clock says.
  const now = Math.max(deps.clock(), asset.wish ? Date.parse(asset.wish.requestedAt) + 1 : 0);
  const after = await wished(asset, change, now, control);
  const record = await custodyRecord(admin, change, asset, after, head, now);
  after.custodyHash = record.hash;
  after.custodyCount = record.number;
  const newHead = await custodyHead(admin.tenantId, record, control);
  const idempotency: IdempotencyItem = {
    type: "Idempotency",
    tenantId: admin.tenantId,
    requestHash,
    assetId: asset.assetId,
    generation: after.generation,
    expiresAt: Math.floor(now / 1000) + IDEMPOTENCY_SECONDS,
  };
  const absent = { TableName: deps.table, ConditionExpression: "attribute_not_exists(PK)" };
  const items = [
    { Update: assetUpdate(asset, after, deps.table) },
    {
      Put: {
        ...absent,
        Item: marshalItem({ ...auditKey(admin.tenantId, asset.assetId, record.at), ...record }),
      },
    },
    { Put: headPut(admin.tenantId, newHead, head, deps.table) },
    {
      Put: {
        ...absent,
        Item: marshalItem({ ...idempotencyKey(admin.tenantId, change.idempotencyKey), ...idempotency }),
      },
    },
  ];
  return { items, asset: after };
}

async function wished(
  asset: AssetItem,
  change: ContainmentChange,
  now: number,
  control: ControlKey,
): Promise<AssetItem> {
  const generation = asset.generation + 1;
  const mode = change.mode ?? asset.wish?.mode ?? "observe";
  const iat = Math.floor(now / 1000);
  const exp = iat + DIRECTIVE_LIFETIME_SECONDS;
  const { action } = change;
  const signed = { tenant: asset.tenantId, asset: asset.assetId, generation, action, mode, iat, exp };
  const directive = await signDirective(control, signed);
  return {
    ...asset,
    status: action === "isolate" ? "ISOLATED" : "ACTIVE",
    generation,
    wish: {
      generation,
      action,
      mode,
      requestedAt: timestamp(now),
      expiresAt: timestamp(exp * 1000),
      directive,
    },
  };
}

async function custodyRecord(
  admin: Admin,
  change: ContainmentChange,
  before: AssetItem,
  after: AssetItem,
  head: CustodyHeadItem | undefined,
  now: number,
): Promise<AuditItem> {
  const record = {
    type: "Audit" as const,
    tenantId: admin.tenantId,
    assetId: before.assetId,
    at: timestamp(now),
    number: before.custodyCount + 1,
    action: change.action,
    mode: after.wish!.mode,
    generation: after.generation,
    before: before.status,
    after: after.status,
    operatorId: admin.userId,
    sessionId: admin.sessionId,
    sourceIp: change.sourceIp,
    requestId: change.requestId,
    justification: change.justification,
    previousHash: before.custodyHash ?? "",
    tenantPreviousHash: head?.hash ?? "",
    tenantNumber: (head?.count ?? 0) + 1,
  };
  return { ...record, hash: await custodyHash(record) };
}

async function custodyHead(
  tenantId: string,
  record: AuditItem,
  control: ControlKey,
): Promise<CustodyHeadItem> {
  const checkpoint = await new SignJWT({ tenant: tenantId, hash: record.hash, count: record.tenantNumber })
    .setProtectedHeader({ alg: "EdDSA", typ: "lz-checkpoint+jwt", kid: control.kid })
    .setIssuedAt(Math.floor(Date.parse(record.at) / 1000))
    .sign(control.key);
  return { type: "CustodyHead", tenantId, hash: record.hash, count: record.tenantNumber, checkpoint };
}

function assetUpdate(before: AssetItem, after: AssetItem, table: string) {
  const wish = after.wish!;
  return {
    TableName: table,
    Key: marshalItem(assetKey(after.tenantId, after.assetId)),
    // The generation stands for all that was read: nobody changed the asset since. The status is asked all the
    // same, so that the table itself refuses a second isolation whatever the code above believes.
    ConditionExpression:
      "attribute_exists(PK) AND #status = :before AND generation = :seen AND attribute_not_exists(revokedAt)",
    UpdateExpression:
      "SET #status = :status, generation = :generation, wish = :wish, custodyHash = :custodyHash, " +
      "custodyCount = :custodyCount, GSI1SK = :state, GSI2PK = :action, GSI2SK = :sort",
    ExpressionAttributeNames: { "#status": "status" },
    ExpressionAttributeValues: values({
      before: before.status,
      seen: before.generation,
      status: after.status,
      generation: after.generation,
      wish,
      custodyHash: after.custodyHash,
      custodyCount: after.custodyCount,
      state: assetState(after.status),
      action: actionRequired(after.tenantId),
      sort: indexSort(wish.requestedAt, after.assetId),
    }),
  };
}

function headPut(
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
