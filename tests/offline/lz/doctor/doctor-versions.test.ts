import { describe, expect, test } from "bun:test";
import { checkEdge } from "../../../../lz/doctor/doctor.ts";
import { checkVersions, readWorkerVersions } from "../../../../lz/doctor/versions.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { PRODUCT_VERSION } from "../../../../shared/product-version.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { fleetSummaryKey } from "../../../../shared/table/keys.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";

const TENANT = "org_a";
const OWN = PRODUCT_VERSION;
const agentsOf = (versions: Record<string, number>) =>
  Object.entries(versions).map(([version, hosts]) => ({ version, hosts }));

describe("checkVersions()", () => {
  test("one version everywhere is good, and the number of hosts is shown", () => {
    expect(checkVersions(OWN, { worker: OWN, agents: agentsOf({ [OWN]: 7 }) })).toEqual({
      name: "versions",
      state: "ok",
      found: `lz ${OWN}; edge ${OWN}; worker ${OWN}; agents ${OWN} on 7 (oldest ${OWN})`,
    });
  });

  test.each([
    ["a worker that is older than the edge", "0.3.0", "0.2.0", { "0.1.0": 1 }, "update the worker (0.2.0)"],
    [
      "an edge that is older than an agent",
      "0.2.0",
      "0.9.0",
      { "0.3.0": 1, "0.1.0": 9 },
      "update the edge (0.2.0)",
    ],
    [
      "a worker that is older than an agent",
      undefined,
      "0.9.0",
      { "0.10.0": 1 },
      "update the worker (0.9.0)",
    ],
  ] as const)("%s is a fault", (_what, edge, worker, agents, advice) => {
    const check = checkVersions(edge, { worker, agents: agentsOf(agents) });
    expect(check.state).toBe("not ok");
    expect(check.advice).toStartWith(advice);
  });

  test("parts with older versions in the right order are a note with the order of an update", () => {
    const check = checkVersions("0.2.0", { worker: "0.3.0", agents: agentsOf({ "0.2.0": 9, "0.1.0": 2 }) });
    expect(check).toMatchObject({
      state: "note",
      found: `lz ${OWN}; edge 0.2.0; worker 0.3.0; agents 0.2.0 on 9, 0.1.0 on 2 (oldest 0.1.0)`,
      advice: "update to one version: workers first, then edges, then agents",
    });
  });

  test("unknown versions are a note", () => {
    expect(checkVersions(undefined, undefined)).toMatchObject({ state: "note" });
    expect(checkVersions(OWN, undefined).found).toBe(
      `lz ${OWN}; edge ${OWN}; worker unknown; agents unknown`,
    );
  });
});

test("readWorkerVersions() reads the versions that a worker counted, and is undefined without them", async () => {
  const { dynamo } = createMemoryDynamo();
  expect(await readWorkerVersions({ dynamo, table: "t" }, TENANT)).toBeUndefined();
  const ranked = { total: 0, first: [] };
  const none = { hosts: 2, reporting: 2, silent: 0, never: 0, withAi: 0, withFailedSources: 0, kinds: 0 };
  const agentVersions = { total: 1, first: [{ key: "0.2.0", name: "0.2.0", hosts: 2 }] };
  const counts = { ...none, engines: ranked, models: ranked, clients: ranked, agentVersions };
  const summary = { type: "FleetSummary", tenantId: TENANT, counts, workerVersion: "0.3.0" };
  await dynamo("PutItem", {
    TableName: "t",
    Item: marshalItem({ ...fleetSummaryKey(TENANT), ...summary }),
  });
  expect(await readWorkerVersions({ dynamo, table: "t" }, TENANT)).toEqual({
    worker: "0.3.0",
    agents: [{ version: "0.2.0", hosts: 2 }],
  });
});

test("the edge sends its version to authenticated callers; control characters in it are removed", async () => {
  const answers: Record<string, object> = {
    "/healthz": { status: "ok" },
    "/readyz/admin": { status: "ready" },
    "/v1/me": { tenantId: TENANT, version: "0.2.0\u001b[31m" },
  };
  const fetch = async (request: Request) => Response.json(answers[new URL(request.url).pathname] ?? {});
  const told: string[] = [];
  const deps = { clock: () => 0, fetch } as unknown as Deps;
  await checkEdge({ url: "https://lz.example.com", token: "t" }, deps, (version) => told.push(version));
  expect(told).toHaveLength(1);
  expect(told[0]).toStartWith("0.2.0");
  expect(told[0]).not.toContain("\u001b");
});
