import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { createAuthority } from "../shared/authority/read-authority.ts";
import { createVerifier } from "../shared/authority/verify-authority.ts";
import { createKeyedMutex } from "../shared/keyed-mutex.ts";
import { createLog } from "../shared/observability/log.ts";
import { registerOtlp } from "../shared/observability/otlp.ts";
import type { TenantItem } from "../shared/table/items/tenant.ts";
import { readTenant } from "../shared/tenant/read-tenant.ts";
import { backoffCeilingMs } from "../shared/time/backoff.ts";
import { sleep } from "../shared/time/sleep.ts";
import { createBaselineStore } from "./assess/baseline-store.ts";
import { createLlmClient } from "./assess/llm-client.ts";
import {
  createLlmReviewer,
  createVerdictLookup,
  type LookUpVerdict,
  withoutLlmReview,
} from "./assess/llm-review.ts";
import { createPresenceCache } from "./assess/presence-cache.ts";
import { readConfig } from "./config.ts";
import { createDeliverer } from "./deliver/deliver-webhooks.ts";
import { createDeliverySlots } from "./deliver/delivery-slots.ts";
import { createPostWebhook } from "./deliver/post-webhook.ts";
import { createWebhookLoops } from "./deliver/webhook-loop.ts";
import { auditSignatures } from "./fleet/audit-signatures.ts";
import { recordFleet } from "./fleet/count-fleet.ts";
import { createDynamo } from "./platform/dynamodb-client.ts";
import { answerProbe } from "./platform/health-endpoint.ts";
import { createMetrics } from "./platform/metrics.ts";
import { createTableBreaker } from "./platform/table-breaker.ts";
import { createTenantLoops, type TenantLoops } from "./platform/tenant-loops.ts";
import { createWatchdog } from "./platform/watchdog.ts";
import type { Deps } from "./receive/deps.ts";
import { createInFlightLimit } from "./receive/in-flight-limit.ts";
import { receiveUntilStopped } from "./receive/receive-loop.ts";
import { createQueue } from "./receive/sqs-queue.ts";
import { createReviewLoops } from "./review/review-loop.ts";

const TENANT_FRESH_MS = 10_000;
const COUNT_EVERY_MS = 10_000;
const COUNT_CONCURRENCY = 4;
const METRICS_EVERY_MS = 60_000;
const DEAD_LETTERS_EVERY_MS = 60_000;
const WATCH_EVERY_MS = 5000;
const PAUSE_MS = 20;
const PAUSE_MS_MAX = 2000;
/** Exit code of a worker that hangs and must be restarted: EX_SOFTWARE of sysexits(3). */
const EXIT_STALLED = 70;

const flushTelemetry = registerOtlp("lifecyclezero-worker", process.env);
const config = readConfig(process.env);
const clock = () => Date.now();
const log = createLog("worker", clock, (line) => console.log(line));
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

// The clock is monotonic, so setting the system time neither causes nor hides a stall.
const watchdog = createWatchdog(() => performance.now(), config.LZ_STALL_SECONDS);
const metrics = createMetrics();
const table = config.LZ_TABLE;
const direct = createDynamo(
  new DynamoDBClient({
    region: config.AWS_REGION,
    ...(config.DYNAMODB_ENDPOINT && { endpoint: config.DYNAMODB_ENDPOINT }),
    maxAttempts: 4,
  }),
  { clock, pause: (round) => pause(round), token: () => crypto.randomUUID() },
);
const breaker = createTableBreaker(direct, {
  table,
  random: Math.random,
  sleep,
  stop: stop.signal,
  log,
  metrics,
  onProbe: watchdog.onProgress,
});
const { dynamo } = breaker;
const sqs = new SQSClient({
  region: config.AWS_REGION,
  ...(config.SQS_ENDPOINT && { endpoint: config.SQS_ENDPOINT }),
  useQueueUrlAsEndpoint: config.SQS_ENDPOINT === undefined,
  md5: false, // the worker checks the HMAC of each pack instead
  // Without `throwOnRequestTimeout` the handler only logs a warning when a request exceeds its timeout.
  requestHandler: { connectionTimeout: 2000, requestTimeout: 30_000, throwOnRequestTimeout: true },
  maxAttempts: 3,
});
const queue = createQueue(sqs, config.SQS_QUEUE_URL, config.SQS_DLQ_URL, log);
/** Pause before a retry, with full jitter. After a write conflict, the workers therefore retry at different times. */
const pause: Deps["pause"] = (round) =>
  Bun.sleep(backoffCeilingMs(round, PAUSE_MS, PAUSE_MS_MAX) * Math.random());
const authority = createAuthority({
  dynamo,
  table,
  verifier: createVerifier(config.LZ_CONTROL_JWKS, config.LZ_ENROL_JWKS),
  mode: config.LZ_AUTHORITY,
  pause: (ms) => Bun.sleep(ms),
  log,
  onRefused: () => metrics.count("authority_refused_total"),
});
/** Counts the fleet of each tenant whose assets report to this worker. Each tenant has its own loop. */
const fleetCounts = createTenantLoops({
  runOnce: async (tenantId) => {
    await recordFleet(tenantId, deps);
    return false;
  },
  pauseMs: () => COUNT_EVERY_MS * (0.5 + Math.random()),
  onFault: (tenantId, error) => log("warn", "fleet.not-counted", { tenantId, error }),
  concurrency: COUNT_CONCURRENCY,
});
/** Highest version of the signed head that the signature audits have seen, by tenant. */
const seenVersions = new Map<string, number>();
const signatureAudits = createTenantLoops({
  runOnce: async (tenantId) => {
    await auditSignatures(tenantId, seenVersions, deps);
    return false;
  },
  pauseMs: () => COUNT_EVERY_MS * (0.5 + Math.random()),
  onFault: (tenantId, error) => log("warn", "signatures.not-audited", { tenantId, error }),
  concurrency: COUNT_CONCURRENCY,
});
const deps: Deps = {
  clock,
  log,
  dynamo,
  table,
  authority,
  queue,
  queueKeys: config.LZ_QUEUE_KEYS,
  presences: createPresenceCache(dynamo, table, pause),
  baselines: createBaselineStore({ dynamo, table }),
  metrics,
  withLock: createKeyedMutex(),
  lookUpVerdict: (...of) => adjudicate(...of),
  reviewDue: (tenantId) => reviews?.wake(tenantId),
  pause,
  breaker,
  visibilitySeconds: config.LZ_VISIBILITY_SECONDS,
  random: Math.random,
  tenant: freshTenants(),
  onOutboxEvent: (tenantId) => forwarding.wake(tenantId),
};
const { adjudicate, reviews } = reviewing();
const post = createPostWebhook(config.LZ_WEBHOOK_PRIVATE === "true");
const forwarding = createWebhookLoops({
  forward: createDeliverer({ ...deps, post, slots: createDeliverySlots() }),
  random: Math.random,
  log,
  metrics,
});

type Reviewing = { adjudicate: LookUpVerdict; reviews?: TenantLoops };

/** LLM reviews of recorded states. They run outside the heartbeat path, and only when an endpoint is configured. */
function reviewing(): Reviewing {
  const { LZ_AI_BASE_URL: baseUrl, LZ_AI_MODEL: model, LZ_AI_API_KEY: apiKey } = config;
  if (baseUrl === undefined || model === undefined) {
    log("info", "adjudication.off", {
      reason: "LZ_AI_BASE_URL is not set. Findings come from rules and baseline only.",
    });
    return { adjudicate: withoutLlmReview };
  }
  log("info", "adjudication.on", { endpoint: new URL(baseUrl).origin, model });
  const limits = {
    timeoutMs: config.LZ_AI_TIMEOUT_MS,
    concurrency: config.LZ_AI_CONCURRENCY,
    dailyQuestions: config.LZ_AI_DAILY_QUESTIONS,
  };
  const reader = { dynamo, table, clock, log, metrics };
  return {
    adjudicate: createVerdictLookup(model, reader),
    reviews: createReviewLoops({
      deps,
      reviewer: createLlmReviewer(createLlmClient({ baseUrl, model, apiKey }), model, limits, reader),
      concurrency: limits.concurrency,
      random: Math.random,
    }),
  };
}

/**
 * Cached tenant settings, at most {@link TENANT_FRESH_MS} old. A change by an administrator reaches every
 * worker within that time. Most heartbeats need no read of the settings.
 */
function freshTenants(): Deps["tenant"] {
  const kept = new Map<string, { tenant: Promise<TenantItem>; untilMs: number }>();
  return (tenantId) => {
    forwarding.add(tenantId);
    fleetCounts.add(tenantId);
    signatureAudits.add(tenantId);
    reviews?.add(tenantId);
    const known = kept.get(tenantId);
    if (known && clock() < known.untilMs) return known.tenant;
    const tenant = readTenant({ authority }, tenantId);
    kept.set(tenantId, { tenant, untilMs: clock() + TENANT_FRESH_MS });
    tenant.catch(() => kept.delete(tenantId));
    return tenant;
  };
}

setInterval(() => {
  if (stop.signal.aborted || !watchdog.isStalled()) return;
  log("error", "worker.stalled", { seconds: Math.round(watchdog.silentSeconds()) });
  process.exit(EXIT_STALLED);
}, WATCH_EVERY_MS).unref();
setInterval(() => log("info", "worker.metrics", metrics.read()), METRICS_EVERY_MS).unref();
stop.signal.addEventListener("abort", () => {
  setTimeout(() => {
    log("error", "worker.stopped-late", { afterSeconds: config.LZ_STOP_SECONDS });
    process.exit(1);
  }, config.LZ_STOP_SECONDS * 1000).unref();
});

/** Counts dead letters outside the heartbeat path, so that a slow response of the queue delays no heartbeat. */
async function countDeadLettersUntilStopped(): Promise<void> {
  let before = 0;
  while (!stop.signal.aborted) {
    try {
      const count = await queue.deadLetters();
      metrics.gauge("dead_letters", count);
      if (count > before) log("warn", "dead-letters.found", { count, command: "lz dlq list" });
      before = count;
    } catch (error) {
      log("warn", "dead-letters.not-counted", { error });
    }
    await sleep(DEAD_LETTERS_EVERY_MS, stop.signal);
  }
}

if (config.LZ_METRICS_PORT !== undefined) {
  const { port } = Bun.serve({
    port: config.LZ_METRICS_PORT,
    hostname: config.LZ_METRICS_HOST,
    fetch: (request) => answerProbe(request, metrics, watchdog),
  });
  log("info", "worker.metrics-served", { port });
}

const load = createInFlightLimit({
  messages: config.LZ_IN_FLIGHT_MESSAGES,
  bytes: config.LZ_IN_FLIGHT_BYTES,
});
const waits = { random: Math.random, sleep, onProgress: watchdog.onProgress };
log("info", "worker.receiving", { receivers: config.LZ_RECEIVERS });
void fleetCounts.run(stop.signal);
void signatureAudits.run(stop.signal);
void reviews?.run(stop.signal);
void countDeadLettersUntilStopped();
void forwarding.run(stop.signal);
await Promise.all(
  Array.from({ length: config.LZ_RECEIVERS }, () => receiveUntilStopped(deps, stop.signal, load, waits)),
);
await flushTelemetry();
log("info", "worker.stopped");
process.exit(0);
