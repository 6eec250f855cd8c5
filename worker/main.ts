import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { createLog } from "../shared/log.ts";
import type { TenantItem } from "../shared/table/items.ts";
import { readTenant } from "../shared/table/read-tenant.ts";
import { readConfig } from "./config.ts";
import type { Deps } from "./deps.ts";
import { createDynamo } from "./dynamo.ts";
import { pollOnce } from "./poll.ts";
import { createPresences } from "./presences.ts";
import { createQueue } from "./queue.ts";

const TENANT_FRESH_MS = 10_000;
/** Longer than the long poll: a receive that is still silent then hangs. */
const RECEIVE_TIMEOUT_MS = 30_000;
const PAUSE_MS_MIN = 200;
const PAUSE_MS_MAX = 20_000;

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
  requestHandler: { connectionTimeout: 2000, requestTimeout: RECEIVE_TIMEOUT_MS },
  maxAttempts: 3,
});
const deps: Deps = {
  clock,
  log,
  dynamo,
  table: config.LZ_TABLE,
  queue: createQueue(sqs, config.SQS_QUEUE_URL, config.SQS_DLQ_URL, log),
  queueKeys: config.LZ_QUEUE_KEYS,
  presences: createPresences(dynamo, config.LZ_TABLE),
  tenant: freshTenants(),
};

/** Settings may be some seconds old: an admin's change reaches every worker soon, at no read per heartbeat. */
function freshTenants(): Deps["tenant"] {
  const kept = new Map<string, { tenant: Promise<TenantItem>; untilMs: number }>();
  return (tenantId) => {
    const known = kept.get(tenantId);
    if (known && clock() < known.untilMs) return known.tenant;
    const tenant = readTenant({ dynamo, table: config.LZ_TABLE }, tenantId);
    kept.set(tenantId, { tenant, untilMs: clock() + TENANT_FRESH_MS });
    tenant.catch(() => kept.delete(tenantId));
    return tenant;
  };
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

/** Receives until told to stop. A fault pauses this receiver, longer each time, and never ends it. */
async function receiveUntilStopped(): Promise<void> {
  let pauseMs = PAUSE_MS_MIN;
  while (!stop.signal.aborted) {
    try {
      await pollOnce(deps, stop.signal);
      pauseMs = PAUSE_MS_MIN;
    } catch (error) {
      if (stop.signal.aborted) break;
      log("error", "poll.failed", { pauseMs, error });
      await Promise.race([Bun.sleep(pauseMs * (0.5 + Math.random())), aborted(stop.signal)]);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

log("info", "worker.receiving", { receivers: config.LZ_RECEIVERS });
await Promise.all(Array.from({ length: config.LZ_RECEIVERS }, receiveUntilStopped));
log("info", "worker.stopped");
process.exit(0);
