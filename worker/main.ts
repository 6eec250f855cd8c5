import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { createLog } from "../shared/log.ts";
import { registerOtlp } from "../shared/otlp.ts";
import type { TenantItem } from "../shared/table/items.ts";
import { readTenant } from "../shared/table/read-tenant.ts";
import { type Adjudicate, adjudicateOff, createAdjudicator } from "./adjudicate.ts";
import { readConfig } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createDynamo } from "./dynamo.ts";
import { createAsk } from "./endpoint.ts";
import { forwardDue } from "./forward.ts";
import { createLoad } from "./load.ts";
import { createLocks } from "./locks.ts";
import { createMetrics, exposition } from "./metrics.ts";
import { createPasts } from "./pasts.ts";
import { createPresences } from "./presences.ts";
import { createQueue } from "./queue.ts";
import { receiveUntilStopped } from "./receive.ts";
import { createPostWebhook } from "./webhook-post.ts";

const TENANT_FRESH_MS = 10_000;
const FORWARD_EVERY_MS = 2000;
const METRICS_EVERY_MS = 60_000;
const WATCH_EVERY_MS = 5000;
const PAUSE_MS = 20;
const PAUSE_MS_MAX = 2000;
/** EX_SOFTWARE of sysexits(3): it hangs, somebody has to start it again. */
const EXIT_STALLED = 70;

const flushTelemetry = registerOtlp("lifecyclezero-worker", process.env);
const config = readConfig(process.env);
const clock = () => Date.now();
const log = createLog("worker", clock, (line) => console.log(line));
const dynamo = createDynamo(
  new DynamoDBClient({
    region: config.AWS_REGION,
    ...(config.DYNAMODB_ENDPOINT && { endpoint: config.DYNAMODB_ENDPOINT }),
    requestHandler: { connectionTimeout: 2000, requestTimeout: 5000 },
    maxAttempts: 4,
  }),
);
const sqs = new SQSClient({
  region: config.AWS_REGION,
  ...(config.SQS_ENDPOINT && { endpoint: config.SQS_ENDPOINT }),
  useQueueUrlAsEndpoint: config.SQS_ENDPOINT === undefined,
  md5: false, // the pack's own HMAC says more
  requestHandler: { connectionTimeout: 2000, requestTimeout: 30_000 },
  maxAttempts: 3,
});
/** Full jitter: of many that lost the same race, few meet again. */
const pause: Deps["pause"] = (round) =>
  Bun.sleep(Math.min(PAUSE_MS * 2 ** round, PAUSE_MS_MAX) * Math.random());
const metrics = createMetrics();
const table = config.LZ_TABLE;
/** Tenants whose assets were heard of: their webhooks are this worker's to serve too. */
const seenTenants = new Set<string>();
const deps: Deps = {
  clock,
  log,
  dynamo,
  table,
  queue: createQueue(sqs, config.SQS_QUEUE_URL, config.SQS_DLQ_URL, log),
  queueKeys: config.LZ_QUEUE_KEYS,
  presences: createPresences(dynamo, table, pause),
  pasts: createPasts({ dynamo, table }),
  metrics,
  locked: createLocks(),
  adjudicate: adjudicator(),
  pause,
  tenant: freshTenants(),
};

function adjudicator(): Adjudicate {
  const { LZ_AI_BASE_URL: baseUrl, LZ_AI_MODEL: model, LZ_AI_API_KEY: apiKey } = config;
  if (baseUrl === undefined || model === undefined) {
    log("info", "adjudication.off", { reason: "LZ_AI_BASE_URL is not set: rules and baseline alone" });
    return adjudicateOff;
  }
  log("info", "adjudication.on", { endpoint: new URL(baseUrl).origin, model });
  const limits = {
    timeoutMs: config.LZ_AI_TIMEOUT_MS,
    concurrency: config.LZ_AI_CONCURRENCY,
    dailyQuestions: config.LZ_AI_DAILY_QUESTIONS,
  };
  return createAdjudicator(createAsk({ baseUrl, model, apiKey }), model, limits, {
    dynamo,
    table,
    clock,
    log,
    metrics,
  });
}

/** Settings may be some seconds old: an admin's change reaches every worker soon, at no read per heartbeat. */
function freshTenants(): Deps["tenant"] {
  const kept = new Map<string, { tenant: Promise<TenantItem>; untilMs: number }>();
  return (tenantId) => {
    seenTenants.add(tenantId);
    const known = kept.get(tenantId);
    if (known && clock() < known.untilMs) return known.tenant;
    const tenant = readTenant({ dynamo, table }, tenantId);
    kept.set(tenantId, { tenant, untilMs: clock() + TENANT_FRESH_MS });
    tenant.catch(() => kept.delete(tenantId));
    return tenant;
  };
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
const sleep = (ms: number, signal: AbortSignal) => Promise.race([Bun.sleep(ms), aborted(signal)]);

/** A receiver that hangs without an error is the classic way for a worker to be up and dead. */
let lastProgressMs = clock();
const onProgress = () => {
  lastProgressMs = clock();
};
const silentSeconds = () => (clock() - lastProgressMs) / 1000;
setInterval(() => {
  if (stop.signal.aborted || silentSeconds() < config.LZ_STALL_SECONDS) return;
  log("error", "worker.stalled", { seconds: Math.round(silentSeconds()) });
  process.exit(EXIT_STALLED);
}, WATCH_EVERY_MS).unref();
setInterval(() => log("info", "worker.metrics", metrics.read()), METRICS_EVERY_MS).unref();
stop.signal.addEventListener("abort", () => {
  setTimeout(() => {
    log("error", "worker.stopped-late", { afterSeconds: config.LZ_STOP_SECONDS });
    process.exit(1);
  }, config.LZ_STOP_SECONDS * 1000).unref();
});

/** Webhooks, beside the heartbeats and never in their way. A fault is told and tried again. */
async function forwardUntilStopped(): Promise<void> {
  const forwarder = { ...deps, post: createPostWebhook(config.LZ_WEBHOOK_PRIVATE === "true") };
  while (!stop.signal.aborted) {
    for (const tenantId of seenTenants) {
      try {
        await forwardDue(await deps.tenant(tenantId), forwarder);
      } catch (error) {
        log("error", "webhooks.not-forwarded", { tenantId, error });
      }
    }
    await sleep(FORWARD_EVERY_MS * (0.5 + Math.random()), stop.signal);
  }
}

function serveMetrics(port: number): void {
  Bun.serve({
    port,
    hostname: config.LZ_METRICS_HOST,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/metrics") {
        return new Response(exposition(metrics), {
          headers: { "content-type": "text/plain; version=0.0.4" },
        });
      }
      if (pathname !== "/healthz") return new Response("not found\n", { status: 404 });
      const isWell = silentSeconds() < config.LZ_STALL_SECONDS / 2;
      return Response.json({ silentSeconds: Math.round(silentSeconds()) }, { status: isWell ? 200 : 503 });
    },
  });
}
if (config.LZ_METRICS_PORT !== undefined) serveMetrics(config.LZ_METRICS_PORT);

const load = createLoad({ messages: config.LZ_IN_FLIGHT_MESSAGES, bytes: config.LZ_IN_FLIGHT_BYTES });
const waits = { random: Math.random, sleep, onProgress };
log("info", "worker.receiving", { receivers: config.LZ_RECEIVERS });
void forwardUntilStopped();
await Promise.all(
  Array.from({ length: config.LZ_RECEIVERS }, () => receiveUntilStopped(deps, stop.signal, load, waits)),
);
await flushTelemetry();
log("info", "worker.stopped");
process.exit(0);
