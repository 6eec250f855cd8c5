import { AuthorityFault } from "../../../shared/authority/types.ts";
import { base64url, utf8 } from "../../../shared/encoding/bytes.ts";
import { canonicalJson } from "../../../shared/encoding/canonical-json.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import { custodyHeadItem } from "../../../shared/table/items/custody.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type IdempotencyItem, idempotencyItem } from "../../../shared/table/items/idempotency.ts";
import { custodyHeadKey, idempotencyKey } from "../../../shared/table/keys.ts";
import { isWriteConflict } from "../../../shared/table/write-conflict.ts";
import { accept, refuse, type Verdict } from "../../../shared/verdict.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import { CONFLICT_ROUNDS_MAX, conflictPauseMs } from "../../platform/conflict-retry.ts";
import type { ControlDeps } from "../deps.ts";
import type { Asker, Committed, Decision, Draft, Plan } from "./change-plan.ts";
import { nudge, writeEvents } from "./outbox.ts";
import { transactionItems } from "./transaction-items.ts";

/**
 * Maximum number of reads of an item whose signature does not verify. After that many reads, the item counts
 * as modified in the table.
 */
const AUTHORITY_ROUNDS = 3;
/**
 * Length of the transaction token in bytes. The token has 24 characters in base64url, and DynamoDB allows 36
 * characters.
 */
const TOKEN_BYTES = 18;

/**
 * Commits a change in one transaction: the writes that `decide` plans, their custody records, the tenant's
 * custody head and the idempotency record. Either all of these are written or none. After an optimistic-lock
 * conflict, `decide` runs again with fresh reads, so the caller does not see the conflict.
 *
 * @param asked parameters of the request. They distinguish a repeated request from a different request with
 *   the same idempotency key.
 * @param decide reads what it needs with strongly consistent reads, and plans the writes. Its argument is the
 *   time in milliseconds, which is later than that of every earlier custody record.
 * @returns the result of the plan, the refusal of `decide`, or `admin.read-only` on a node without the control
 *   key
 */
export function commit<Result>(
  asker: Asker,
  asked: readonly unknown[],
  decide: (nowMs: number) => Promise<Decision<Plan<Result>>>,
  deps: ControlDeps,
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
  deps: ControlDeps,
): Promise<Decision<Committed<Result>>> {
  const { tenantId, userId } = asker.admin;
  const requestHash = await hashOf([userId, ...asked]);
  const rounds = new Map<string, Round<Result>>();
  const resultOf = async (earlier: IdempotencyItem) => {
    const mine = earlier.token === undefined ? undefined : rounds.get(earlier.token);
    return mine ? carriedOut(asker, mine, deps) : replay<Result>(earlier, requestHash);
  };
  for (let round = 0; round < CONFLICT_ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(conflictPauseMs(round, deps.random(1)[0]! / 255));
    const { earlier, head } = await readBefore(tenantId, asker.idempotencyKey, deps);
    if (earlier) return resultOf(earlier);
    const nowMs = Math.max(deps.clock(), head?.at === undefined ? 0 : Date.parse(head.at) + 1);
    const plan = await decide(nowMs);
    if (!plan.ok) {
      // A concurrent request with the same key may have made the change in the meantime. This request then
      // counts as a repeat of it.
      const twin = (await readBefore(tenantId, asker.idempotencyKey, deps)).earlier;
      return twin ? resultOf(twin) : plan;
    }
    // Read the clock as late as possible. If an event were stored long after its timestamp, the SIEM export
    // would miss it.
    const { assets = [], news = [] } = plan.value;
    const allNews = [...assets.flatMap((change) => change.news ?? []), ...news];
    const events = await writeEvents(allNews, asker.admin, () => Math.max(deps.clock(), nowMs), deps);
    const token = base64url(deps.random(TOKEN_BYTES));
    const before = { nowMs, head, requestHash, token, control };
    const items = await transactionItems(asker, plan.value, before, events.writes, deps).catch(
      (error: unknown) => {
        // Another node may have changed the item between the read of the item and the read of its signature.
        // Read both again.
        if (error instanceof AuthorityFault && round < AUTHORITY_ROUNDS) return undefined;
        throw error;
      },
    );
    if (!items) continue;
    const isWaited = events.isWaited || plan.value.isWaited === true;
    const mine = { plan: plan.value, isWaited, conflicts: round };
    rounds.set(token, mine);
    try {
      await deps.dynamo("TransactWriteItems", { TransactItems: items, ClientRequestToken: token });
    } catch (error) {
      if (isWriteConflict(error)) continue;
      // The change may have succeeded although the response was lost, so look for our idempotency record. If
      // the transaction is still in transit, a repeated request finds its record later. That response does
      // not contain the secret.
      const after = await readBefore(tenantId, asker.idempotencyKey, deps).catch(() => undefined);
      if (after?.earlier?.token === token) return carriedOut(asker, mine, deps);
      throw error;
    }
    return carriedOut(asker, mine, deps);
  }
  throw new Error(`a change had ${CONFLICT_ROUNDS_MAX} consecutive optimistic-lock conflicts`);
}

/** One attempt to commit a plan, with the number of conflicts before it. */
type Round<Result> = { plan: Plan<Result>; isWaited: boolean; conflicts: number };

/** Completes a committed change: updates the cache of pending actions, wakes a worker, and logs the change. */
async function carriedOut<Result>(
  asker: Asker,
  { plan, isWaited, conflicts }: Round<Result>,
  deps: ControlDeps,
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

/**
 * Returns the first result for a repeated request. Refuses a different request with the same key, and a
 * request from a different person with the same key.
 */
function replay<Result>(earlier: IdempotencyItem, requestHash: string): Verdict<Committed<Result>> {
  if (earlier.requestHash === requestHash)
    return accept({ result: earlier.result as Result, replayed: true });
  return refuse("admin.conflict", "this idempotency key was used for a different request: use a new key");
}

async function hashOf(asked: readonly unknown[]): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(canonicalJson(asked)))));
}

async function readBefore(tenantId: string, key: string, deps: ControlDeps) {
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

function logChange<Result>(asker: Asker, plan: Plan<Result>, conflicts: number, deps: ControlDeps): void {
  const { admin, requestId } = asker;
  const logRecord = (draft: Draft, assetId?: string) => {
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
    for (const draft of records) logRecord(draft, before.assetId);
  for (const draft of plan.records ?? []) logRecord(draft);
}
