import { assemble } from "../../edge/composition-root.ts";
import { readConfig } from "../../edge/config.ts";
import { startIssuer } from "../../local/issuer.ts";
import { makeSecrets } from "../../local/secrets.ts";
import { percentile } from "../../lz/platform/percentile.ts";
import { assetItem } from "../../shared/table/items/asset/asset.ts";
import { presenceItem } from "../../shared/table/items/asset/presence.ts";
import { assetKey, assetState, employeeAssets, presenceKey } from "../../shared/table/keys.ts";
import { readTenant } from "../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { recordFleet } from "../../worker/fleet/count-fleet.ts";
import { readArguments } from "../harness/arguments.ts";
import { offlineEnvironment, scratchFolder, startEdge, startTable } from "../harness/backends.ts";
import { importTable, writeSchema } from "../harness/imported-table.ts";
import { finish, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { assetIdOf } from "../load/asset.ts";

/*
 * Measures how long the overview page of a large fleet takes for a browser. Edge and table are separate
 * processes. _Cold_ is the first page of an edge that has just started, and uses the host count from the
 * worker. _Alone_ is the same page without that count. _Warm_ is the polling of an open page.
 */

const { json, numbers } = readArguments("dashboard", "The overview of a large fleet, cold and warm.", {
  assets: {
    min: 10,
    max: 100_000,
    default: 10_000,
    says: "number of hosts in the tenant; a third of the hosts have an engine",
  },
  pages: {
    min: 10,
    max: 100_000,
    default: 200,
    says: "number of warm page requests, sent one after the other",
  },
});

const TENANT = "org_bench";
const NOW_MS = Date.now();
const MODELS = ["llama3.1:8b", "gemma3:12b", "qwen2.5-coder:14b", "mistral-small3.1:24b"];

function itemsOf(number: number): object[] {
  const assetId = assetIdOf(number);
  const employeeId = `person.${number % Math.ceil(numbers.assets / 3)}`;
  const asset = assetItem.parse({
    type: "Asset",
    ...{ tenantId: TENANT, assetId, employeeId, hostname: `host-${number}`, os: "Ubuntu 24.04.3 LTS" },
    ...{ arch: "x64", deviceKey: "A".repeat(43), enrolledAt: timestamp(NOW_MS), status: "ACTIVE" },
    ...{ generation: 0, custodyCount: 0 },
  });
  const index = { GSI1PK: employeeAssets(TENANT, employeeId), GSI1SK: assetState("ACTIVE") };
  const has = number % 3 === 0;
  // This time is in the future, so that no host counts as silent during the measurement.
  const at = timestamp(NOW_MS + 3600_000);
  const presence = presenceItem.parse({
    type: "Presence",
    ...{
      tenantId: TENANT,
      assetId,
      lastSeenAt: at,
      sequence: 1,
      stateAt: at,
      stateSince: at,
      stateHash: "0",
    },
    ...{ sampledAt: at, intervalMs: 5000, agentVersion: "0.1.0", catalogue: "2026-11-18" },
    ...{ hostname: `host-${number}`, risk: "INFO", score: 0, spoolDropped: 0, openIncidents: [] },
    engines: has ? [{ id: "ollama", name: "Ollama", kind: "inference-engine", confidence: 98 }] : [],
    models: has ? [MODELS[number % MODELS.length]] : [],
    clients: has ? ["code"] : [],
    failedCollectors: [],
  });
  return [
    { ...assetKey(TENANT, assetId), ...index, ...asset },
    { ...presenceKey(TENANT, assetId), ...presence },
  ];
}

function* items(): Generator<object> {
  for (let number = 0; number < numbers.assets; number++) yield* itemsOf(number);
}

async function bench(scope: Scope) {
  const secrets = await makeSecrets();
  const folder = scratchFolder(scope);
  const schema = await writeSchema(scope, folder);
  const file = await importTable(scope, { folder, schema, name: "fleet" }, items());
  const { endpoint } = await startTable(scope, file);
  const backends = { dynamodbEndpoint: endpoint, queueUrl: "http://127.0.0.1:9/0/queue" };

  /** Starts an edge, and returns a function that requests the overview page. */
  async function freshEdge() {
    const issuer = await scope.start(
      () => startIssuer(secrets.issuerKey, "http://127.0.0.1", secrets.signInCode),
      ({ stop }) => stop(),
    );
    const environment = { LZ_ADMIN_JWKS_URL: issuer.jwksUrl, LZ_ADMIN_PARTIES: "http://127.0.0.1" };
    const { stage, port } = await startEdge(scope, "bun", secrets, backends, environment);
    const cookie = `__session=${await issuer.mint({ userId: "user_bench", role: "viewer" }, TENANT)}`;
    // Sign in first. The edge then fetches the identity provider's keys, which must not be part of the
    // measurement.
    const signIn = await fetch(`http://127.0.0.1:${port}/sign-in?switch`, { headers: { cookie } });
    if (!signIn.ok) throw new Error(`the sign-in returned ${signIn.status}`);
    const ask = async (): Promise<number> => {
      const startMs = performance.now();
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } });
      const text = (await answer.text()).replace(/<[^>]*>/g, "");
      if (!text.includes(`of ${numbers.assets.toLocaleString("en")} hosts are reporting`))
        throw new Error(`the page returned ${answer.status} without the fleet`);
      return performance.now() - startMs;
    };
    return { ask, stage };
  }

  const alone = await freshEdge();
  const aloneMs = await alone.ask();
  await alone.stage.stop();
  const config = readConfig(offlineEnvironment(secrets, { dynamodbEndpoint: endpoint }));
  const deps = await assemble(config, { sharesIo: true, sourceIp: () => "127.0.0.1" });
  const countedMs = performance.now();
  if (!(await recordFleet(TENANT, { ...deps, tenant: (id) => readTenant(deps, id) })))
    throw new Error("the worker did not count the fleet");
  const countMs = performance.now() - countedMs;
  const { ask } = await freshEdge();
  const coldMs = await ask();
  // The edge reads the fleet in the background. Requests during that time are measured too, because an open
  // page also sends requests then.
  const warm: number[] = [];
  for (let page = 0; page < numbers.pages; page++) warm.push(await ask());
  return { aloneMs, coldMs, countMs, warm };
}

const { aloneMs, coldMs, countMs, warm } = await inScope(900, bench);
const shareOf = (share: number) => round(percentile(Float64Array.from(warm).sort(), share), 1);
const figures = {
  coldMs: round(coldMs, 1),
  coldAloneMs: round(aloneMs, 1),
  warmP50Ms: shareOf(0.5),
  warmP95Ms: shareOf(0.95),
  countMs: round(countMs, 1),
};
console.log(
  `overview of ${numbers.assets} hosts: cold ${figures.coldMs} ms (${figures.coldAloneMs} without the worker's count)  warm p50 ${figures.warmP50Ms}  p95 ${figures.warmP95Ms} ms   the worker counts in ${figures.countMs} ms`,
);
finish(json, { assets: numbers.assets, pages: numbers.pages, ...figures });
