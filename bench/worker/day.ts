import { makeEngine, makeHeartbeat } from "../../lz/platform/simulated-agents.ts";
import { createAuthority } from "../../shared/authority/read-authority.ts";
import { createVerifier } from "../../shared/authority/verify-authority.ts";
import { fromUtf8 } from "../../shared/encoding/bytes.ts";
import { createKeyedMutex } from "../../shared/keyed-mutex.ts";
import { encodeEntry, encodePack } from "../../shared/queue/message.ts";
import { type AttributeMap, type Dynamo, DynamoFault } from "../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../shared/table/items/tenant.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { HOUR_MS } from "../../shared/time/durations.ts";
import { createMemoryDynamo } from "../../tests/support/dynamo/memory-dynamo.ts";
import { createBaselineStore } from "../../worker/assess/baseline-store.ts";
import { withoutLlmReview } from "../../worker/assess/llm-review.ts";
import { createPresenceCache } from "../../worker/assess/presence-cache.ts";
import type { Message } from "../../worker/heartbeat/queue-message.ts";
import { createMetrics } from "../../worker/platform/metrics.ts";
import type { Deps } from "../../worker/receive/deps.ts";
import { pollOnce } from "../../worker/receive/process-batch.ts";
import { readArguments } from "../harness/arguments.ts";
import { finish, round } from "../harness/report.ts";
import { hmac } from "../load/asset.ts";

/*
 * Simulates a day of a fleet with the agents' heartbeat interval. All heartbeats pass through the worker's
 * `pollOnce`, which verifies, decodes, assesses and writes them. One in a thousand asset hours is risky. The
 * bench counts the resulting incidents.
 */

const { json, numbers } = readArguments(
  "day",
  "The number of incidents of a fleet in a day, with 0.1 % risky hours.",
  {
    assets: { min: 42, max: 100_000, default: 1000, says: "number of simulated assets" },
    seconds: { min: 1, max: 600, default: 5, says: "heartbeat interval of an asset in seconds" },
    resolution: {
      min: 60,
      max: 3600,
      default: 60,
      says: "interval in seconds between two telemetry samples of an asset",
    },
    hours: { min: 1, max: 48, default: 24, says: "number of simulated hours" },
  },
);

const TENANT = "org_bench";
const KEY = Buffer.alloc(32, 3);
const PACK_HEARTBEATS = 40;
const START_MS = Date.parse("2026-11-20T00:00:00.000Z");
const RESTART_MS = 10 * 60_000;
const HEAD = /^\{"v":1,"sequence":\d+,"sentAt":"[^"]+","stateSince":"[^"]+",/;

const tenant = { ...tenantDefaults(TENANT), telemetryResolutionSeconds: numbers.resolution };
tenant.policy.approvedEngines = ["ollama"];
tenant.policy.approvedModels = ["*"];

/**
 * Number of an asset's risky episode at a point in time. Undefined outside of risky episodes. Every 42nd
 * asset has one risky hour, at a different time for each asset. That makes 24 of 24,000 asset hours. During
 * the risky hour, the asset's engine restarts every ten minutes.
 */
const episode = (asset: number, ms: number): number | undefined =>
  asset % 42 === 7 && Math.floor(ms / HOUR_MS) === Math.floor(asset / 42) % 24
    ? Math.floor(ms / RESTART_MS)
    : undefined;

type Simulated = { assetId: string; state: number; since: string; rest: string };
const assets = Array.from(
  { length: numbers.assets },
  (_, asset): Simulated => ({
    assetId: `01K${String(asset).padStart(23, "0")}`,
    state: Number.NaN,
    since: "",
    rest: "",
  }),
);

/** Body of a heartbeat, as an agent writes it. For an unchanged state, only the first members are written again. */
function bodyOf(asset: Simulated, number: number, sequence: number, atMs: number): string {
  const started = episode(number, atMs - START_MS) ?? -1;
  const at = timestamp(atMs);
  if (asset.state !== started) {
    const engine = started < 0 ? makeEngine() : makeEngine({ bind: ["0.0.0.0"], pid: 100 + started });
    const beat = makeHeartbeat(sequence, atMs, `host-${number}`, { engines: [engine], stateSince: at });
    asset.rest = JSON.stringify(beat).replace(HEAD, "");
    asset.state = started;
    asset.since = at;
  }
  return `{"v":1,"sequence":${sequence},"sentAt":"${at}","stateSince":"${asset.since}",${asset.rest}`;
}

function* messagesOf(sequence: number, atMs: number): Generator<Message> {
  for (let from = 0; from < assets.length; from += PACK_HEARTBEATS) {
    const lines = assets.slice(from, from + PACK_HEARTBEATS).map((asset, index) => {
      const body = bodyOf(asset, from + index, sequence, atMs + (from + index));
      return encodeEntry({ assetId: asset.assetId, receivedAt: timestamp(atMs + from + index + 20), body });
    });
    const body = fromUtf8(encodePack(TENANT, lines));
    const signature = hmac(KEY, body).toString("base64url");
    yield { id: `m${from}`, receipt: "r", body, kid: "k", signature, receives: 1, sentAtMs: 0 };
  }
}

/**
 * An in-memory table. The table counts samples instead of storing them, and remembers the time of each
 * asset's newest sample.
 */
function createTable(): { dynamo: Dynamo; items: ReadonlyMap<string, AttributeMap>; samples: () => number } {
  const table = createMemoryDynamo();
  const newest = new Map<string, string>();
  let samples = 0;
  const dynamo = (async (operation: never, input: { Item?: AttributeMap }) => {
    const { kind, assetId, at } = input.Item ?? {};
    if (kind?.S !== "sample") return table.dynamo(operation, input as never);
    if (newest.get(assetId!.S!) === at!.S) throw new DynamoFault("ConditionalCheckFailedException");
    newest.set(assetId!.S!, at!.S!);
    samples++;
    return {};
  }) as unknown as Dynamo;
  return { dynamo, items: table.items, samples: () => samples };
}

const table = createTable();
const pause = async () => {};
let waiting: Message[] = [];
let nowMs = START_MS;
const metrics = createMetrics();
const deps: Deps = {
  clock: () => nowMs,
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
    receive: async () => waiting.splice(0),
    remove: async () => {},
    extend: async () => {},
    bury: async ({ reason }) => {
      throw new Error(`a heartbeat went to the dead-letter queue: ${reason}`);
    },
  },
  queueKeys: new Map([["k", KEY]]),
  presences: createPresenceCache(table.dynamo, "bench", pause),
  baselines: createBaselineStore({ dynamo: table.dynamo, table: "bench" }),
  metrics,
  withLock: createKeyedMutex(),
  lookUpVerdict: withoutLlmReview,
  pause,
  tenant: async () => tenant,
  onOutboxEvent: () => {},
};

const never = new AbortController().signal;
const rounds = Math.floor((numbers.hours * 3600) / numbers.seconds);
const startedMs = performance.now();
let heartbeats = 0;
let risky = 0;
let largest = 0;
for (let number = 0; number < rounds; number++) {
  nowMs = START_MS + number * numbers.seconds * 1000;
  waiting = [...messagesOf(number + 1, nowMs)];
  heartbeats += await pollOnce(deps, never);
  risky += assets.filter(({ state }) => state >= 0).length;
  if (number % Math.ceil(rounds / numbers.hours) === 0) {
    largest = Math.max(largest, process.memoryUsage.rss());
    console.log(`hour ${Math.floor((number * numbers.seconds) / 3600)}: ${heartbeats} heartbeats`);
  }
}
if (heartbeats !== rounds * assets.length)
  throw new Error(`${heartbeats} of ${rounds * assets.length} heartbeats settled`);

const incidents = [...table.items.values()].filter(({ type }) => type?.S === "Incident");
const open = incidents.filter(({ GSI2PK }) => GSI2PK !== undefined).length;
const events = Object.fromEntries(
  Map.groupBy(
    [...table.items.values()].filter(({ type }) => type?.S === "Event"),
    ({ kind }) => kind!.S!,
  )
    .entries()
    .map(([kind, { length }]) => [kind, length]),
);
const rules = Object.fromEntries(
  Map.groupBy(incidents, ({ rule }) => rule!.S!)
    .entries()
    .map(([rule, { length }]) => [rule, length]),
);
const unchanged = metrics.read().heartbeats_unchanged_total!;
const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `\n${assets.length} assets, ${numbers.hours} h at ${numbers.seconds} s: ${heartbeats} heartbeats, ${risky} of them risky ` +
    `(${round((risky * 100) / heartbeats, 3)} %)\n${incidents.length} incidents ${JSON.stringify(rules)}, ${open} open at the end, ` +
    `events ${JSON.stringify(events)}\n${unchanged} heartbeats caused no write, ${table.samples()} samples\n` +
    `${round(seconds, 0)} s, generator included; at most ${round(largest / 2 ** 20, 0)} MiB`,
);
finish(json, {
  heartbeats,
  risky,
  incidents: incidents.length,
  open,
  rules,
  events,
  unchanged,
  samples: table.samples(),
});
