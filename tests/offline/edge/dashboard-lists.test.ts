import { describe, expect, test } from "bun:test";
import { timestamp } from "../../../shared/clock.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import { approvalItem } from "../../../shared/table/items/approval.ts";
import type { Finding } from "../../../shared/table/items/telemetry.ts";
import { approvalKey } from "../../../shared/table/keys.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../browser/seed.ts";
import { createWorld } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const MINUTE_MS = 60_000;
const nextId = createIds(NOW_MS - 1e9);

const finding = (more: Partial<Finding> = {}): Finding => ({
  rule: "exposed-engine",
  engine: "ollama",
  engineName: "Ollama",
  risk: "CRITICAL",
  points: 80,
  explanation: "Ollama listens on 0.0.0.0.",
  ...more,
});

const hostOf = (more: Partial<Host> = {}): Host => ({
  tenantId: "org_a",
  assetId: nextId(),
  hostname: "calm",
  employeeId: "mara",
  os: "Debian",
  enrolledAtMs: NOW_MS - 86_400_000,
  lastSeenAtMs: NOW_MS - 3000,
  states: [{ atMs: NOW_MS - 3_600_000, engines: [engineOf()] }],
  ...more,
});

const worldOf = (hosts: readonly Host[]) => createWorld(hosts.flatMap(itemsOf), NOW_MS);
/** What somebody reads of it. */
const wordsOf = (markup: string) => markup.replace(/<[^>]*>/g, "").replace(/\s+/g, " ");
const rowsOf = (markup: string) =>
  [...markup.matchAll(/<li data-key="([^"]+)" class="incident/g)].map(([, id]) => id!);

describe("an asset of many incidents", () => {
  /** In key order the open one is the last of all. */
  const crowded = (resolved: number): Host =>
    hostOf({
      findings: [
        ...Array.from({ length: resolved }, (_, index) => ({
          finding: finding({ rule: `a-${String(index).padStart(4, "0")}` }),
          openedAtMs: NOW_MS - 9_000_000,
          resolvedAtMs: NOW_MS - 8_000_000 + index,
        })),
        { finding: finding({ rule: "z-last" }), openedAtMs: NOW_MS - 5 * MINUTE_MS },
      ],
    });

  test("has a page for each, wherever its key stands", async () => {
    const host = crowded(250);
    const world = await worldOf([host]);
    expect((await world.get(`/incidents/${host.assetId}.z-last.ollama`)).status).toBe(200);
    expect((await world.get(`/incidents/${host.assetId}.a-0000.ollama`)).status).toBe(200);
    expect((await world.get(`/incidents/${host.assetId}.z-lost.ollama`)).status).toBe(404);
    expect((await world.get(`/incidents/${host.assetId}.Z.ollama`)).status).toBe(404);
  });

  test("shows the open ones first, and says how many resolved ones there are", async () => {
    const host = crowded(250);
    const markup = await (await (await worldOf([host])).get(`/assets/${host.assetId}`)).text();
    expect(rowsOf(markup)[0]).toBe(`${host.assetId}.z-last.ollama`);
    expect(markup).toContain("250 resolved incidents");
    expect(rowsOf(markup)).toHaveLength(101);
    expect(wordsOf(markup)).toContain("The 100 newest of them");
    expect(markup).not.toContain("There may be more open ones");
  });

  test("says so where there are more than are read", async () => {
    const host = crowded(2000);
    const markup = await (await (await worldOf([host])).get(`/assets/${host.assetId}`)).text();
    expect(wordsOf(markup)).toContain("Only 2,000 incidents of this host were read");
  });
});

describe("an isolation that waits behind many newer requests", () => {
  const waitingBehind = (answered: number, host: Host) => {
    const approvals = createIds(NOW_MS - 50 * MINUTE_MS);
    const requestOf = (index: number) => {
      const atMs = NOW_MS - 50 * MINUTE_MS + index * 1000;
      const approvalId = approvals();
      return marshalItem({
        ...approvalKey("org_a", approvalId),
        ...approvalItem.parse({
          ...{ type: "Approval", tenantId: "org_a", approvalId, assetId: host.assetId, mode: "observe" },
          ...{ justification: "INC-1", requestedBy: index === 0 ? "user_first" : "user_later" },
          ...{ requestedAt: timestamp(atMs), validUntil: timestamp(atMs + 60 * MINUTE_MS), expiresAt: 1 },
          ...(index > 0 && { deniedAt: timestamp(atMs + 1), deniedBy: "user_jo" }),
        }),
      });
    };
    return Array.from({ length: answered + 1 }, (_, index) => requestOf(index));
  };

  test("is shown by the overview, by its asset's page and under approvals", async () => {
    const host = hostOf();
    const world = await createWorld([...itemsOf(host), ...waitingBehind(320, host)], NOW_MS);
    const read = async (path: string) => wordsOf(await (await world.get(path)).text());
    expect(await read("/")).toContain("1 isolation waits for a second person");
    expect(await read(`/assets/${host.assetId}`)).toContain("user_first asked to isolate this host");
    expect(await read("/approvals")).toContain("Asked by user_first");
    world.clock.nowMs += 10 * MINUTE_MS;
    expect(await read("/")).not.toContain("for a second person");
  });

  test("says so where more were asked for than are read", async () => {
    const host = hostOf();
    const world = await createWorld([...itemsOf(host), ...waitingBehind(1000, host)], NOW_MS);
    expect(wordsOf(await (await world.get("/")).text())).toContain(
      "Only the 1,000 newest requests were read",
    );
  });
});

describe("the same rule elsewhere", () => {
  const openOf = (rule: string, agoMs: number, more: Partial<Finding> = {}): Host =>
    hostOf({ findings: [{ finding: finding({ rule, ...more }), openedAtMs: NOW_MS - agoMs }] });
  const busy = (others: number) =>
    Array.from({ length: others }, (_, index) => openOf("unapproved-engine", 1000 + index * 1000));
  const elsewhere = async (host: Host, others: readonly Host[]) => {
    const world = await worldOf([host, ...others]);
    const answer = await world.get(`/incidents/${host.assetId}.exposed-engine.ollama`);
    return (await answer.text()).split('id="incident-elsewhere"')[1]!;
  };

  test("is found behind many newer ones of other rules, of either risk", async () => {
    const host = openOf("exposed-engine", 1000);
    const old = openOf("exposed-engine", 86_400_000);
    const lesser = openOf("exposed-engine", 1000, { risk: "WARNING", points: 40 });
    const markup = await elsewhere(host, [...busy(400), old, lesser]);
    expect(rowsOf(markup).map((id) => id.split(".")[0])).toEqual([old.assetId, lesser.assetId]);
    expect(wordsOf(markup)).toContain("2 open incidents");
    expect(markup).not.toContain("searched");
  });

  test("is not denied where not all were searched", async () => {
    const host = openOf("exposed-engine", 1000);
    const markup = await elsewhere(host, [...busy(1000), openOf("exposed-engine", 86_400_000)]);
    expect(markup).not.toContain("Nowhere else");
    expect(wordsOf(markup)).toContain("None among 1,000 open incidents");
    expect(markup).toContain('href="/incidents?rule=exposed-engine"');
  });

  test("is denied where all were", async () => {
    expect(await elsewhere(openOf("exposed-engine", 1000), busy(3))).toContain("Nowhere else");
  });
});
