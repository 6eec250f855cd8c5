import { describe, expect, test } from "bun:test";
import { type AssetView, viewOf } from "../../../../edge/control/assets/asset-view.ts";
import { nextChange } from "../../../../edge/dashboard/assets/containment-panel.tsx";
import { containmentSteps } from "../../../../edge/dashboard/assets/containment-steps.ts";
import { isExposed } from "../../../../edge/dashboard/assets/engines.tsx";
import { changesBetween } from "../../../../edge/dashboard/assets/state-diff.ts";
import { Age, Ago, duration, relative, Until } from "../../../../edge/dashboard/components/time.tsx";
import { matching } from "../../../../edge/dashboard/overview/fleet-cache.ts";
import type { CheckedAsset } from "../../../../shared/authority/check-reports.ts";
import { countFleet, countHosts, enginesOf } from "../../../../shared/fleet/count.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";
import type { TelemetryChange } from "../../../../shared/table/items/asset/telemetry.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";
import { createIds, engineOf } from "../../../browser/seed.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const nextId = createIds(NOW_MS);

describe("containmentSteps() claims no more than is proven", () => {
  const wish = (more: Partial<NonNullable<AssetItem["wish"]>> = {}) => ({
    generation: 3,
    action: "isolate" as const,
    mode: "network" as const,
    requestedAt: timestamp(NOW_MS - 60_000),
    expiresAt: timestamp(NOW_MS + 60_000),
    directive: "x",
    ...more,
  });
  const report = (more: Partial<ContainmentReport> = {}): ContainmentReport => ({
    generation: 3,
    action: "isolate",
    mode: "network",
    outcome: "applied",
    at: timestamp(NOW_MS - 50_000),
    probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    ...more,
  });
  const steps = (more: Partial<AssetItem>) => {
    const asset = {
      type: "Asset" as const,
      tenantId: "org_a",
      assetId: nextId(),
      employeeId: "mara",
      hostname: "h",
      os: "o",
      arch: "x64",
      deviceKey: "k",
      enrolledAt: timestamp(NOW_MS),
      status: "ISOLATED" as const,
      generation: 3,
      custodyCount: 1,
      ...more,
    };
    return containmentSteps(viewOf(asset as AssetItem as CheckedAsset, undefined, NOW_MS), undefined);
  };

  test("the end of validity is a time and not part of a text", () => {
    const [requested] = steps({ wish: wish() })!;
    expect(requested!.until).toBe(timestamp(NOW_MS + 60_000));
    expect(requested!.facts.join()).not.toContain("2026");
  });

  test("engines are shown as terminated only if the agent reported it", () => {
    const facts = (done: "terminate" | undefined, reason?: string) => {
      const asked = wish({ mode: "stop-engines", stopEnginesBy: "terminate" });
      const proof = report({ mode: "stop-engines", stopEnginesBy: done, reason });
      return steps({ wish: asked, proof })!.map((step) => step.facts);
    };
    const [requested, , proven] = facts("terminate", "2 processes were terminated");
    expect(requested![0]).toBe("Generation 3: isolate, mode stop-engines (terminate)");
    expect(proven!.slice(0, 2)).toEqual(["Engines: terminated", "2 processes were terminated"]);
    const [, , milder] = facts(undefined);
    expect(milder!.slice(0, 2)).toEqual([
      "Engines: suspended",
      "the agent suspended the engines instead of terminating them: update the agent",
    ]);
  });

  test("an unsigned report is shown as such, and only for the current change", () => {
    const at = timestamp(NOW_MS);
    const [, , proven] = steps({ wish: wish(), unsignedReport: { generation: 3, at } })!;
    expect(proven).toEqual({
      name: "Proven",
      status: "waiting",
      facts: ["Not proven: the report is not signed by the device key of this host"],
    });
    const [, , older] = steps({ wish: wish(), unsignedReport: { generation: 2, at } })!;
    expect(older!.facts).toEqual(["Not proven yet"]);
    const [, , signed] = steps({ wish: wish(), unsignedReport: { generation: 3, at }, proof: report() })!;
    expect(signed!.status).toBe("done");
  });

  test("no steps without a request", () =>
    expect(steps({ status: "ACTIVE", generation: 0 })).toBeUndefined());

  const cases: [string, Partial<AssetItem>, string[]][] = [
    ["no report yet", { wish: wish() }, ["done", "waiting", "waiting"]],
    [
      "a report on an older generation",
      { wish: wish(), proof: report({ generation: 2 }) },
      ["done", "waiting", "waiting"],
    ],
    [
      "a report on the other action",
      { wish: wish(), proof: report({ action: "release" }) },
      ["done", "waiting", "waiting"],
    ],
    ["applied with both probes", { wish: wish(), proof: report() }, ["done", "done", "done"]],
    [
      "applied, but the forbidden address answers",
      { wish: wish(), proof: report({ probes: { controlPlaneReachable: true, forbiddenBlocked: false } }) },
      ["done", "done", "failed"],
    ],
    [
      "failed",
      { wish: wish(), proof: report({ outcome: "failed", reason: "no nft" }) },
      ["done", "done", "failed"],
    ],
    [
      "observe, acknowledged",
      {
        wish: wish({ mode: "observe" }),
        proof: report({ mode: "observe", probes: { controlPlaneReachable: true, forbiddenBlocked: null } }),
      },
      ["done", "done", "does-not-apply"],
    ],
    [
      "expired unread",
      { wish: wish({ expiresAt: timestamp(NOW_MS - 1) }) },
      ["done", "failed", "not-reached"],
    ],
    [
      "release, not proven",
      { status: "ACTIVE", wish: wish({ action: "release" }), proof: report({ generation: 2 }) },
      ["done", "waiting", "waiting"],
    ],
    [
      "release, applied",
      { status: "ACTIVE", wish: wish({ action: "release" }), proof: report({ action: "release" }) },
      ["done", "done", "done"],
    ],
    [
      "release, failed",
      {
        status: "ACTIVE",
        wish: wish({ action: "release" }),
        proof: report({ action: "release", outcome: "failed" }),
      },
      ["done", "done", "failed"],
    ],
  ];
  test.each(cases)("%s", (_name, asset, expected) =>
    expect<string[] | undefined>(steps(asset)?.map(({ status }) => status)).toEqual(expected),
  );
});

describe("changesBetween() describes changes", () => {
  const state = (more: Partial<TelemetryChange>): TelemetryChange => ({
    type: "Telemetry",
    kind: "change",
    tenantId: "org_a",
    assetId: nextId(),
    at: timestamp(NOW_MS),
    receivedAt: timestamp(NOW_MS),
    sequence: 1,
    risk: "INFO",
    score: 0,
    engines: [],
    collectors: [{ name: "http", status: "ok" }],
    containment: { generation: 0, action: "none", mode: "observe", outcome: "none", at: timestamp(NOW_MS) },
    findings: [],
    agentVersion: "1",
    hostname: "h",
    expiresAt: 1,
    ...more,
  });
  const words = (newer: Partial<TelemetryChange>, older: Partial<TelemetryChange> = {}) =>
    changesBetween(state(newer), state(older)).map((change) => change.words);
  const model = { name: "llama3", loaded: true };
  const storeOf = (...names: string[]) => ({
    id: "lm-studio",
    name: "LM Studio",
    models: names.map((name) => ({ name })),
  });

  const cases: [string, Partial<TelemetryChange>, Partial<TelemetryChange>, string][] = [
    ["an engine appears", { engines: [engineOf()] }, {}, "Ollama appeared (process 4121, port 11434)"],
    ["an engine goes", {}, { engines: [engineOf()] }, "Ollama is gone (process 4121)"],
    [
      "a model is loaded",
      { engines: [engineOf({ models: [model] })] },
      { engines: [engineOf()] },
      "Ollama loaded llama3",
    ],
    [
      "a model is unloaded",
      { engines: [engineOf()] },
      { engines: [engineOf({ models: [model] })] },
      "Ollama unloaded llama3",
    ],
    [
      "an engine opens to the network",
      { engines: [engineOf({ bind: ["0.0.0.0"] })] },
      { engines: [engineOf()] },
      "Ollama is now reachable from other hosts",
    ],
    ["a source fails", { collectors: [{ name: "http", status: "failed" }] }, {}, "Source http: ok → failed"],
    [
      "a source recovers",
      {},
      { collectors: [{ name: "http", status: "failed" }] },
      "Source http can be read again",
    ],
    [
      "models are downloaded",
      { stores: [storeOf("llama3", "qwen3:8b", "phi4")] },
      { stores: [storeOf("llama3")] },
      "qwen3:8b, phi4 appeared on disk (LM Studio)",
    ],
    [
      "models are deleted",
      { stores: [] },
      { stores: [storeOf("llama3")] },
      "llama3 no longer on disk (LM Studio)",
    ],
    [
      "an engine stops, whose models stay where they were",
      { stores: [storeOf("llama3")] },
      { engines: [engineOf({ models: [model] })], stores: [] },
      "Ollama is gone (process 4121)",
    ],
    [
      "disks are looked at for the first time",
      { stores: [storeOf("llama3")] },
      {},
      "Disks scanned for the first time: 1 model of applications that are not running",
    ],
    ["the risk rises", { risk: "CRITICAL", score: 80 }, {}, "Risk INFO 0 → CRITICAL 80"],
  ];
  test.each(cases)("%s", (_name, newer, older, expected) => expect(words(newer, older)).toEqual([expected]));

  test("without an older state nothing is shown as new", () => {
    expect(changesBetween(state({ engines: [engineOf()] }), undefined)).toEqual([
      { kind: "note", words: "Engines in the first state listed: Ollama" },
    ]);
  });
});

describe("the fleet", () => {
  const row = (
    hostname: string,
    seenMsAgo: number | undefined,
    engines: string[] = [],
    failedCollectors: string[] = [],
  ) => ({
    assetId: nextId(),
    hostname,
    employeeId: "mara",
    os: "Debian",
    status: "ACTIVE" as const,
    ...(seenMsAgo !== undefined && {
      presence: {
        assetId: "x",
        lastSeenAt: timestamp(NOW_MS - seenMsAgo),
        intervalMs: 5000,
        risk: "INFO" as const,
        engines: engines.map((id) => ({
          id,
          name: id.toUpperCase(),
          kind: "generic" as const,
          confidence: 90,
        })),
        models: [],
        clients: engines.length > 1 ? ["code"] : [],
        failedCollectors,
        agentVersion: engines.length > 0 ? "0.2.0" : "0.1.0",
      },
    }),
  });
  const rows = [
    row("a", 1000, ["ollama", "ollama", "vllm"]),
    row("b", 90_000, ["ollama"], ["http"]),
    row("c", 90_001),
    row("d", undefined),
  ];

  test("countFleet() counts every host once", () => {
    const { engines, clients, agentVersions, ...counts } = countFleet(rows, NOW_MS);
    expect(counts).toMatchObject({ reporting: 2, silent: 1, never: 1, hosts: 4, withAi: 2 });
    expect(counts.withFailedSources).toBe(1);
    expect(engines).toEqual({
      total: 2,
      first: [
        { key: "ollama", name: "OLLAMA", hosts: 2 },
        { key: "vllm", name: "VLLM", hosts: 1 },
      ],
    });
    expect(clients.first).toEqual([{ key: "code", name: "code", hosts: 1 }]);
    expect(agentVersions.first.map(({ key, hosts }) => [key, hosts])).toEqual([
      ["0.2.0", 2],
      ["0.1.0", 1],
    ]);
  });

  test("countHosts() counts a host once, however often it runs an engine", () => {
    expect(countHosts(rows, enginesOf).map(({ name, hosts }) => [name, hosts])).toEqual([
      ["OLLAMA", 2],
      ["VLLM", 1],
    ]);
  });

  test("matching() requires every word and every filter", () => {
    const names = (filter: Parameters<typeof matching>[1]) =>
      matching(rows, filter, NOW_MS).map((found) => found.hostname);
    expect(names({ q: "OLLAMA mara" })).toEqual(["a", "b"]);
    expect(names({ q: "ollama nobody" })).toEqual([]);
    expect(names({ engine: "ollama", state: "collectors" })).toEqual(["b"]);
    expect(names({ client: "code" })).toEqual(["a"]);
    expect(names({ client: "cod" })).toEqual([]);
    expect(names({ state: "silent" })).toEqual(["c"]);
    expect(names({ state: "never" })).toEqual(["d"]);
  });
});

test("duration() and relative() round down and name one unit", () => {
  expect([0, 59_999, 60_000, 89 * 60_000, 90 * 60_000, 47 * 3_600_000, 48 * 3_600_000].map(duration)).toEqual(
    ["0 s", "59 s", "1 min", "89 min", "1 h", "47 h", "2 d"],
  );
  expect(relative(NOW_MS, NOW_MS)).toBe("just now");
  expect(relative(NOW_MS - 5000, NOW_MS)).toBe("5 s ago");
  expect(relative(NOW_MS + 5000, NOW_MS)).toBe("in 5 s");
});

test('Ago() shows "just now" for a clock that is ahead within the limit, and the future time beyond', () => {
  const words = (Time: typeof Ago, aheadMs: number) =>
    />([^<]*)</.exec(String(Time({ at: timestamp(NOW_MS + aheadMs), now: NOW_MS })))![1]!.trim();
  expect([1000, 300_000, 301_000, -5000].map((aheadMs) => words(Ago, aheadMs))).toEqual([
    "just now",
    "just now",
    "in 5 min",
    "5 s ago",
  ]);
  expect([300_000, -5000].map((aheadMs) => words(Until, aheadMs))).toEqual(["in 5 min", "5 s ago"]);
});

test("Age() of a start in the future is 0", () => {
  const aged = (sinceMs: number) => String(Age({ since: timestamp(sinceMs), now: NOW_MS }));
  expect(aged(NOW_MS + 3 * 3_600_000)).toContain(">0 s<");
  expect(aged(NOW_MS - 3 * 3_600_000)).toContain(">3 h<");
});

test("isExposed() recognises all forms of loopback addresses", () => {
  for (const bind of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
    expect(isExposed({ bind: [bind] })).toBe(false);
  for (const bind of ["0.0.0.0", "::", "10.0.0.4", "fe80::1"])
    expect(isExposed({ bind: ["127.0.0.1", bind] })).toBe(true);
});

test.each([
  ["ISOLATED", "pending", undefined, "release"],
  ["ACTIVE", "active", undefined, "isolate"],
  ["ACTIVE", "releasing", undefined, "isolate"],
  ["ACTIVE", "releasing", "the report is not signed by the device key of this host", "isolate"],
  ["ACTIVE", "releasing", "the host was put back", "release"],
  ["ACTIVE", "release-failed", "nft refused", "release"],
] as const)("nextChange() of %s, %s, %p is to %4$s", (status, state, reason, change) => {
  const containment = { state, offline: false, ...(reason && { reason }) };
  expect(nextChange({ status, containment } as unknown as AssetView)).toBe(change);
});
