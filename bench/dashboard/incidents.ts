import { assemble } from "../../edge/composition-root.ts";
import { readConfig } from "../../edge/config.ts";
import { listIncidents } from "../../edge/control/incidents/list-incidents.ts";
import type { Deps } from "../../edge/deps.ts";
import { makeSecrets } from "../../local/secrets.ts";
import { percentile } from "../../lz/platform/percentile.ts";
import type { TelemetryItem } from "../../shared/table/items/asset/telemetry.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import { alerts, incidentKey, indexSort, SHARDS_DEFAULT, telemetryKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { MINUTE_MS } from "../../shared/time/durations.ts";
import { readArguments } from "../harness/arguments.ts";
import { offlineEnvironment, scratchFolder, startTable } from "../harness/backends.ts";
import { importTable, writeSchema } from "../harness/imported-table.ts";
import { finish, median, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { assetIdOf } from "../load/asset.ts";

/*
 * Runs the dashboard's incident query on two tables. Both tables have the same open incidents, but one has
 * few telemetry items and the other has many. GSI2 is sparse, so the query on the large table must not be
 * slower. The queries alternate between the two databases.
 */

const { json, numbers } = readArguments(
  "incidents",
  "The edge's incident query (GSI2) on a large table beside a small one.",
  {
    items: {
      min: 1000,
      max: 5_000_000,
      default: 200_000,
      says: "number of telemetry items in the large table",
    },
    small: {
      min: 100,
      max: 1_000_000,
      default: 10_000,
      says: "number of telemetry items in the small table",
    },
    open: { min: 1, max: 10_000, default: 100, says: "number of open incidents in each table" },
    queries: { min: 10, max: 100_000, default: 400, says: "number of queries on each table, alternating" },
  },
);

const TENANT = "org_bench";
const ASSETS = 1000;
const PAGE = 50;
const START_MS = Date.parse("2026-06-01T00:00:00.000Z");

/** Telemetry samples of a thousand assets, one minute apart, round-robin over the assets. */
function* telemetry(count: number): Generator<object> {
  for (let number = 0; number < count; number++) {
    const assetId = assetIdOf(number % ASSETS);
    const at = timestamp(START_MS + Math.floor(number / ASSETS) * MINUTE_MS);
    const item: TelemetryItem = {
      type: "Telemetry",
      kind: "sample",
      tenantId: TENANT,
      assetId,
      at,
      expiresAt: 1_900_000_000,
    };
    yield { ...telemetryKey(TENANT, assetId, at, SHARDS_DEFAULT), ...item };
  }
}

function* incidents(count: number): Generator<object> {
  for (let number = 0; number < count; number++) {
    const assetId = assetIdOf(number % ASSETS);
    const name = { assetId, rule: `exposed-engine-${Math.floor(number / ASSETS)}`, engine: "ollama" };
    const openedAt = timestamp(START_MS + number * 1000);
    const item: IncidentItem = {
      type: "Incident",
      tenantId: TENANT,
      ...name,
      engineName: "Ollama",
      status: "OPEN",
      risk: "CRITICAL",
      points: 80,
      explanation: "Ollama listens on 0.0.0.0 (pid 4242, port 11434) and requires no credential.",
      hostname: `bench-${number}.example.com`,
      openedAt,
      lastSeenAt: openedAt,
    };
    const index = { GSI2PK: alerts(TENANT, "CRITICAL"), GSI2SK: indexSort(openedAt, assetId) };
    yield { ...incidentKey(TENANT, name, SHARDS_DEFAULT), ...index, ...item };
  }
}

function* items(count: number): Generator<object> {
  yield* incidents(numbers.open);
  yield* telemetry(count);
}

const FIRST_TRIES_MAX = 60;

/**
 * Retries until the database responds. After a large import, the first response can take longer than the
 * edge's timeout.
 */
async function firstAnswer(ask: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await ask();
      return;
    } catch (error) {
      if (tries === FIRST_TRIES_MAX) throw error;
      await Bun.sleep(1000);
    }
  }
}

async function bench(scope: Scope) {
  const folder = scratchFolder(scope);
  const schema = await writeSchema(scope, folder);
  const readers: Deps[] = [];
  const secrets = await makeSecrets();
  for (const [name, count] of [
    ["small", numbers.small],
    ["large", numbers.items],
  ] as const) {
    const startMs = performance.now();
    const file = await importTable(scope, { folder, schema, name }, items(count));
    const { endpoint } = await startTable(scope, file);
    console.log(`${name}: ${count} telemetry items in ${round((performance.now() - startMs) / 1000, 1)} s`);
    const config = readConfig(offlineEnvironment(secrets, { dynamodbEndpoint: endpoint }));
    readers.push(await assemble(config, { sharesIo: true, sourceIp: () => "127.0.0.1" }));
  }
  const expected = Math.min(PAGE, numbers.open);
  const ask = async (reader: (typeof readers)[number]): Promise<number> => {
    const startMs = performance.now();
    const page = await listIncidents(reader, TENANT, { risk: "CRITICAL", limit: PAGE });
    const tookMs = performance.now() - startMs;
    if (page.items.length !== expected)
      throw new Error(`${page.items.length} incidents instead of ${expected}`);
    return tookMs;
  };
  const [small, large] = readers as [(typeof readers)[number], (typeof readers)[number]];
  for (const reader of readers) await firstAnswer(() => ask(reader));
  for (let warm = 0; warm < 40; warm++) {
    await ask(small);
    await ask(large);
  }
  const took = { small: [] as number[], large: [] as number[] };
  for (let number = 0; number < numbers.queries; number++) {
    // The second query of a pair benefits from the client's warm caches. Therefore the order within pairs
    // alternates.
    const order = number % 2 === 0 ? (["small", "large"] as const) : (["large", "small"] as const);
    for (const name of order) took[name].push(await ask(name === "small" ? small : large));
  }
  return took;
}

const took = await inScope(1800, bench);
const shareOf = (ms: number[], share: number) => round(percentile(Float64Array.from(ms).sort(), share));
const figures = {
  smallP50Ms: shareOf(took.small, 0.5),
  largeP50Ms: shareOf(took.large, 0.5),
  smallP99Ms: shareOf(took.small, 0.99),
  largeP99Ms: shareOf(took.large, 0.99),
};
const ratioLargeToSmall = round(median(took.large) / median(took.small), 3);
console.log(
  `${numbers.small} items: p50 ${figures.smallP50Ms}  p99 ${figures.smallP99Ms} ms   ${numbers.items} items: p50 ${figures.largeP50Ms}  p99 ${figures.largeP99Ms} ms   large/small ${ratioLargeToSmall}`,
);
finish(json, {
  ratioLargeToSmall,
  p99Ms: figures.largeP99Ms,
  items: numbers.items,
  small: numbers.small,
  ...figures,
});
