import { describe, expect, test } from "bun:test";
import { modelsOf } from "../../../../edge/dashboard/inventory/fleet-models.ts";
import { createFleets } from "../../../../edge/dashboard/overview/fleet-cache.ts";
import { compare } from "../../../../edge/dashboard/policy/dry-run.ts";
import { csrfToken } from "../../../../edge/dashboard/session/csrf.ts";
import { countFleet } from "../../../../shared/fleet/count.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import type { TelemetryChange } from "../../../../shared/table/items/asset/telemetry.ts";
import { fleetHourItem, fleetSummaryItem } from "../../../../shared/table/items/fleet.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { fleetHourKey, fleetSummaryKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createIds, engineOf, fleetHours, type Host, itemsOf } from "../../../browser/seed.ts";
import { eventually } from "../../../support/stack.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const nextId = createIds(NOW_MS - 1e9);
const MODEL = { name: "llama3.1:8b", loaded: true, licence: "Llama 3.1", quantisation: "Q4_K_M" };

const hostOf = (index: number, more: Partial<Host> = {}): Host => ({
  ...{ tenantId: "org_a", assetId: nextId(), hostname: `host-${index}`, employeeId: "mara", os: "Debian" },
  enrolledAtMs: NOW_MS,
  lastSeenAtMs: NOW_MS,
  states: [{ atMs: NOW_MS, engines: [engineOf({ models: [MODEL] })] }],
  ...more,
});

const summaryOf = (hosts: number, atMs: number) => {
  const counts = { ...countFleet([], atMs), hosts, reporting: hosts - 7, silent: 7 };
  const item = { type: "FleetSummary", tenantId: "org_a", at: timestamp(atMs), counts };
  return marshalItem({ ...fleetSummaryKey("org_a"), ...fleetSummaryItem.parse(item) });
};

describe("the overview of a node that has not read the fleet yet", () => {
  const MINUTES = 60_000;
  const worldOf = (hosts: number, atMs: number): Promise<World> =>
    createWorld(
      [...itemsOf(hostOf(1)), summaryOf(hosts, atMs), ...fleetHours("org_a", NOW_MS, hosts)],
      NOW_MS,
    );

  test("shows the last count of the worker with its age, and reads the fleet in the background", async () => {
    const world = await worldOf(10_000, NOW_MS - 12 * MINUTES);
    const read = async () => (await (await world.get("/")).text()).replace(/<[^>]*>/g, "");
    const first = await read();
    expect(first).toContain("9,993 of 10,000 hosts are reporting");
    expect(first).toContain("The fleet was counted");
    expect(first).toContain("12 min ago");
    const second = await eventually(async () => {
      const page = await read();
      return page.includes("1 of 1 host is reporting.") && page;
    });
    // A source that was read in part has not failed. The page must not claim that every source was read
    // completely.
    expect(second).toContain("No source failed");
    expect(second).not.toContain("all of its sources");
    expect(second).not.toContain("The fleet was counted");
  });

  test("waits for a read if the fleet is small or the last count is too old", async () => {
    for (const world of [await worldOf(300, NOW_MS), await worldOf(10_000, NOW_MS - 121 * MINUTES)])
      expect((await (await world.get("/")).text()).replace(/<[^>]*>/g, "")).toContain(
        "1 of 1 host is reporting.",
      );
  });

  test("reads the fleet once for concurrent requests", async () => {
    const world = await worldOf(10_000, NOW_MS);
    const logged: string[] = [];
    const deps = { ...world.deps, log: (_level: string, name: string) => void logged.push(name) };
    const works: Promise<unknown>[] = [];
    const fleets = createFleets(deps);
    await fleets.numbersOf("org_a", (work) => works.push(work));
    world.table.broken = true;
    for (let i = 0; i < 3; i++) await fleets.numbersOf("org_a", (work) => works.push(work));
    await Promise.all(works);
    expect(works).toHaveLength(1);
    expect(logged).toEqual([]);
  });

  test("says if there are more incidents than it reads, and the trend then uses the count of the worker", async () => {
    const finding = {
      ...{ rule: "exposed-engine", engine: "ollama", engineName: "Ollama", risk: "CRITICAL" as const },
      ...{ points: 80, explanation: "Ollama listens on 0.0.0.0." },
    };
    const hostsOf = (count: number) =>
      Array.from({ length: count }, (_, index) =>
        itemsOf(hostOf(index, { findings: [{ finding, openedAtMs: NOW_MS - index * 1000 }] })),
      ).flat();
    const hour = fleetHourItem.parse({
      ...{ type: "FleetHour", tenantId: "org_a", at: timestamp(NOW_MS - 3_600_000), hosts: 201 },
      ...{ reporting: 201, withAi: 201, critical: 201, warning: 0, expiresAt: NOW_MS },
    });
    const counted = marshalItem({ ...fleetHourKey("org_a", hour.at.slice(0, 13)), ...hour });
    const overviewOf = async (count: number) =>
      (await (await createWorld([...hostsOf(count), counted], NOW_MS)).get("/")).text();
    const [all, more] = [await overviewOf(200), await overviewOf(201)];
    expect(all).toContain("200 critical incidents are open");
    expect(all).not.toContain("of each risk");
    expect(more).toContain("More than 200 critical incidents are open");
    expect(more).toContain("Age of the newest 200 open incidents of each risk");
    expect(all).toContain("All 200 open incidents");
    expect(more).toContain("All open incidents");
    const trend = (markup: string) => markup.match(/>Critical <span class="number">(\d+)</)?.[1];
    expect([trend(all), trend(more)]).toEqual(["200", "201"]);
  });

  test("never shows a partial count of warnings or contained hosts as a total", async () => {
    const finding = {
      ...{ rule: "unapproved-engine", engine: "ollama", engineName: "Ollama", risk: "WARNING" as const },
      ...{ points: 40, explanation: "Ollama is not approved." },
    };
    const requestedAt = timestamp(NOW_MS - 60_000);
    const wish = {
      ...{ generation: 1, action: "isolate" as const, mode: "network" as const, requestedAt },
      ...{ expiresAt: timestamp(NOW_MS + 3_600_000), directive: "signed" },
    };
    const containment = { status: "ISOLATED" as const, generation: 1, wish };
    const overviewOf = async (warnings: number, contained: number) => {
      const hosts = Array.from({ length: warnings }, (_, index) =>
        hostOf(index, {
          findings: [{ finding, openedAtMs: NOW_MS - index * 1000 }],
          ...(index < contained && { containment }),
        }),
      );
      const markup = await (await createWorld(hosts.flatMap(itemsOf), NOW_MS)).get("/");
      return (await markup.text()).replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");
    };
    const [all, more] = [await overviewOf(200, 50), await overviewOf(201, 51)];
    expect(all).toContain("Nothing critical. 200 warnings are open");
    expect(all).toContain(" 50 In containment");
    expect(all).not.toContain("newest containment changes");
    expect(more).toContain("Nothing critical. More than 200 warnings are open");
    expect(more).toContain(" 50+ In containment");
    expect(more).toContain("among the 50 newest containment changes. All hosts with a requested isolation");
  });

  test("every number links to its list, and the trend has a table", async () => {
    const world = await worldOf(100, NOW_MS);
    const markup = await (await world.get("/")).text();
    for (const href of [
      "/assets?state=ai",
      "/assets?state=reporting",
      "/assets?engine=ollama",
      "/assets?model=llama3.1%3A8b",
      "/incidents?risk=CRITICAL",
      "/inventory#inventory-clients",
    ])
      expect(markup).toContain(`href="${href}"`);
    expect(markup).toContain("As a table, by day (UTC)");
    expect(markup.match(/<path class="line/g)).toHaveLength(4);
  });
});

describe("modelsOf()", () => {
  test("joins models by name, and counts each host once: in memory, otherwise on disk", () => {
    const rows = ["a", "b", "c"].map((assetId) => ({
      ...{ assetId, hostname: assetId, employeeId: assetId },
      ...{ os: "Linux", status: "ACTIVE" as const },
    }));
    const held = (assetId: string, ...models: object[]) => ({
      assetId,
      clients: [],
      models: models.map((model) => ({ name: "m", engine: "ollama", loaded: true, ...model })),
    });
    const [model, ...others] = modelsOf(rows, [
      held("a", { licence: "MIT", sizeBytes: 2e9 }, { loaded: false, licence: "MIT" }),
      held("b", { loaded: false, licence: "Apache-2.0", sizeBytes: 4e9 }),
      held("gone", { licence: "none" }),
    ]);
    expect(others).toEqual([]);
    expect(model).toMatchObject({ loaded: 1, atRest: 1, licences: ["Apache-2.0", "MIT"], sizes: [2e9, 4e9] });
    expect(model!.held).toHaveLength(3);
  });
});

describe("models on disk of applications that are not running", () => {
  const storeOf = (count: number) => ({
    id: "lm-studio",
    name: "LM Studio",
    models: Array.from({ length: count }, (_, at) => ({ name: `phi4:${at}` })),
  });
  const wordsOf = async (host: Host, path: string) => {
    const world = await createWorld(itemsOf(host), NOW_MS);
    return (await (await world.get(path)).text()).replace(/<[^>]*>/g, "");
  };
  const hostWith = (stores?: ReturnType<typeof storeOf>[]) =>
    hostOf(1, { states: [{ atMs: NOW_MS, engines: [], ...(stores && { stores }) }] });

  test('are on the page of their host, which says "none" only if the agent has scanned for them', async () => {
    const pageOf = (host: Host) => wordsOf(host, `/assets/${host.assetId}`);
    expect(await pageOf(hostWith([storeOf(2)]))).toContain("LM Studio2 modelsphi4:0on diskphi4:1on disk");
    const none = "No models found in the folders of known applications that are not running.";
    expect(await pageOf(hostWith([]))).toContain(none);
    const unknown = await pageOf(hostWith());
    expect(unknown).not.toContain(none);
    expect(unknown).not.toContain("Models on disk of applications");
  });

  test("are the evidence of an incident while their application is not running", async () => {
    const finding = {
      ...{ rule: "banned-model-at-rest", engine: "lm-studio", engineName: "LM Studio", points: 30 },
      ...{ risk: "WARNING" as const, explanation: "LM Studio holds phi4:0 on disk, which the policy bans." },
    };
    const host = { ...hostWith([storeOf(1)]), findings: [{ finding, openedAtMs: NOW_MS }] };
    const world = await createWorld(itemsOf(host), NOW_MS);
    const list = await (await world.get("/incidents?risk=WARNING")).text();
    const path = /href="(\/incidents\/[^"?]+)"/.exec(list)![1]!;
    const words = (await (await world.get(path)).text()).replace(/<[^>]*>/g, "");
    expect(words).toContain("LM Studio1 modelphi4:0on disk");
    expect(words).not.toContain("The newest state of this host no longer shows this condition");
  });

  test("beyond the limit of the inventory are counted and mentioned", async () => {
    const told = "Up to 64 models are counted on each host. 1 host has 6 more models";
    expect(await wordsOf(hostWith([storeOf(64), { ...storeOf(6), id: "jan" }]), "/inventory")).toContain(
      told,
    );
    expect(await wordsOf(hostWith([storeOf(64)]), "/inventory")).not.toContain("Up to 64 models");
  });
});

describe("a dry run of a policy", () => {
  const state = (assetId: string, more: Partial<TelemetryChange> = {}) =>
    ({
      ...{ assetId, hostname: assetId, at: timestamp(NOW_MS), agentVersion: "0.1.0", collectors: [] },
      engines: [engineOf({ models: [] })],
      containment: { generation: 0, action: "none", mode: "observe", outcome: "none", at: timestamp(NOW_MS) },
      findings: [],
      ...more,
    }) as unknown as TelemetryChange;
  const quiet = policy.parse({ approvedEngines: ["ollama"], requiredCollectors: [], exposure: "any" });
  const recorded = { rule: "unapproved-engine", engine: "ollama", engineName: "Ollama" };

  test("compare() counts hosts and states with findings of the new policy and as recorded, with examples", () => {
    const found = { ...recorded, risk: "WARNING" as const, points: 40, explanation: "It runs." };
    const states = [state("a", { findings: [found] }), state("a"), state("b"), state("c"), state("d")];
    const strict = { ...quiet, approvedEngines: [], bannedEngines: ["ollama"] };
    const tried = compare(states, strict);
    const banned = tried.find(({ rule }) => rule === "banned-engine")!;
    expect(banned).toMatchObject({ would: { hosts: 4, states: 5 }, did: { hosts: 0, states: 0 } });
    expect(banned.examples.map(({ assetId }) => assetId)).toEqual(["a", "b", "c"]);
    const approved = compare(states, quiet).find(({ rule }) => rule === "unapproved-engine")!;
    expect(approved).toMatchObject({
      would: { hosts: 0, states: 0 },
      did: { hosts: 1, states: 1 },
      examples: [],
    });
  });

  test("findings of the baseline and the LLM review are left out", () => {
    const found = (source: "baseline" | "ai") => ({
      ...{ ...recorded, risk: "WARNING" as const, points: 40, explanation: "It is new.", source },
    });
    expect(compare([state("a", { findings: [found("baseline"), found("ai")] })], quiet)).toEqual([]);
  });

  test("is shown above the form, which keeps its input, and writes nothing", async () => {
    const world = await createWorld(itemsOf(hostOf(1)), NOW_MS);
    const admin = { tenantId: "org_a", userId: "user_mara", sessionId: "sess_1" };
    const form = { csrf: await csrfToken(admin, world.deps), how: "json", days: "7" };
    const post = async (policy: string, role = "admin") =>
      world.app.request(`${ORIGIN}/policy/try`, {
        method: "POST",
        headers: {
          cookie: `__session=${await world.session({ role })}`,
          origin: ORIGIN,
          "content-type": "application/x-www-form-urlencoded",
        },
        body: new URLSearchParams({ ...form, policy }).toString(),
      });
    const answer = await post('{"bannedEngines":["ollama"]}');
    const markup = await answer.text();
    expect(answer.status).toBe(200);
    expect(markup).toContain("Nothing was saved");
    expect(markup).toContain("<code>banned-engine</code>");
    expect(markup).toContain("host-1");
    expect(markup).toContain("bannedEngines&quot;:[&quot;ollama&quot;]");
    expect((await post('{"bannedEngines":[1]}')).status).toBe(400);
    expect((await post("{}", "responder")).status).toBe(403);
    expect(world.asked).not.toContain("TransactWriteItems");
  });
});
