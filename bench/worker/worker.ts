import { heapStats } from "bun:jsc";
import { percentile } from "../../lz/platform/percentile.ts";
import { createAuthority } from "../../shared/authority/read-authority.ts";
import { createVerifier } from "../../shared/authority/verify-authority.ts";
import { fromUtf8 } from "../../shared/encoding/bytes.ts";
import { createKeyedMutex } from "../../shared/keyed-mutex.ts";
import { evaluate } from "../../shared/policy/evaluate/evaluate.ts";
import { encodeEntry, encodePack } from "../../shared/queue/message.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import type { TelemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import { type TenantItem, tenantDefaults } from "../../shared/table/items/tenant.ts";
import { heartbeat } from "../../shared/wire/heartbeat.ts";
import { stateText } from "../../shared/wire/state.ts";
import { createBaselineStore } from "../../worker/assess/baseline-store.ts";
import { withoutLlmReview } from "../../worker/assess/llm-review.ts";
import { createPresenceCache } from "../../worker/assess/presence-cache.ts";
import { type Delivery, parseDelivery } from "../../worker/heartbeat/parse-heartbeat.ts";
import type { Message } from "../../worker/heartbeat/queue-message.ts";
import { changeItem, changePut } from "../../worker/heartbeat/telemetry-items.ts";
import { openMessage } from "../../worker/heartbeat/verify-message.ts";
import { createMetrics } from "../../worker/platform/metrics.ts";
import type { Deps } from "../../worker/receive/deps.ts";
import { pollOnce } from "../../worker/receive/process-batch.ts";
import { readArguments } from "../harness/arguments.ts";
import { finish, median, round } from "../harness/report.ts";
import { type BenchAsset, hmac, makeAsset, nextHeartbeat } from "../load/asset.ts";

/*
 * Measures the worker's work on one core, without a network. The bench uses a stub queue with prepared
 * messages and an in-memory table. `pollOnce` runs as in production: it verifies, decodes and validates
 * heartbeats, computes state hashes, evaluates the heartbeats, and plans the writes.
 */

const { json, numbers } = readArguments(
  "worker",
  "Unchanged and changed heartbeats per second and core, without network.",
  {
    rounds: {
      min: 1,
      max: 100,
      default: 5,
      says: "number of rounds; each round measures unchanged and changed heartbeats",
    },
    milliseconds: {
      min: 50,
      max: 60_000,
      default: 1000,
      says: "duration of one measurement in milliseconds",
    },
    assets: { min: 40, max: 100_000, default: 2000, says: "number of simulated assets" },
  },
);

const TENANT = "org_bench";
const PACK_HEARTBEATS = 40;
const MESSAGES_AT_ONCE = 10;
const CHANGED_ROUNDS = 12;
const KEY = Buffer.alloc(32, 3);
const SECRET = { version: "v1", bytes: Buffer.alloc(32, 7) };
// Time of the first heartbeats. All heartbeats are in one resolution interval, so unchanged heartbeats write
// nothing. This is the usual case.
const START_MS = Date.parse("2026-11-21T12:00:00.000Z");

function messageOf(
  entries: { asset: BenchAsset; body: string; receivedAtMs: number }[],
  number: number,
): Message {
  const lines = entries.map(({ asset, body, receivedAtMs }) =>
    encodeEntry({ assetId: asset.assetId, receivedAt: new Date(receivedAtMs).toISOString(), body }),
  );
  const body = fromUtf8(encodePack(TENANT, lines));
  const signature = hmac(KEY, body).toString("base64url");
  return {
    id: `m${number}`,
    receipt: `r${number}`,
    body,
    kid: "q1",
    signature,
    receives: 1,
    sentAtMs: START_MS,
  };
}

/** Messages that contain one heartbeat of every asset. */
function sweep(assets: BenchAsset[], sentAtMs: number): Message[] {
  const entries = assets.map((asset) => ({
    asset,
    body: JSON.stringify(nextHeartbeat(asset, sentAtMs)),
    receivedAtMs: sentAtMs + 20,
  }));
  const messages: Message[] = [];
  for (let from = 0; from < entries.length; from += PACK_HEARTBEATS) {
    messages.push(messageOf(entries.slice(from, from + PACK_HEARTBEATS), messages.length));
  }
  return messages;
}

type Stored = Record<string, { S?: string }>;
type Written = { Item?: Stored };

/**
 * Test double of the table. It stores presences, because the worker reads the presence of an asset again
 * after a change. Other writes succeed without storing anything.
 */
function fakeTable(): { dynamo: Dynamo; writes: () => number } {
  const presences = new Map<string, Stored>();
  let writes = 0;
  const keep = (written?: Written): object => {
    writes++;
    const item = written?.Item;
    if (item?.type?.S === "Presence") presences.set(item.SK!.S!, item);
    return {};
  };
  const answers: Record<string, (input: never) => object> = {
    GetItem: ({ Key }: { Key: Stored }) => {
      const Item = presences.get(Key.SK!.S!);
      return Item ? { Item } : {};
    },
    BatchGetItem: ({ RequestItems }: { RequestItems: Record<string, { Keys: Stored[] }> }) => ({
      Responses: Object.fromEntries(
        Object.entries(RequestItems).map(([name, { Keys }]) => [
          name,
          Keys.flatMap(({ SK }) => presences.get(SK!.S!) ?? []),
        ]),
      ),
    }),
    Query: () => ({ Items: [] }),
    PutItem: keep,
    UpdateItem: () => keep(),
    TransactWriteItems: ({ TransactItems }: { TransactItems: { Put?: Written }[] }) => {
      for (const { Put } of TransactItems) keep(Put);
      return {};
    },
  };
  const dynamo = async (operation: string, input: unknown) => answers[operation]!(input as never);
  return { dynamo: dynamo as unknown as Dynamo, writes: () => writes };
}

const pause = async () => {};

function createDeps(tenant: TenantItem) {
  const table = fakeTable();
  let waiting: Message[][] = [];
  let removed = 0;
  let buried = 0;
  const deps: Deps = {
    clock: () => START_MS,
    log: () => {},
    dynamo: table.dynamo,
    table: "bench",
    authority: createAuthority({
      dynamo: table.dynamo,
      table: "bench",
      verifier: createVerifier({ keys: [] }),
      mode: "observe",
      pause,
      log: () => {},
    }),
    queue: {
      receive: async () => waiting.shift() ?? [],
      remove: async (messages) => {
        removed += messages.length;
      },
      extend: async () => {},
      bury: async () => void buried++,
    },
    queueKeys: new Map([["q1", KEY]]),
    presences: createPresenceCache(table.dynamo, "bench", pause),
    baselines: createBaselineStore({ dynamo: table.dynamo, table: "bench" }),
    metrics: createMetrics(),
    withLock: createKeyedMutex(),
    lookUpVerdict: withoutLlmReview,
    pause,
    tenant: async () => tenant,
    onOutboxEvent: () => {},
  };
  return {
    deps,
    writes: table.writes,
    /**
     * Checks that every delivered message was settled. Without this check, a bench in which all messages are
     * rejected would look fast.
     */
    assertSettled(messages: number) {
      if (buried > 0 || removed !== messages)
        throw new Error(
          `${removed} of ${messages} messages settled, ${buried} sent to the dead-letter queue`,
        );
      removed = 0;
    },
    fill(messages: readonly Message[]) {
      waiting = [];
      for (let from = 0; from < messages.length; from += MESSAGES_AT_ONCE) {
        waiting.push(messages.slice(from, from + MESSAGES_AT_ONCE));
      }
    },
  };
}

const never = new AbortController().signal;

/** Processes the messages and returns the number of settled heartbeats. Everything runs in this thread. */
async function drain(worker: ReturnType<typeof createDeps>, messages: readonly Message[]): Promise<number> {
  worker.fill(messages);
  let settled = 0;
  for (let done = await pollOnce(worker.deps, never); done > 0; done = await pollOnce(worker.deps, never))
    settled += done;
  worker.assertSettled(messages.length);
  return settled;
}

const tenant = tenantDefaults(TENANT);
const assets = Array.from({ length: numbers.assets }, (_, number) =>
  makeAsset(TENANT, number, SECRET, START_MS),
);
const first = sweep(assets, START_MS);
const same = sweep(assets, START_MS + 5000);
const changed = Array.from({ length: CHANGED_ROUNDS }, (_, number) => {
  const atMs = START_MS + 10_000 + number * 1000;
  for (const asset of assets) {
    asset.stateSince = new Date(atMs).toISOString();
    asset.engines = [{ ...asset.engines[0]!, version: `0.13.${number}` }];
  }
  return sweep(assets, atMs);
});

async function measureUnchanged(milliseconds: number): Promise<number> {
  const worker = createDeps(tenant);
  await drain(worker, first);
  // For some assets, the resolution interval may end between the two sweeps. Their samples are written here,
  // before the measurement.
  await drain(worker, same);
  const writesBefore = worker.writes();
  const startMs = performance.now();
  let settled = 0;
  while (performance.now() - startMs < milliseconds) settled += await drain(worker, same);
  const perSecond = (settled * 1000) / (performance.now() - startMs);
  if (worker.writes() !== writesBefore) throw new Error("an unchanged heartbeat caused a write");
  return perSecond;
}

async function measureChanged(milliseconds: number): Promise<number> {
  let settled = 0;
  let tookMs = 0;
  while (tookMs < milliseconds) {
    const worker = createDeps(tenant);
    await drain(worker, first);
    const writesBefore = worker.writes();
    const startMs = performance.now();
    for (const messages of changed) {
      settled += await drain(worker, messages);
      if (performance.now() - startMs + tookMs > milliseconds) break;
    }
    tookMs += performance.now() - startMs;
    if (worker.writes() === writesBefore) throw new Error("a changed heartbeat caused no write");
  }
  return (settled * 1000) / tookMs;
}

const HEAP_SAMPLES = 15;

/**
 * JavaScript heap per heartbeat in bytes: the growth of the heap during a sweep of all assets, directly after
 * a garbage collection.
 *
 * The figure is a lower bound, because memory that fits into gaps of the heap does not count. If the garbage
 * collector runs during a sweep, the growth is smaller. Therefore the result is the upper quartile.
 */
async function heapBytes(
  worker: ReturnType<typeof createDeps>,
  sweeps: readonly Message[][],
): Promise<number> {
  const grown: number[] = [];
  for (const messages of sweeps) {
    Bun.gc(true);
    const before = heapStats().heapCapacity;
    const settled = await drain(worker, messages);
    grown.push(Math.max(0, heapStats().heapCapacity - before) / settled);
  }
  return Math.round(percentile(Float64Array.from(grown).sort(), 0.75));
}

async function measureHeap() {
  const worker = createDeps(tenant);
  await drain(worker, first);
  await drain(worker, same);
  const unchanged = await heapBytes(
    worker,
    Array.from({ length: HEAP_SAMPLES }, () => same),
  );
  return { unchanged, changed: await heapBytes(worker, changed) };
}

/** Duration of one step in µs per heartbeat, computed as the median of repeated runs over the same messages. */
async function step(work: () => unknown): Promise<number> {
  const took: number[] = [];
  for (let sample = 0; sample < 7; sample++) {
    const startMs = performance.now();
    const result = work();
    if (result instanceof Promise) await result;
    took.push(((performance.now() - startMs) * 1000) / (some.length * PACK_HEARTBEATS));
  }
  return round(median(took.slice(2)));
}

const some = same.slice(0, Math.min(20, Math.floor(numbers.assets / PACK_HEARTBEATS)));
const keys = new Map([["q1", KEY]]);
const packs = some.map((message) => {
  const opened = openMessage(message, keys);
  if (!opened.ok) throw new Error(opened.reason);
  return opened.pack;
});
const bodies = packs.flatMap((pack) => pack.entries.map(({ body }) => body));
const parsed = bodies.map((body) => JSON.parse(body) as unknown);
const heartbeats = parsed.map((each) => heartbeat.parse(each));
const texts = heartbeats.map(stateText);
const deliveries = packs.flatMap((pack, index) =>
  pack.entries.map((entry) => parseDelivery(entry, { message: some[index]!, tenantId: TENANT })!),
);
const assessmentOf = (delivery: Delivery) =>
  evaluate({ heartbeat: delivery.heartbeat(), policy: tenant.policy, at: delivery.at });
const items = deliveries.map((delivery) => ({ delivery, assessment: assessmentOf(delivery) }));
const putOf = ({ delivery, assessment }: (typeof items)[number]) =>
  changePut(
    changeItem(delivery, delivery.at, assessment, tenant) as TelemetryItem & { kind: "change" },
    tenant,
    "bench",
  );

await measureUnchanged(300);
await measureChanged(300);
const rounds: { unchanged: number; changed: number }[] = [];
for (let number = 0; number < numbers.rounds; number++) {
  const unchanged = await measureUnchanged(numbers.milliseconds);
  const changedPerSecond = await measureChanged(numbers.milliseconds);
  rounds.push({ unchanged, changed: changedPerSecond });
  console.log(
    `round ${number + 1}: unchanged ${round(unchanged, 0)}/s  changed ${round(changedPerSecond, 0)}/s`,
  );
}
const steps = {
  "verify and unpack": await step(() => some.map((message) => openMessage(message, keys))),
  "JSON.parse": await step(() => bodies.map((body) => JSON.parse(body))),
  "validate (zod)": await step(() => parsed.map((each) => heartbeat.safeParse(each))),
  "state text": await step(() => heartbeats.map(stateText)),
  "state hash": await step(() => texts.map((text) => Bun.hash.wyhash(text))),
  "evaluate (changed only)": await step(() => deliveries.map(assessmentOf)),
  "make the telemetry item (changed only)": await step(() => items.map(putOf)),
};
console.log(`\ncost of each step, µs per heartbeat of ${bodies[0]!.length} bytes:`);
for (const [name, micros] of Object.entries(steps)) console.log(`  ${name.padEnd(44)} ${micros}`);
const unchangedPerSecond = Math.round(median(rounds.map((each) => each.unchanged)));
const changedPerSecond = Math.round(median(rounds.map((each) => each.changed)));
const heapBytesPerHeartbeat = await measureHeap();
const rssMb = round(process.memoryUsage.rss() / 2 ** 20, 0);
console.log(
  `\nheap taken per heartbeat: unchanged ${heapBytesPerHeartbeat.unchanged} bytes, changed ${heapBytesPerHeartbeat.changed} bytes at least; ${rssMb} MiB resident`,
);
console.log(`\nunchanged ${unchangedPerSecond}/s, changed ${changedPerSecond}/s on one core`);
finish(json, {
  unchangedPerSecond,
  changedPerSecond,
  heartbeatBytes: bodies[0]!.length,
  heapBytesPerHeartbeat,
  rssMb,
  stepsMicros: steps,
});
