import { beforeAll, describe, expect, test } from "bun:test";
import { type Evidence, gatherEvidence } from "../../../edge/dashboard/evidence.ts";
import { periodOf } from "../../../edge/dashboard/report.tsx";
import { createIds, engineOf, type Host, itemsOf } from "../../browser/seed.ts";
import { createWorld, type World } from "./dashboard-world.ts";

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

const HOSTS = [
  host({
    findings: [
      { finding: finding("ollama"), openedAtMs: NOW_MS - 10 * DAY },
      { finding: finding("vllm"), openedAtMs: NOW_MS - 60 * DAY, resolvedAtMs: NOW_MS - 9 * DAY },
      { finding: finding("jan"), openedAtMs: NOW_MS - 80 * DAY, resolvedAtMs: NOW_MS - 70 * DAY },
    ],
  }),
  host({ hostname: "late", employeeId: "noor", states: [{ atMs: NOW_MS - DAY, engines: [engineOf()] }] }),
  host({ hostname: "gone", lastSeenAtMs: NOW_MS - 60 * DAY }),
  host({ hostname: "never", states: [] }),
  host({ tenantId: "org_b", hostname: "foreign-host", employeeId: "foreign-person" }),
];

let world: World;
beforeAll(async () => {
  world = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
});

describe("periodOf()", () => {
  test("is the last thirty days, today included, when none is asked for", () =>
    expect(periodOf({}, NOW_MS)).toEqual({ from: "2026-10-23", to: "2026-11-21" }));
  test("takes one day, and none that ends before it begins", () => {
    expect(periodOf({ from: "2026-11-01", to: "2026-11-01" }, NOW_MS)).toEqual({
      from: "2026-11-01",
      to: "2026-11-01",
    });
    expect(periodOf({ from: "2026-11-02", to: "2026-11-01" }, NOW_MS)).toBeUndefined();
  });
});

describe("gatherEvidence()", () => {
  const gather = (from: string, to: string) => gatherEvidence(world.deps, "org_a", { from, to });

  test("counts what was found by states that began in time, and tells those that changed since", async () => {
    const { found } = await gather("2026-10-23", "2026-11-15");
    expect(found).toMatchObject({ hostsSeen: 2, hostsWithAi: 1, employeesWithAi: 1, changedSince: 1 });
    expect(found.engines).toMatchObject([{ id: "ollama", hosts: 1, employees: 1 }]);
    expect(found.models).toMatchObject([{ id: "llama3", hosts: 1 }]);
    expect((await gather("2026-10-23", "2026-11-21")).found).toMatchObject({
      hostsWithAi: 2,
      changedSince: 0,
    });
  });

  test("counts the day of the limit and not the day after it", async () => {
    const opened = async (from: string, to: string) => (await gather(from, to)).incidents.opened;
    expect(await opened("2026-11-11", "2026-11-11")).toBe(1);
    expect(await opened("2026-11-12", "2026-11-21")).toBe(0);
    expect(await opened("2026-10-01", "2026-11-10")).toBe(0);
  });

  test("lists incidents that were open at some time of the period, resolved ones too, and no older ones", async () => {
    const { incidents } = await gather("2026-10-23", "2026-11-21");
    expect(incidents.list.map(({ engine }) => engine)).toEqual(["ollama", "vllm"]);
    expect(incidents).toMatchObject({ opened: 1, resolvedByQuiet: 1, resolvedByPeople: 0, stillOpen: 1 });
  });

  test("names every gap: silent hosts, hosts never heard of, and none of another organisation", async () => {
    const { coverage } = await gather("2026-10-23", "2026-11-21");
    expect(coverage).toMatchObject({ hosts: 4, reporting: 2, complete: true });
    expect(coverage.silent.map(({ hostname }) => hostname)).toEqual(["gone"]);
    expect(coverage.neverSeen.map(({ hostname }) => hostname)).toEqual(["never"]);
  });

  test("says that a log whose head names more records than there are does not verify", async () => {
    const head = { type: "CustodyHead", tenantId: "org_a", hash: "ab", count: 3, checkpoint: "a.b.c" };
    const other = await createWorld(
      [
        Object.fromEntries(
          Object.entries({ PK: "TENANT#org_a", SK: "CUSTODY#HEAD", ...head }).map(([name, value]) => [
            name,
            typeof value === "number" ? { N: String(value) } : { S: value },
          ]),
        ) as never,
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

  test("is worded as evidence toward duties and never as compliance", async () => {
    const markup = await page();
    expect(markup).toContain("it does not say that any law or standard is met");
    expect(markup).not.toMatch(/complian|compliant|conform|certif|fulfil|satisf|in line with/i);
    expect(markup.match(/Not shown: /g)!.length).toBe(
      markup.match(/EU AI Act, Article|ISO\/IEC 42001:2023/g)!.length,
    );
  });

  test("downloads as JSON, what it shows and no host of another organisation", async () => {
    const answer = await world.get("/report.json?from=2026-10-23&to=2026-11-21");
    expect(answer.headers.get("content-disposition")).toMatch(
      /^attachment; filename="lifecyclezero-evidence-\d{8}T\d{6}Z\.json"$/,
    );
    const text = await answer.text();
    expect(text).not.toContain("foreign");
    expect((JSON.parse(text) as Evidence).found.hostsWithAi).toBe(2);
    expect((await world.get("/report.json?from=2026-11-02&to=2026-11-01")).status).toBe(400);
  });
});
