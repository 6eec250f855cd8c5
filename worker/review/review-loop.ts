import { isConditionFailed, values } from "../../shared/table/dynamo.ts";
import type { PresenceItem } from "../../shared/table/items/asset/presence.ts";
import { type TelemetryChange, telemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { GSI2, reviewQueue } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { type LlmReviewer, RULES_ONLY } from "../assess/llm-review.ts";
import type { Assessment } from "../heartbeat/telemetry-items.ts";
import { createTenantLoops, type TenantLoops } from "../platform/tenant-loops.ts";
import { BusyFault } from "../platform/transient-error.ts";
import type { RecordDeps } from "../record/deps.ts";
import { readChange, readIncidents, runsFrom } from "../record/incident-history.ts";
import { reviewDueUpdate, reviewedUpdate, verdictUpdate } from "../record/review-writes.ts";
import { savePresence } from "../record/save-presence.ts";

const READ_EVERY_MS = 5000;
const TENANTS_MAX = 16;
const STATES_AT_ONCE = 10;
/**
 * Lease of a state under review, in milliseconds. Other workers skip the state during this time. It is longer
 * than the maximum timeout of an LLM request.
 */
const LEASE_MS = 90_000;
/** Maximum number of attempts per review. Attempts without a verdict, errors and crashes all count. */
const ATTEMPTS_MAX = 4;
/** Factor between consecutive pauses before retries. */
const PAUSE_GROWTH = 5;
/** Pause after a first attempt that failed with an error, in milliseconds. */
const FAULT_PAUSE_MS = 60_000;
/** Maximum age of a pending review. An older state stays without a verdict. */
const AGE_MS_MAX = 6 * 3600 * 1000;
/**
 * Time to wait for the presence of a state, in milliseconds. The state is stored before its presence. Either
 * its heartbeat is still being recorded, or a crash interrupted this and the heartbeat is delivered again.
 */
const UNSETTLED_MS = 5000;
const ROUNDS_MAX = 16;

type Needs = {
  deps: RecordDeps;
  reviewer: LlmReviewer;
  /** Maximum number of concurrent reviews over all tenants. One tenant gets at most half of them. */
  concurrency: number;
  random: () => number;
};

/**
 * Creates loops that run the LLM reviews of recorded states, outside the heartbeat path. A pending review is
 * a mark on the stored state (docs/decisions/0023). A crash therefore loses no review, and the reviews need
 * no queue in memory. Each tenant has its own loop.
 */
export function createReviewLoops({ deps, reviewer: adjudicator, concurrency, random }: Needs): TenantLoops {
  const perTenant = Math.ceil(concurrency / 2);
  const underWay = new Map<string, number>();
  let total = 0;
  /** Tenants without a slot, in the order in which they will get one. */
  const waiting = new Set<string>();

  const hasSlot = (tenantId: string) => total < concurrency && (underWay.get(tenantId) ?? 0) < perTenant;

  function release(tenantId: string): void {
    total--;
    const left = underWay.get(tenantId)! - 1;
    if (left === 0) underWay.delete(tenantId);
    else underWay.set(tenantId, left);
    const next = [...waiting].find(hasSlot);
    if (next === undefined) return;
    waiting.delete(next);
    loops.wake(next);
  }

  async function runOnce(tenantId: string): Promise<boolean> {
    if (adjudicator.pausedMs() > 0) return false;
    if (!hasSlot(tenantId)) {
      waiting.add(tenantId);
      return false;
    }
    const due = await readDue(tenantId, deps);
    const tenant = due.length > 0 ? await deps.tenant(tenantId) : undefined;
    for (const item of due) {
      if (!hasSlot(tenantId)) {
        waiting.delete(tenantId);
        waiting.add(tenantId);
        return false;
      }
      total++;
      underWay.set(tenantId, (underWay.get(tenantId) ?? 0) + 1);
      void reviewOne(item, tenant!, adjudicator, deps)
        .catch((error: unknown) => {
          const { assetId } = item;
          deps.log("error", "review.failed", { tenantId, assetId, error });
        })
        .finally(() => release(tenantId));
    }
    return due.length === STATES_AT_ONCE;
  }

  const loops = createTenantLoops({
    runOnce,
    pauseMs: () => READ_EVERY_MS * (0.5 + random()),
    onFault: (tenantId, error) => deps.log("error", "reviews.not-read", { tenantId, error }),
    concurrency: TENANTS_MAX,
  });
  return loops;
}

async function readDue(tenantId: string, deps: RecordDeps): Promise<TelemetryChange[]> {
  const { Items = [] } = await deps.dynamo("Query", {
    TableName: deps.table,
    IndexName: GSI2,
    KeyConditionExpression: "GSI2PK = :pk AND GSI2SK <= :to",
    ExpressionAttributeValues: values({ pk: reviewQueue(tenantId), to: `${timestamp(deps.clock())}~` }),
    Limit: STATES_AT_ONCE,
  });
  return Items.flatMap((stored) => {
    const item = decodeItem(telemetryItem, stored);
    return item.kind === "change" && item.reviewDueAt !== undefined ? [item] : [];
  });
}

/**
 * Reviews one stored state: leases it, requests the verdict and saves the result. The lease counts the
 * attempt. Reviews that always fail, or whose workers crash, therefore end too.
 */
export async function reviewOne(
  item: TelemetryChange,
  tenant: TenantItem,
  adjudicator: Pick<LlmReviewer, "review">,
  deps: RecordDeps,
): Promise<void> {
  if (isExhausted(item, deps)) return giveUp(item, tenant, deps);
  const leased = await lease(item, tenant, deps);
  if (!leased) return;
  const assessment = await reviewedAssessment(leased, tenant, adjudicator);
  const attempts = attemptsOf(leased);
  if (assessment.retryMs !== undefined && !isExhausted(leased, deps))
    return postpone(leased, assessment.retryMs * PAUSE_GROWTH ** (attempts - 1), attempts, tenant, deps);
  if (assessment.adjudication?.outcome !== "judged")
    return endWithoutVerdict(leased, assessment.adjudication, tenant, deps);
  const name = `${leased.tenantId} ${leased.assetId}`;
  await deps.withLock(name, () => saveVerdict(leased, assessment, tenant, deps));
}

const attemptsOf = ({ reviewAttempts = 0 }: TelemetryChange): number => reviewAttempts;

const isTooOld = ({ receivedAt }: TelemetryChange, deps: RecordDeps): boolean =>
  deps.clock() - Date.parse(receivedAt) >= AGE_MS_MAX;

/** The first attempt is always made, even if the state is too old. */
const isExhausted = (item: TelemetryChange, deps: RecordDeps): boolean =>
  attemptsOf(item) >= ATTEMPTS_MAX || (attemptsOf(item) > 0 && isTooOld(item, deps));

/** Ends a review whose attempts all failed. Keeps a verdict that is already on the state. */
async function giveUp(item: TelemetryChange, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  const { tenantId, assetId, adjudication } = item;
  const attempts = attemptsOf(item);
  deps.log("error", "review.given-up", { tenantId, assetId, attempts });
  const why = attempts >= ATTEMPTS_MAX ? `failed ${attempts} times` : "did not finish within 6 hours";
  const reason = `the LLM review ${why}; ${RULES_ONLY}`;
  await endWithoutVerdict(
    item,
    adjudication?.outcome === "judged" ? adjudication : { outcome: "unavailable", reason },
    tenant,
    deps,
  );
}

/**
 * Result of the review. A state can already have a verdict, from a worker that stopped before it updated
 * presence and incidents. That verdict is used.
 */
async function reviewedAssessment(
  item: TelemetryChange,
  tenant: TenantItem,
  { review }: Pick<LlmReviewer, "review">,
): Promise<Assessment & { retryMs?: number }> {
  const { risk, score, findings, novelty, adjudication } = item;
  const assessment = { risk, score, findings, ...(novelty && { novelty }) };
  if (adjudication?.outcome === "judged") return { ...assessment, adjudication };
  const { assessment: reviewed, retryMs } = await review(assessment, item, tenant);
  return { ...reviewed, ...(retryMs !== undefined && { retryMs }) };
}

async function lease(
  item: TelemetryChange,
  { shards }: TenantItem,
  deps: RecordDeps,
): Promise<TelemetryChange | undefined> {
  const attempts = attemptsOf(item) + 1;
  const due = timestamp(deps.clock() + leaseMs(attempts));
  const lease = { seen: item.reviewDueAt!, due, attempts };
  const update = reviewDueUpdate(item, lease, shards, deps.table);
  const isLeased = await holds(deps.dynamo("UpdateItem", update));
  return isLeased ? { ...item, reviewDueAt: due, reviewAttempts: attempts } : undefined;
}

/**
 * Time until the next attempt, if this attempt fails or its worker crashes. After the last attempt, it is the
 * time until the review is given up.
 */
const leaseMs = (attempts: number): number =>
  attempts >= ATTEMPTS_MAX ? LEASE_MS : Math.max(LEASE_MS, FAULT_PAUSE_MS * PAUSE_GROWTH ** (attempts - 1));

async function postpone(
  item: TelemetryChange,
  ms: number,
  attempts: number,
  { shards }: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const due = timestamp(deps.clock() + ms);
  const update = reviewDueUpdate(item, { seen: item.reviewDueAt!, due, attempts }, shards, deps.table);
  await holds(deps.dynamo("UpdateItem", update));
}

async function endWithoutVerdict(
  item: TelemetryChange,
  adjudication: Assessment["adjudication"],
  { shards }: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  deps.metrics.count("reviews_dropped_total");
  await holds(deps.dynamo("UpdateItem", reviewedUpdate(item, adjudication, shards, deps.table)));
}

/**
 * Writes the verdict on the state. Then, in one transaction, updates presence, incidents and events from the
 * history, and ends the review. The revision of presence guards the transaction. A verdict on a past state
 * changes that state and its incidents, but not the current risk of the asset.
 */
async function saveVerdict(
  item: TelemetryChange,
  assessment: Assessment,
  tenant: TenantItem,
  deps: RecordDeps,
): Promise<void> {
  const { tenantId, assetId, at } = item;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(round);
    const presence = (await deps.presences.load(tenantId, assetId))?.presence;
    const stored = await readChange({ tenantId, assetId, stateAt: at }, tenant, deps);
    const isReviewed =
      stored?.reviewDueAt !== undefined &&
      stored.sequence === item.sequence &&
      stored.receivedAt === item.receivedAt;
    if (!isReviewed) return; // reviewed by another worker, or replaced by an earlier heartbeat that has its own review
    if (!presence || !isSettled(item, presence)) return waitForPresence(item, tenant, deps);
    const update = verdictUpdate(item, assessment, tenant.shards, deps.table);
    if (!(await holds(deps.dynamo("UpdateItem", update)))) continue;
    const incidents = await readIncidents(item, tenant, deps);
    const runs = await runsFrom(at, presence, incidents, tenant, deps);
    const { risk, score } = assessment;
    const isPresent = presence.stateAt === at;
    const plan = {
      before: presence,
      after: isPresent ? { ...presence, risk, score } : presence,
      runs,
      incidents,
      baseline: undefined,
      delivery: { tenantId, assetId, raw: undefined },
      stateHash: presence.stateHash,
      more: [{ Update: reviewedUpdate(item, undefined, tenant.shards, deps.table) }],
    };
    if (!(await savePresence(plan, tenant, deps))) continue;
    deps.metrics.count("reviews_applied_total");
    return;
  }
  throw new BusyFault(`Could not save the review of ${assetId}: ${ROUNDS_MAX} write conflicts in a row.`);
}

/** True if the heartbeat of the state is fully recorded, so that presence has this state or a later one. */
const isSettled = ({ at, sequence }: TelemetryChange, presence: PresenceItem): boolean =>
  presence.stateAt > at || (presence.stateAt === at && (presence.stateSequence ?? sequence) === sequence);

async function waitForPresence(item: TelemetryChange, tenant: TenantItem, deps: RecordDeps): Promise<void> {
  if (isTooOld(item, deps)) return endWithoutVerdict(item, item.adjudication, tenant, deps);
  // The attempt succeeded, so it does not count. The maximum age of a review limits this wait.
  return postpone(item, UNSETTLED_MS, attemptsOf(item) - 1, tenant, deps);
}

/** Resolves to false if the condition of a write was not met. */
async function holds(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}
