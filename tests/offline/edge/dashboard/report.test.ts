import { beforeAll, describe, expect, test } from "bun:test";
import { listAssets } from "../../../../edge/control/assets/read-assets.ts";
import { findInPeriod, type Limits } from "../../../../edge/dashboard/report/detections-in-period.ts";
import { dutiesOf } from "../../../../edge/dashboard/report/duties-section.tsx";
import { type Evidence, gatherEvidence } from "../../../../edge/dashboard/report/report-data.ts";
import { periodOf } from "../../../../edge/dashboard/report/report-period.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../browser/seed.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const DAY = 86_400_000;
const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const nextId = createIds(NOW_MS - 1e9);
const finding = (engine: string) => ({
  rule: "exposed-engine",
  engine,
  engineName: engine,
  risk: "CRITICAL" as const,
  points: 80,
  explanation: "It is open.",
});

const host = (more: Partial<Host>): Host => ({
  tenantId: "org_a",
  assetId: nextId(),
  hostname: "calm",
  employeeId: "mara",
  os: "Debian",
  enrolledAtMs: NOW_MS - 90 * DAY,
  lastSeenAtMs: NOW_MS - 3000,
  states: [{ atMs: NOW_MS - 10 * DAY, engines: [engineOf({ models: [{ name: "llama3", loaded: true }] })] }],
  ...more,
});

const vllm = engineOf({ id: "vllm", name: "vLLM", models: [{ name: "qwen3", loaded: true }] });
const HOSTS = [
  host({
    findings: [
      { finding: finding("ollama"), openedAtMs: NOW_MS - 10 * DAY },
      { finding: finding("vllm"), openedAtMs: NOW_MS - 60 * DAY, resolvedAtMs: NOW_MS - 9 * DAY },
      { finding: finding("jan"), openedAtMs: NOW_MS - 80 * DAY, resolvedAtMs: NOW_MS - 70 * DAY },
    ],
  }),
  host({ hostname: "late", employeeId: "noor", states: [{ atMs: NOW_MS - DAY, engines: [engineOf()] }] }),
  host({
    hostname: "visited",
    employeeId: "ines",
    states: [
      { atMs: NOW_MS - 40 * DAY, engines: [engineOf({ id: "jan", name: "Jan" })] },
      { atMs: NOW_MS - 20 * DAY, engines: [] },
      { atMs: NOW_MS - 15 * DAY, engines: [vllm] },
      { atMs: NOW_MS - 14 * DAY, engines: [] },
      { atMs: NOW_MS - 2 * DAY, engines: [] },
    ],
  }),
  host({
    hostname: "gone",
    lastSeenAtMs: NOW_MS - 60 * DAY,
    states: [{ atMs: NOW_MS - 70 * DAY, engines: [vllm] }],
  }),
  host({ hostname: "never", states: [] }),
  host({ tenantId: "org_b", hostname: "foreign-host", employeeId: "foreign-person" }),
];

let world: World;
beforeAll(async () => {
  world = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
});

describe("periodOf()", () => {
  test("is the last thirty days, including today, by default", () =>
    expect(periodOf({}, NOW_MS)).toEqual({ from: "2026-10-23", to: "2026-11-21" }));
  test("accepts a single day, and rejects a period that ends before it begins", () => {
    expect(periodOf({ from: "2026-11-01", to: "2026-11-01" }, NOW_MS)).toEqual({
      from: "2026-11-01",
      to: "2026-11-01",
    });
    expect(periodOf({ from: "2026-11-02", to: "2026-11-01" }, NOW_MS)).toBeUndefined();
    expect(periodOf({ to: "0000-01-02" }, NOW_MS)).toEqual({ from: "0000-01-01", to: "0000-01-02" });
  });
});

describe("gatherEvidence()", () => {
  const gather = (from: string, to: string) => gatherEvidence(world.deps, "org_a", { from, to });

  test("counts AI in all states of the period, also if it was removed or changed later", async () => {
    const { found } = await gather("2026-10-23", "2026-11-15");
    expect(found).toMatchObject({ hostsSeen: 2, hostsWithAi: 2, employeesWithAi: 2, unread: 0, cut: 0 });
    expect(found.engines).toMatchObject([
      { id: "jan", hosts: 1, employees: 1, firstSeenAt: "2026-10-23T00:00:00.000Z" },
      {
        id: "ollama",
        hosts: 1,
        firstSeenAt: "2026-11-11T23:04:05.678Z",
        lastSeenAt: "2026-11-15T23:59:59.999Z",
      },
      { id: "vllm", firstSeenAt: "2026-11-06T23:04:05.678Z", lastSeenAt: "2026-11-07T23:04:05.678Z" },
    ]);
    expect(found.engines[0]!.lastSeenAt).toBe("2026-11-01T23:04:05.678Z");
    expect(found.models.map(({ id }) => id)).toEqual(["llama3", "qwen3"]);
  });

  test("counts the state in force when the period began, and no states before or after", async () => {
    const engines = async (from: string, to: string) =>
      (await gather(from, to)).found.engines.map(({ id }) => id);
    expect(await engines("2026-10-31", "2026-11-01")).toEqual(["jan"]);
    expect(await engines("2026-11-02", "2026-11-05")).toEqual([]);
    expect(await engines("2026-11-05", "2026-11-06")).toEqual(["vllm"]);
    expect(await engines("2026-11-20", "2026-11-21")).toEqual(["ollama"]);
  });

  test("does not read timelines of hosts whose state did not change, or that were gone", async () => {
    world.asked.length = 0;
    const { found } = await gather("2026-11-12", "2026-11-18");
    expect(found.hostsWithAi).toBe(1);
    // The report makes these queries: one for a page of hosts with presences, one for each shard of
    // incidents, one for the custody log, and two for the changed hosts.
    const without = world.asked.filter((operation) => operation === "Query").length;
    world.asked.length = 0;
    await gather("2026-11-21", "2026-11-21");
    expect(world.asked.filter((operation) => operation === "Query").length).toBe(without - 2);
  });

  test("reports how many hosts were only partly read, and counts their newest state", async () => {
    const { items: assets } = await listAssets(world.deps, "org_a", { limit: 100 });
    const find = (limits: Limits) =>
      findInPeriod(world.deps, "org_a", assets, { from: "2026-10-23", to: "2026-11-21" }, limits);
    const none = await find({ timelines: 0, states: 9, statesPerHost: 9 });
    expect(none).toMatchObject({ hostsWithAi: 2, unread: 3, cut: 0 });
    const newest = await find({ timelines: 9, states: 99, statesPerHost: 4 });
    expect(newest).toMatchObject({ hostsWithAi: 3, unread: 0, cut: 1 });
    expect(newest.engines.map(({ id }) => id)).toEqual(["ollama", "vllm"]);
    expect(await find({ timelines: 9, states: 99, statesPerHost: 5 })).toMatchObject({ cut: 0 });
  });

  test("includes the first and last day, and no other day", async () => {
    const opened = async (from: string, to: string) => (await gather(from, to)).incidents.opened;
    expect(await opened("2026-11-11", "2026-11-11")).toBe(1);
    expect(await opened("2026-11-12", "2026-11-21")).toBe(0);
    expect(await opened("2026-10-01", "2026-11-10")).toBe(0);
  });

  test("lists incidents that were open at any time in the period, also resolved ones", async () => {
    const { incidents } = await gather("2026-10-23", "2026-11-21");
    expect(incidents.list.map(({ engine }) => engine)).toEqual(["ollama", "vllm"]);
    expect(incidents).toMatchObject({ opened: 1, resolvedByQuiet: 1, resolvedByPeople: 0, stillOpen: 1 });
  });

  test("lists silent hosts and hosts that were never seen, and none of another organisation", async () => {
    const settings = { PK: "TENANT#org_a", SK: "METADATA", type: "Tenant", tenantId: "org_a", name: "A" };
    const kept = await createWorld(
      [...HOSTS.flatMap(itemsOf), marshalItem({ ...settings, assetExpiryDays: 0 })],
      NOW_MS,
    );
    const days = { from: "2026-10-23", to: "2026-11-21" };
    const { coverage } = await gatherEvidence(kept.deps, "org_a", days);
    expect(coverage).toMatchObject({ hosts: 5, reporting: 3, expired: [], complete: true });
    expect(coverage.silent.map(({ hostname }) => hostname)).toEqual(["gone"]);
    expect(coverage.neverSeen.map(({ hostname }) => hostname)).toEqual(["never"]);
  });

  test("counts expired hosts separately, and includes AI found on them in the period", async () => {
    const { coverage, found } = await gather("2026-10-23", "2026-11-21");
    expect(coverage).toMatchObject({ hosts: 3, reporting: 3, silent: [], neverSeen: [] });
    expect(coverage.expired.map(({ hostname, reason, since }) => [hostname, reason, since])).toEqual([
      ["gone", "silent", "2026-10-22T23:04:05.678Z"],
      ["never", "never-reported", "2026-09-22T23:04:05.678Z"],
    ]);
    expect(found.hostsSeen).toBe(3);
    // The host "gone" sent its last report on 22 September.
    expect((await gather("2026-09-10", "2026-09-20")).found.hostsSeen).toBe(1);
    const text = await (await world.get("/report.csv?from=2026-10-23&to=2026-11-21&list=gaps")).text();
    expect(text).toContain("expired (silent)");
  });

  test("reports a failure if the head of the log counts more records than exist", async () => {
    const head = { type: "CustodyHead", tenantId: "org_a", hash: "ab", count: 3, checkpoint: "a.b.c" };
    const other = await createWorld(
      [
        Object.fromEntries(
          Object.entries({ PK: "TENANT#org_a", SK: "CUSTODY#HEAD", ...head }).map(([name, value]) => [
            name,
            typeof value === "number" ? { N: String(value) } : { S: value },
          ]),
        ),
      ],
      NOW_MS,
    );
    const { custody } = await gatherEvidence(other.deps, "org_a", { from: "2026-11-01", to: "2026-11-21" });
    expect(custody).toMatchObject({ verified: false, headSigned: false });
    expect(await (await other.get("/report")).text()).toContain("The log does not verify");
  });
});

describe("the report", () => {
  const page = async (path = "/report") => (await world.get(path, {}, { role: "viewer" })).text();

  test("never claims compliance", async () => {
    const markup = await page();
    expect(markup).toContain("It does not say that any law or standard is met");
    expect(markup).not.toMatch(/complian|compliant|conform|certif|fulfil|satisf|in line with/i);
    expect(markup.match(/Not shown: /g)!.length).toBe(
      markup.match(/EU AI Act, Article|ISO\/IEC 42001:2023/g)!.length,
    );
  });

  test("can be downloaded as JSON without hosts of another organisation", async () => {
    const answer = await world.get("/report.json?from=2026-10-23&to=2026-11-21");
    expect(answer.headers.get("content-disposition")).toMatch(
      /^attachment; filename="lifecyclezero-evidence-\d{8}T\d{6}Z\.json"$/,
    );
    const text = await answer.text();
    expect(text).not.toContain("foreign");
    expect((JSON.parse(text) as Evidence).found.hostsWithAi).toBe(3);
    expect((await world.get("/report.json?from=2026-11-02&to=2026-11-01")).status).toBe(400);
  });

  const csv = async (list: string, more = "") => {
    const answer = await world.get(`/report.csv?from=2026-10-23&to=2026-11-21&list=${list}${more}`);
    return {
      status: answer.status,
      name: answer.headers.get("content-disposition"),
      text: await answer.text(),
    };
  };

  test("links to a CSV with all rows for each list", async () => {
    const rows = { engines: 3, models: 2, incidents: 2, decisions: 0, gaps: 2 };
    for (const [list, count] of Object.entries(rows)) {
      const { name, text } = await csv(list);
      expect([list, text.trimEnd().split("\r\n").length - 1]).toEqual([list, count]);
      expect(name).toMatch(new RegExp(`filename="lifecyclezero-evidence-${list}-\\d{8}T\\d{6}Z\\.csv"$`));
    }
    expect((await csv("engines")).text).toContain(
      "jan,Jan,inference-engine,1,1,2026-10-23T00:00:00.000Z,2026-11-01T23:04:05.678Z",
    );
    const markup = await page();
    for (const list of ["engines", "models", "incidents", "gaps"])
      expect(markup).toContain(`/report.csv?list=${list}&amp;from=`);
  });

  test("explains an invalid period and warns about days in the future", async () => {
    const read = async (query: string) => (await world.get(`/report?${query}`)).text();
    expect(await read("from=2026-11-02&to=2026-11-01")).toContain("Invalid report period");
    expect(await read("from=2026-02-30")).toContain("Invalid address or form");
    expect(await read("from=2026-11-01&to=2026-11-22")).toContain("ends in the future");
    expect(await read("from=2026-11-01&to=2026-11-21")).not.toContain("ends in the future");
  });

  test("does not count decisions if there are too many", async () => {
    const evidence = (await (await world.get("/report.json")).json()) as Evidence;
    const shown = (done: Evidence["done"]) =>
      dutiesOf({ ...evidence, done }).find(({ where }) => where.includes("26(2)"))!.shows;
    expect(shown(evidence.done)).toContain("0 decisions by named people");
    expect(shown({ byAction: [], records: [], complete: false })).not.toMatch(/\d/);
  });

  test("rejects CSV requests for unknown lists and invalid periods", async () => {
    expect((await csv("secrets")).status).toBe(400);
    expect((await world.get("/report.csv")).status).toBe(400);
    expect((await world.get("/report.csv?list=gaps&from=2026-11-02&to=2026-11-01")).status).toBe(400);
    const stranger = await world.app.request(`${ORIGIN}/report.csv?list=gaps`);
    expect(stranger.headers.get("location")).toContain("/sign-in?return=");
  });
});
