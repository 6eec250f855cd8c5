import { needsAuthority } from "../../../shared/authority/covered-members.ts";
import { AuthorityFault } from "../../../shared/authority/types.ts";
import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import { signCheckpoint } from "../../../shared/containment/custody-checkpoint.ts";
import { base64url, utf8 } from "../../../shared/encoding/bytes.ts";
import { canonicalJson } from "../../../shared/encoding/canonical-json.ts";
import { type AttributeMap, DynamoFault, marshalItem, values } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import {
  type AuditItem,
  auditItem,
  type CustodyHeadItem,
  custodyHeadItem,
} from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type IdempotencyItem, idempotencyItem } from "../../../shared/table/items/idempotency.ts";
import {
  assetKey,
  auditKey,
  custodyHeadKey,
  idempotencyKey,
  type Key,
  tenantAuditKey,
} from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, type Refusal, refuse, type Verdict } from "../../../shared/verdict.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import type { Admin } from "../../auth/permissions.ts";
import type { Deps } from "../../deps.ts";
import type { PendingAction } from "../../heartbeat/read-pending-actions.ts";
import { CONFLICT_ROUNDS_MAX, conflictPauseMs } from "../../platform/conflict-retry.ts";
import { type News, nudge, tell } from "./outbox.ts";
import { type Grant, signGrants } from "./sign-grants.ts";
import type { Write } from "./transaction-write.ts";

/** Who asks for a change, from where, and under which name: the same name asked twice is one change. */
export type Asker = { admin: Admin; sourceIp: string; requestId: string; idempotencyKey: string };

type Attributes = Parameters<typeof values>[0];

/** A change of members of an item that grants or decides. Every member that is not named stays as it is. */
export type ItemChange = {
  key: Key;
  set: Attributes;
  /** Set only where the item has none of that name. */
  initial?: Attributes;
  condition: string;
  names?: Record<string, string>;
  values?: Attributes;
};

/** What a custody record says, without what the chain adds. */
export type Draft = Pick<AuditItem, "action"> &
  Partial<
    Pick<
      AuditItem,
      "mode" | "stopEnginesBy" | "generation" | "target" | "before" | "after" | "report" | "justification"
    >
  >;

/** A change of an asset, or with no `set` only records about it. */
export type AssetChange = {
  before: AssetItem;
  records: readonly Draft[];
  set?: Attributes;
  /** What webhooks and the SIEM export are told of it. */
  news?: readonly News[];
  /** Asked of the table itself, whatever the code believes. That no other change came between is always asked. */
  equal?: Attributes;
  absent?: readonly string[];
  /** Nothing stands against the asset any more: it leaves the index of open actions. */
  isClosed?: boolean;
  /** What agents of this node are told from now on. */
  opens?: PendingAction;
};

/** All that one change writes, and what it came to. `result` is kept for repeats: no secret belongs in it. */
export type Plan<Result> = {
  assets?: readonly AssetChange[];
  /** Records on the tenant as a whole. */
  records?: readonly Draft[];
  news?: readonly News[];
  writes?: readonly Write[];
  /** Changes of items that grant or decide, other than assets. */
  changes?: readonly ItemChange[];
  /** `writes` put something into the outbox that was told before: a worker is to look. */
  isWaited?: boolean;
  result: Result;
  /** Told to whoever asked, by the round that was carried out, and stored nowhere. */
  secret?: string;
};

/** `replayed`: carried out by an earlier request, which was told the secret. */
export type Committed<Result> = { result: Result; replayed: boolean; secret?: string };

/** What a verb refuses with; `more` goes into the problem document. */
export type Refused = Refusal & { more?: Record<string, unknown> };
export type Decision<T> = { ok: true; value: T } | Refused;

/** An item that is still not what was signed after so many reads has been edited. */
const AUTHORITY_ROUNDS = 3;
const IDEMPOTENCY_SECONDS = 24 * 3600;
/** DynamoDB takes up to 36 characters. */
const TOKEN_BYTES = 18;
/** DynamoDB's own limit for one transaction. */
const TRANSACTION_ITEMS_MAX = 100;

/**
 * Carries out a change in one transaction: what `decide` plans, its custody records, the tenant's custody head
 * and the idempotency record. All or nothing. A lost race is decided anew, never shown.
 *
 * @param asked what was asked for, to tell a repeat from another request under the same key
 * @param decide reads what it needs (consistently) and says what to write, at this time in milliseconds, which
 *   is later than that of every record before
 */
export function commit<Result>(
  asker: Asker,
  asked: readonly unknown[],
  decide: (nowMs: number) => Promise<Decision<Plan<Result>>>,
  deps: Deps,
): Promise<Decision<Committed<Result>>> {
  const control = deps.controlKey;
  if (!control) return Promise.resolve(refuse("admin.read-only"));
  const work = () => commitNow(asker, asked, decide, control, deps);
  return deps.mutex ? deps.mutex(asker.admin.tenantId, work) : work();
}

async function commitNow<Result>(
  asker: Asker,
  asked: readonly unknown[],
  decide: (nowMs: number) => Promise<Decision<Plan<Result>>>,
  control: ControlKey,
  deps: Deps,
): Promise<Decision<Committed<Result>>> {
  const { tenantId, userId } = asker.admin;
  const requestHash = await hashOf([userId, ...asked]);
  const rounds = new Map<string, Round<Result>>();
  const answerOf = async (earlier: IdempotencyItem) => {
    const mine = earlier.token === undefined ? undefined : rounds.get(earlier.token);
    return mine ? carriedOut(asker, mine, deps) : replay<Result>(earlier, requestHash);
  };
  for (let round = 0; round < CONFLICT_ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(conflictPauseMs(round, deps.random(1)[0]! / 255));
    const { earlier, head } = await readBefore(tenantId, asker.idempotencyKey, deps);
    if (earlier) return answerOf(earlier);
    const nowMs = Math.max(deps.clock(), head?.at === undefined ? 0 : Date.parse(head.at) + 1);
    const plan = await decide(nowMs);
    if (!plan.ok) {
      // The very same request, sent twice at once, may have come in between: then this one is its repeat.
      const twin = (await readBefore(tenantId, asker.idempotencyKey, deps)).earlier;
      return twin ? answerOf(twin) : plan;
    }
    // Read last: an event is in the table soon after the time it bears, or a reader by cursor would pass it by.
    const { assets = [], news = [] } = plan.value;
    const allNews = [...assets.flatMap((change) => change.news ?? []), ...news];
    const told = await tell(allNews, asker.admin, () => Math.max(deps.clock(), nowMs), deps);
    const token = base64url(deps.random(TOKEN_BYTES));
    const before = { nowMs, head, requestHash, token, control };
    const items = await transaction(asker, plan.value, before, told.writes, deps).catch((error: unknown) => {
      // Another node may have changed an item between its read and this one.
      if (error instanceof AuthorityFault && round < AUTHORITY_ROUNDS) return undefined;
      throw error;
    });
    if (!items) continue;
    const isWaited = told.isWaited || plan.value.isWaited === true;
    const mine = { plan: plan.value, isWaited, conflicts: round };
    rounds.set(token, mine);
    try {
      await deps.dynamo("TransactWriteItems", { TransactItems: items, ClientRequestToken: token });
    } catch (error) {
      if (isLostRace(error)) continue;
      // Perhaps only the answer was lost. One that is still on its way is found by a repeat, without its secret.
      const after = await readBefore(tenantId, asker.idempotencyKey, deps).catch(() => undefined);
      if (after?.earlier?.token === token) return carriedOut(asker, mine, deps);
      throw error;
    }
    return carriedOut(asker, mine, deps);
  }
  throw new Error(`a change had ${CONFLICT_ROUNDS_MAX} optimistic-lock conflicts in a row`);
}

/** What one round would write, and how many conflicts came before it. */
type Round<Result> = { plan: Plan<Result>; isWaited: boolean; conflicts: number };

/** Tells everybody of the round that is in the table, and whoever asked of what it came to. */
async function carriedOut<Result>(
  asker: Asker,
  { plan, isWaited, conflicts }: Round<Result>,
  deps: Deps,
): Promise<Verdict<Committed<Result>>> {
  const { tenantId } = asker.admin;
  deps.pendingActions.forget(tenantId);
  for (const { before, opens } of plan.assets ?? [])
    if (opens) deps.pendingActions.learn(tenantId, before.assetId, opens);
  if (isWaited) await nudge(tenantId, deps);
  logChange(asker, plan, conflicts, deps);
  const { result, secret } = plan;
  return accept({ result, replayed: false, ...(secret !== undefined && { secret }) });
}

/** A repeat gets the first answer; another request, or another person's, under the same key gets none. */
function replay<Result>(earlier: IdempotencyItem, requestHash: string): Verdict<Committed<Result>> {
  if (earlier.requestHash === requestHash)
    return accept({ result: earlier.result as Result, replayed: true });
  return refuse("admin.conflict", "this idempotency key was used for another request");
}

const isLostRace = (error: unknown): boolean =>
  error instanceof DynamoFault &&
  (error.code === "TransactionConflictException" ||
    (error.code === "TransactionCanceledException" &&
      error.reasons.every((reason) =>
        [
          "None",
          "ConditionalCheckFailed",
          "TransactionConflict",
          "ProvisionedThroughputExceeded",
          "ThrottlingError",
          "ThrottlingException",
        ].includes(reason),
      )));

async function hashOf(asked: readonly unknown[]): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(canonicalJson(asked)))));
}

async function readBefore(tenantId: string, key: string, deps: Deps) {
  const get = async (key: object) => {
    const read = { TableName: deps.table, Key: marshalItem(key), ConsistentRead: true };
    return (await deps.dynamo("GetItem", read)).Item;
  };
  const [earlier, head] = await Promise.all([
    get(idempotencyKey(tenantId, key)),
    get(custodyHeadKey(tenantId)),
  ]);
  return {
    earlier: earlier && decodeItem(idempotencyItem, earlier),
    head: head && decodeItem(custodyHeadItem, head),
  };
}

function logChange<Result>(asker: Asker, plan: Plan<Result>, conflicts: number, deps: Deps): void {
  const { admin, requestId } = asker;
  const told = (draft: Draft, assetId?: string) => {
    const { action, target, generation } = draft;
    deps.log("info", `change.${action}`, {
      tenantId: admin.tenantId,
      ...(assetId !== undefined && { assetId }),
      ...(target !== undefined && { target }),
      ...(generation !== undefined && { generation }),
      ...(conflicts > 0 && { conflicts }),
      requestId,
    });
  };
  for (const { before, records } of plan.assets ?? [])
    for (const draft of records) told(draft, before.assetId);
  for (const draft of plan.records ?? []) told(draft);
}

type Before = {
  nowMs: number;
  head: CustodyHeadItem | undefined;
  requestHash: string;
  token: string;
  control: ControlKey;
};

async function transaction<Result>(
  asker: Asker,
  plan: Plan<Result>,
  { nowMs, head, requestHash, token, control }: Before,
  events: readonly Write[],
  deps: Deps,
): Promise<Write[]> {
  const { tenantId } = asker.admin;
  const { table } = deps;
  const chain = new Chain(asker, head, nowMs);
  const assets: Write[] = [];
  for (const change of plan.assets ?? []) {
    let link = { hash: change.before.custodyHash ?? "", count: change.before.custodyCount };
    for (const draft of change.records) link = await chain.append(draft, link, change.before.assetId);
    assets.push({ Update: assetUpdate(change, link, table) });
  }
  let own = { hash: head?.ownHash ?? "", count: head?.ownCount ?? 0 };
  for (const draft of plan.records ?? []) own = await chain.append(draft, own);
  const newHead = await custodyHead(tenantId, chain.records.at(-1)!, own, control);
  const idempotency: IdempotencyItem = {
    type: "Idempotency",
    tenantId,
    requestHash,
    token,
    result: plan.result,
    expiresAt: Math.floor(nowMs / 1000) + IDEMPOTENCY_SECONDS,
  };
  const put = (item: object): Write => ({
    Put: { TableName: table, ConditionExpression: "attribute_not_exists(PK)", Item: marshalItem(item) },
  });
  const grants = grantsOf(plan);
  const items = [
    ...assets,
    ...(plan.writes ?? []),
    ...(plan.changes ?? []).map((change) => ({ Update: itemUpdate(change, table) })),
    ...(await signGrants(grants, { tenantId, version: newHead.count, control, nowMs }, deps)),
    ...events,
    ...chain.records.map((record) => put({ ...recordKey(record), ...record })),
    { Put: headPut(tenantId, newHead, head, table) },
    put({ ...idempotencyKey(tenantId, asker.idempotencyKey), ...idempotency }),
  ];
  if (items.length > TRANSACTION_ITEMS_MAX) throw new Error(`a change of ${items.length} items is too large`);
  return items;
}

/** Every item of the plan that grants or decides, as the transaction leaves it. */
function grantsOf<Result>({ assets = [], writes = [], changes = [] }: Plan<Result>): Grant[] {
  const put = writes.flatMap(({ Put }) => {
    const item = Put?.Item;
    if (!item || !needsAuthority(item)) return [];
    return [{ key: { PK: item.PK!.S!, SK: item.SK!.S! }, after: () => item }];
  });
  const changed = changes.map(({ key, set, initial = {} }) => ({
    key,
    after: (before: AttributeMap = {}) => ({ ...marshalItem(initial), ...before, ...marshalItem(set) }),
  }));
  const ofAssets = assets.flatMap(({ before, set }) => {
    if (!set) return [];
    const key = assetKey(before.tenantId, before.assetId);
    return [{ key, after: (stored: AttributeMap = {}) => ({ ...stored, ...marshalItem(set) }) }];
  });
  return [...put, ...changed, ...ofAssets];
}

/** The whole item is covered by the signature, so `set` and `initial` name members that the record describes. */
function itemUpdate(
  { key, set, initial = {}, condition, names = {}, values: asked = {} }: ItemChange,
  table: string,
) {
  const members = [...Object.keys(set), ...Object.keys(initial)];
  const sets = [
    ...Object.keys(set).map((name) => `#set${name} = :set${name}`),
    ...Object.keys(initial).map((name) => `#set${name} = if_not_exists(#set${name}, :set${name})`),
  ];
  const given = Object.entries({ ...initial, ...set }).map(([name, value]) => [`set${name}`, value]);
  return {
    TableName: table,
    Key: marshalItem(key),
    UpdateExpression: `SET ${sets.join(", ")}`,
    ConditionExpression: condition,
    ExpressionAttributeNames: {
      ...Object.fromEntries(members.map((name) => [`#set${name}`, name])),
      ...names,
    },
    ExpressionAttributeValues: values({ ...Object.fromEntries(given), ...asked }),
  };
}

const recordKey = ({ tenantId, assetId, at }: AuditItem) =>
  assetId === undefined ? tenantAuditKey(tenantId, at) : auditKey(tenantId, assetId, at);

type Link = { hash: string; count: number };

/** Records of one change, each linked to the one before it: of its asset, and of the tenant. */
class Chain {
  readonly records: AuditItem[] = [];
  constructor(
    private readonly asker: Asker,
    private readonly head: CustodyHeadItem | undefined,
    private readonly nowMs: number,
  ) {}

  /** Adds a record after `link`, the newest of its asset (or of the tenant as a whole). Gives its own link. */
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

/** A record that a reader would not accept makes the whole log unreadable, and can never be taken out again. */
function checkRecord(record: AuditItem): void {
  const parsed = auditItem.safeParse(record);
  if (parsed.success) return;
  const members = parsed.error.issues.map((issue) => issue.path.join("."));
  throw new Error(`the custody record is not written: ${members.join(", ")} is not as it must be`);
}

async function custodyHead(
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

/** The count of custody records is the asset's version: every change of an admin adds one. */
function assetUpdate(
  { before, set = {}, equal = {}, absent = [], isClosed = false }: AssetChange,
  link: Link,
  table: string,
) {
  const setting = { ...set, custodyHash: link.hash, custodyCount: link.count };
  const asked = { ...equal, custodyCount: before.custodyCount };
  const names = [...new Set([...Object.keys(setting), ...Object.keys(asked), ...absent])];
  const sets = Object.keys(setting).map((name) => `#${name} = :${name}`);
  const conditions = [
    "attribute_exists(PK)",
    ...Object.keys(asked).map((name) => `#${name} = :if${name}`),
    ...absent.map((name) => `attribute_not_exists(#${name})`),
  ];
  const prefixed = Object.fromEntries(Object.entries(asked).map(([name, value]) => [`if${name}`, value]));
  return {
    TableName: table,
    Key: marshalItem(assetKey(before.tenantId, before.assetId)),
    UpdateExpression: `SET ${sets.join(", ")}${isClosed ? " REMOVE GSI2PK, GSI2SK" : ""}`,
    ConditionExpression: conditions.join(" AND "),
    ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: values({ ...setting, ...prefixed }),
  };
}
