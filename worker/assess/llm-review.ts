import { isConditionFailed, marshalItem } from "../../shared/table/dynamo.ts";
import { type VerdictItem, verdictItem } from "../../shared/table/items/asset/verdict.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import { verdictKey } from "../../shared/table/keys.ts";
import { DAY_MS } from "../../shared/time/durations.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { Assessment } from "../heartbeat/telemetry-items.ts";
import type { PlatformDeps } from "../platform/deps.ts";
import { applyVerdict, evidenceOf, isAmbiguous, type LlmVerdict } from "./llm-prompt.ts";

/**
 * Adds the known verdict of the language model to an assessment, or marks the assessment for a review. Sends
 * no request and never throws.
 */
export type LookUpVerdict = (
  assessment: Assessment,
  heartbeat: Pick<Heartbeat, "engines">,
  tenant: TenantItem,
) => Promise<Assessment>;

/** Result of a review. `retryMs`: milliseconds until a retry. It is present only while there is no verdict. */
type Review = { assessment: Assessment; retryMs?: number };
export type LlmReviewer = {
  /** Requests a verdict from the language model, unless it is already known. Never throws. */
  review: (...of: Parameters<LookUpVerdict>) => Promise<Review>;
  /** Remaining pause after repeated failures of the endpoint, in milliseconds. 0 when requests are allowed. */
  pausedMs: () => number;
};

/** Sends one request. Rejects if no response that matches the schema arrives in time. */
export type RequestVerdict = (evidence: string, signal: AbortSignal) => Promise<LlmVerdict>;

/** Text that ends each reason for a missing verdict. */
export const RULES_ONLY = "assessed by rules and baseline only";

const unavailable = (assessment: Assessment, reason: string): Assessment => ({
  ...assessment,
  adjudication: { outcome: "unavailable", reason: tidy(reason, 200) },
});

/**
 * Creates a lookup that adds the verdict from the table if there is one, and otherwise marks the assessment
 * for a review. It only reads the table, so a slow endpoint delays no heartbeat.
 */
export function createVerdictLookup(modelName: string, deps: Reader): LookUpVerdict {
  return async (assessment, heartbeat, tenant) => {
    if (!isAmbiguous(assessment)) return assessment;
    const evidence = evidenceOf(assessment, heartbeat, tenant.policy);
    try {
      const known = await readVerdict(tenant.tenantId, fingerprintOf(modelName, evidence), deps);
      if (known) {
        deps.metrics.count("adjudications_cached_total");
        return applyVerdict(assessment, known, heartbeat, known.model);
      }
    } catch (error) {
      deps.log("warn", "verdict.not-read", { tenantId: tenant.tenantId, error });
    }
    return {
      ...unavailable(assessment, `the LLM review is pending; ${RULES_ONLY}`),
      isReviewDue: true,
    };
  };
}

/**
 * Lookup for a worker without a configured endpoint. It notes on an ambiguous assessment that there was no
 * review.
 */
export const withoutLlmReview: LookUpVerdict = async (assessment) =>
  isAmbiguous(assessment)
    ? unavailable(assessment, `no LLM endpoint is configured; ${RULES_ONLY}`)
    : assessment;

export type LlmReviewLimits = {
  timeoutMs: number;
  /** Maximum number of concurrent requests. Further reviews are retried later. */
  concurrency: number;
  /** Maximum number of requests per day. */
  dailyQuestions: number;
};

/**
 * Number of consecutive failures after which requests pause for {@link OPEN_MS}. Then one request tests the
 * endpoint.
 */
const FAILURES_MAX = 5;
const OPEN_MS = 60_000;
/**
 * Delay before a review is retried after a failure. {@link BUSY_MS} applies after the concurrency limit was
 * reached.
 */
const FAILED_MS = 60_000;
const BUSY_MS = 1000;
const VERDICT_DAYS = 30;

type Reader = Pick<PlatformDeps, "dynamo" | "table" | "clock" | "log" | "metrics">;

/**
 * Creates a reviewer that sends ambiguous assessments to the language model, once per evidence. The table
 * caches verdicts for all workers, by the fingerprint of the evidence. After a failure the assessment is
 * unchanged, except that it states the reason.
 */
export function createLlmReviewer(
  ask: RequestVerdict,
  modelName: string,
  limits: LlmReviewLimits,
  deps: Reader,
): LlmReviewer {
  const requests = new LimitedRequests(ask, limits, deps);

  async function verdictOn(evidence: string, tenantId: string): Promise<VerdictItem> {
    const fingerprint = fingerprintOf(modelName, evidence);
    const known = await readVerdict(tenantId, fingerprint, deps);
    if (!known) return storeVerdict(tenantId, fingerprint, await requests.send(evidence), modelName, deps);
    deps.metrics.count("adjudications_cached_total");
    return known;
  }

  async function review(...[assessment, heartbeat, tenant]: Parameters<LookUpVerdict>): Promise<Review> {
    if (!isAmbiguous(assessment)) return { assessment };
    const evidence = evidenceOf(assessment, heartbeat, tenant.policy);
    try {
      const verdict = await verdictOn(evidence, tenant.tenantId);
      return { assessment: applyVerdict(assessment, verdict, heartbeat, verdict.model) };
    } catch (error) {
      return withoutVerdict(assessment, error, deps);
    }
  }

  return { review, pausedMs: () => requests.pausedMs() };
}

/** Adds the reason for the missing verdict to the assessment. */
function withoutVerdict(assessment: Assessment, error: unknown, { metrics, log }: Reader): Review {
  metrics.count("adjudications_unavailable_total");
  const isRefused = error instanceof Refused;
  const reason = isRefused ? error.message : "the LLM endpoint returned no usable response";
  // The message of the error can contain text from the endpoint, so only the error's name is logged.
  const fault = error instanceof Error ? error.name : "unknown";
  log("warn", "adjudication.unavailable", { reason, fault });
  const retryMs = isRefused ? error.retryMs : FAILED_MS;
  return {
    assessment: unavailable(assessment, `${reason}; ${RULES_ONLY}`),
    ...(retryMs !== undefined && { retryMs }),
  };
}

/** Sends requests within the limits. Pauses after {@link FAILURES_MAX} consecutive failures. */
class LimitedRequests {
  readonly #ask: RequestVerdict;
  readonly #limits: LlmReviewLimits;
  readonly #deps: Pick<Reader, "clock" | "metrics">;
  #underWay = 0;
  #failures = 0;
  #pausedUntilMs = 0;
  /** Day that `#sentToday` counts, in days since 1970-01-01. */
  #day = -1;
  #sentToday = 0;

  constructor(ask: RequestVerdict, limits: LlmReviewLimits, deps: Pick<Reader, "clock" | "metrics">) {
    this.#ask = ask;
    this.#limits = limits;
    this.#deps = deps;
  }

  /** Remaining pause in milliseconds. 0 if requests are allowed. */
  pausedMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.#deps.clock());
  }

  /** Sends a request. Throws {@link Refused} if a limit is reached or the request times out. */
  async send(evidence: string): Promise<LlmVerdict> {
    const refusal = this.#refusal();
    if (refusal) throw refusal;
    this.#underWay++;
    this.#sentToday++;
    this.#deps.metrics.count("adjudications_total");
    try {
      const signal = AbortSignal.timeout(this.#limits.timeoutMs);
      const verdict = await Promise.race([this.#ask(evidence, signal), timedOut(signal)]);
      this.#failures = 0;
      return verdict;
    } catch (error) {
      this.#failures++;
      if (this.#failures >= FAILURES_MAX) this.#pausedUntilMs = this.#deps.clock() + OPEN_MS;
      throw error;
    } finally {
      this.#underWay--;
    }
  }

  #refusal(): Refused | undefined {
    const today = Math.floor(this.#deps.clock() / DAY_MS);
    if (today !== this.#day) {
      this.#day = today;
      this.#sentToday = 0;
    }
    const pausedMs = this.pausedMs();
    if (pausedMs > 0)
      return new Refused("the LLM endpoint failed repeatedly, so requests pause for one minute", pausedMs);
    if (this.#sentToday >= this.#limits.dailyQuestions)
      return new Refused("the daily limit of LLM requests is reached");
    if (this.#underWay >= this.#limits.concurrency)
      return new Refused("the limit of concurrent LLM requests is reached", BUSY_MS);
    return undefined;
  }
}

class Refused extends Error {
  override name = "Refused";
  /** `retryMs`: milliseconds until a retry makes sense. Absent if a retry never makes sense. */
  constructor(
    message: string,
    readonly retryMs?: number,
  ) {
    super(message);
  }
}

const timedOut = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(timeout()), { once: true }));
const timeout = () => new Refused("the LLM endpoint did not respond in time", FAILED_MS);

const fingerprintOf = (modelName: string, evidence: string): string =>
  new Bun.CryptoHasher("sha256").update(`${modelName}\n${evidence}`).digest("hex");

async function readVerdict(tenantId: string, fingerprint: string, { dynamo, table }: Reader) {
  const Key = marshalItem(verdictKey(tenantId, fingerprint));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  return Item && decodeItem(verdictItem, Item);
}

/**
 * Stores a verdict. If two workers request the same verdict at the same time, both use the one that was
 * stored first.
 */
async function storeVerdict(
  tenantId: string,
  fingerprint: string,
  { risk, score, explanation }: LlmVerdict,
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
