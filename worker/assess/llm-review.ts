import { isConditionFailed, marshalItem } from "../../shared/table/dynamo.ts";
import { type VerdictItem, verdictItem } from "../../shared/table/items/asset/verdict.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { verdictKey } from "../../shared/table/keys.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { Judgement } from "../heartbeat/telemetry-items.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { evidenceOf, isAmbiguous, type Opinion, withOpinion } from "./llm-prompt.ts";

/** What the language model is known to say of an assessment, or that it is still to be asked. Never asks, never throws. */
export type Adjudicate = (
  judgement: Judgement,
  heartbeat: Pick<Heartbeat, "engines">,
  tenant: TenantItem,
) => Promise<Judgement>;

/** The answer to a review. `retryMs`: there was none, and one may come that much later. */
export type Review = { judgement: Judgement; retryMs?: number };
export type Adjudicator = {
  /** Asks the language model, unless its verdict is known. Never throws. */
  review: (...of: Parameters<Adjudicate>) => Promise<Review>;
  /** For how long no question is put, because the endpoint failed repeatedly; 0 when one may be put now. */
  pausedMs: () => number;
};

/** Puts one question. Rejects when there is no answer that matches the schema in time. */
export type Ask = (evidence: string, signal: AbortSignal) => Promise<Opinion>;

const unavailable = (judgement: Judgement, reason: string): Judgement => ({
  ...judgement,
  adjudication: { outcome: "unavailable", reason: tidy(reason, 200) },
});

/**
 * Applies the verdict when it is known, and marks the assessment for a review otherwise. Only reads the table: a
 * slow endpoint delays no heartbeat.
 */
export function createVerdictLookup(modelName: string, deps: Reader): Adjudicate {
  return async (judgement, heartbeat, tenant) => {
    if (!isAmbiguous(judgement)) return judgement;
    const evidence = evidenceOf(judgement, heartbeat, tenant.policy);
    try {
      const known = await readVerdict(tenant.tenantId, fingerprintOf(modelName, evidence), deps);
      if (known) {
        deps.metrics.count("adjudications_cached_total");
        return withOpinion(judgement, known, heartbeat, known.model);
      }
    } catch (error) {
      deps.log("warn", "verdict.not-read", { tenantId: tenant.tenantId, error });
    }
    return {
      ...unavailable(judgement, "its review is under way: rules and baseline alone"),
      isReviewDue: true,
    };
  };
}

/** No endpoint is configured: rules and baseline alone, and an item in doubt says so. */
export const adjudicateOff: Adjudicate = async (judgement) =>
  isAmbiguous(judgement)
    ? unavailable(judgement, "no endpoint is configured: rules and baseline alone")
    : judgement;

export type AdjudicatorLimits = {
  timeoutMs: number;
  /** Questions under way at once; one more is not waited for. */
  concurrency: number;
  /** Questions a day. */
  dailyQuestions: number;
};

/** After so many failures in a row nothing is asked for a while; then one question tries whether it is back. */
const FAILURES_MAX = 5;
const OPEN_MS = 60_000;
/** Pauses before a review is tried again: after a failure, and when all questions allowed are under way. */
const FAILED_MS = 60_000;
const BUSY_MS = 1000;
const VERDICT_DAYS = 30;
const DAY_MS = 24 * 3600 * 1000;

type Reader = Pick<PlatformDeps, "dynamo" | "table" | "clock" | "log" | "metrics">;

/**
 * Asks `ask` about assessments in the ambiguous band: once for each state of facts, for a verdict is kept in the
 * table by the fingerprint of its evidence, and every worker uses that one. Whatever goes wrong leaves rules and
 * baseline as they are and says so on the item.
 */
export function createAdjudicator(
  ask: Ask,
  modelName: string,
  limits: AdjudicatorLimits,
  deps: Reader,
): Adjudicator {
  let underWay = 0;
  let failures = 0;
  let closedUntilMs = 0;
  let day = -1;
  let askedToday = 0;

  const pausedMs = () => Math.max(0, closedUntilMs - deps.clock());

  function refusal(): Refused | undefined {
    const today = Math.floor(deps.clock() / DAY_MS);
    if (today !== day) {
      day = today;
      askedToday = 0;
    }
    if (pausedMs() > 0)
      return new Refused("the endpoint failed repeatedly and is left alone for a minute", pausedMs());
    if (askedToday >= limits.dailyQuestions) return new Refused("the daily budget of questions is used up");
    if (underWay >= limits.concurrency)
      return new Refused("as many questions as allowed are under way", BUSY_MS);
    return undefined;
  }

  async function answer(evidence: string): Promise<Opinion> {
    underWay++;
    askedToday++;
    deps.metrics.count("adjudications_total");
    try {
      const signal = AbortSignal.timeout(limits.timeoutMs);
      const given = await Promise.race([ask(evidence, signal), timedOut(signal)]);
      failures = 0;
      return given;
    } catch (error) {
      failures++;
      if (failures >= FAILURES_MAX) closedUntilMs = deps.clock() + OPEN_MS;
      throw error;
    } finally {
      underWay--;
    }
  }

  async function review(...[judgement, heartbeat, tenant]: Parameters<Adjudicate>): Promise<Review> {
    if (!isAmbiguous(judgement)) return { judgement };
    const evidence = evidenceOf(judgement, heartbeat, tenant.policy);
    const fingerprint = fingerprintOf(modelName, evidence);
    try {
      const known = await readVerdict(tenant.tenantId, fingerprint, deps);
      if (known) {
        deps.metrics.count("adjudications_cached_total");
        return { judgement: withOpinion(judgement, known, heartbeat, known.model) };
      }
      const refused = refusal();
      if (refused) throw refused;
      const given = await answer(evidence);
      const kept = await keepVerdict(tenant.tenantId, fingerprint, given, modelName, deps);
      return { judgement: withOpinion(judgement, kept, heartbeat, kept.model) };
    } catch (error) {
      deps.metrics.count("adjudications_unavailable_total");
      const isRefused = error instanceof Refused;
      const reason = isRefused ? error.message : "the endpoint gave no usable answer";
      // Its words may be the endpoint's: the name of the error is enough.
      deps.log("warn", "adjudication.unavailable", {
        reason,
        fault: error instanceof Error ? error.name : "unknown",
      });
      const retryMs = isRefused ? error.retryMs : FAILED_MS;
      return {
        judgement: unavailable(judgement, `${reason}: rules and baseline alone`),
        ...(retryMs !== undefined && { retryMs }),
      };
    }
  }

  return { review, pausedMs };
}

class Refused extends Error {
  override name = "Refused";
  /** `retryMs`: when another try makes sense. Absent: not at all. */
  constructor(
    message: string,
    readonly retryMs?: number,
  ) {
    super(message);
  }
}

const timedOut = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener("abort", () => reject(new Refused("the endpoint was too slow", FAILED_MS)), {
      once: true,
    }),
  );

const fingerprintOf = (modelName: string, evidence: string): string =>
  new Bun.CryptoHasher("sha256").update(`${modelName}\n${evidence}`).digest("hex");

async function readVerdict(tenantId: string, fingerprint: string, { dynamo, table }: Reader) {
  const Key = marshalItem(verdictKey(tenantId, fingerprint));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  return Item && decodeItem(verdictItem, Item);
}

/** The first verdict stays: of two workers that asked at once both use the same one. */
async function keepVerdict(
  tenantId: string,
  fingerprint: string,
  { risk, score, explanation }: Opinion,
  model: string,
  deps: Reader,
): Promise<VerdictItem> {
  const item: VerdictItem = {
    type: "Verdict",
    tenantId,
    fingerprint,
    risk,
    score,
    explanation: tidy(explanation, 600),
    model: tidy(model, 120),
    expiresAt: Math.floor(deps.clock() / 1000) + (VERDICT_DAYS * DAY_MS) / 1000,
  };
  try {
    await deps.dynamo("PutItem", {
      TableName: deps.table,
      Item: marshalItem({ ...verdictKey(tenantId, fingerprint), ...item }),
      ConditionExpression: "attribute_not_exists(PK)",
    });
    return item;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    return (await readVerdict(tenantId, fingerprint, deps)) ?? item;
  }
}
