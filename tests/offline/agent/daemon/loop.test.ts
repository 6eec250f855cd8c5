import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createLoop, type Loop, UNCHANGED_KEPT_EVERY_MS } from "../../../../agent/daemon/loop.ts";
import { silent } from "../../../../agent/platform/log.ts";
import {
  createComposer,
  cutToFit,
  fingerprint,
  keepValid,
  uncontained,
} from "../../../../agent/report/compose-heartbeat.ts";
import { openSpool, type Spool } from "../../../../agent/report/spool.ts";
import {
  type Collector,
  type Engine,
  type Heartbeat,
  heartbeat,
  LIMITS,
} from "../../../../shared/wire/heartbeat.ts";
import type { HostState } from "../../../../shared/wire/state.ts";
import { controlClock } from "../../../support/agent/control-clock.ts";
import { removeTemporaryDirectories, temporaryDirectory, until } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const engine = (more: Partial<Engine> = {}): Engine => ({
  id: "ollama",
  name: "Ollama",
  kind: "inference-engine",
  confidence: 90,
  pid: 100,
  parents: [],
  ports: [11434, 11435],
  bind: ["127.0.0.1", "::1"],
  auth: "open",
  models: [
    { name: "a", loaded: true },
    { name: "b", loaded: false },
  ],
  evidence: [
    { signal: "http", detail: "answered in 3 ms", weight: 60 },
    { signal: "binary", detail: "ollama", weight: 30 },
  ],
  clients: [
    { name: "code", pid: 7, connections: 2 },
    { remote: "10.0.0.9", connections: 1 },
  ],
  ...more,
});
const CONTAINMENT = uncontained("2026-11-21T00:00:00.000Z");
const COLLECTORS: Collector[] = [
  { name: "listeners", status: "ok", detail: "40 sockets" },
  { name: "maps", status: "partial" },
];
const state = (engines: Engine[] = [engine()], more: Partial<HostState> = {}): HostState => ({
  agent: { version: "0.1.0", catalogue: "1", intervalMs: 5000 },
  host: { hostname: "h", os: "Linux", arch: "x64" },
  engines,
  collectors: COLLECTORS,
  containment: CONTAINMENT,
  ...more,
});

describe("fingerprint()", () => {
  const base = state([engine(), engine({ pid: 200, id: "jan" })]);
  const [first, second] = base.engines as [Engine, Engine];
  test.each<[string, HostState]>([
    ["the order of engines", { ...base, engines: [second, first] }],
    ["the order of models", { ...base, engines: [{ ...first, models: first.models.toReversed() }, second] }],
    [
      "the order of clients",
      { ...base, engines: [{ ...first, clients: first.clients.toReversed() }, second] },
    ],
    [
      "the order of ports",
      { ...base, engines: [{ ...first, ports: [11435, 11434], bind: ["::1", "127.0.0.1"] }, second] },
    ],
    ["the order of collectors", { ...base, collectors: COLLECTORS.toReversed() }],
    [
      "numbers of connections",
      {
        ...base,
        engines: [{ ...first, clients: first.clients.map((c) => ({ ...c, connections: 9 })) }, second],
      },
    ],
    [
      "the text of evidence",
      {
        ...base,
        engines: [{ ...first, evidence: first.evidence.map((e) => ({ ...e, detail: "4 ms" })) }, second],
      },
    ],
    [
      "the text of a collector",
      { ...base, collectors: [{ ...COLLECTORS[0]!, detail: "41 sockets" }, COLLECTORS[1]!] },
    ],
    [
      "the process of a client, which a script changes with every call",
      {
        ...base,
        engines: [{ ...first, clients: [{ ...first.clients[0]!, pid: 8 }, first.clients[1]!] }, second],
      },
    ],
  ])("does not change with %s", (_what, other) => {
    expect(fingerprint(other)).toBe(fingerprint(base));
  });
  test.each<[string, HostState]>([
    ["one more engine", { ...base, engines: [first, second, engine({ pid: 300 })] }],
    ["one engine less", { ...base, engines: [first] }],
    ["another pid", { ...base, engines: [{ ...first, pid: 101 }, second] }],
    [
      "a model loaded",
      { ...base, engines: [{ ...first, models: first.models.map((m) => ({ ...m, loaded: true })) }, second] },
    ],
    ["another bind address", { ...base, engines: [{ ...first, bind: ["0.0.0.0"] }, second] }],
    [
      "one more client",
      {
        ...base,
        engines: [
          { ...first, clients: [...first.clients, { name: "curl", pid: 9, connections: 1 }] },
          second,
        ],
      },
    ],
    [
      "another weight of evidence",
      { ...base, engines: [{ ...first, evidence: [first.evidence[0]!] }, second] },
    ],
    [
      "a collector's status",
      { ...base, collectors: [{ ...COLLECTORS[0]!, status: "failed" }, COLLECTORS[1]!] },
    ],
    [
      "containment",
      { ...base, containment: { ...CONTAINMENT, generation: 1, action: "isolate", outcome: "applied" } },
    ],
    ["the host's name", { ...base, host: { ...base.host, hostname: "other" } }],
    ["a model on disk", { ...base, stores: [{ id: "jan", name: "Jan", models: [{ name: "a" }] }] }],
    ["a scan of disks that found nothing", { ...base, stores: [] }],
    ["the interval", { ...base, agent: { ...base.agent, intervalMs: 1000 } }],
  ])("changes with %s", (_what, other) => {
    expect(fingerprint(other)).not.toBe(fingerprint(base));
  });
});

describe("createComposer()", () => {
  test("keeps the time of a state's first heartbeat in later heartbeats, even if composing takes long", () => {
    let nowMs = 1_800_000_000_000;
    // Every reading of the clock takes time, as on a busy host.
    const composer = createComposer({ clock: controlClock(() => (nowMs += 70)), nextSequence: () => 1 });
    const compose = () => composer.compose(state(), { waiting: 0, dropped: 0 });
    const first = compose();
    expect(first.stateSince).toBe(first.sentAt);
    expect([compose().stateSince, compose().stateSince]).toEqual([first.sentAt, first.sentAt]);
  });
  test("dates a state from its first heartbeat, and from the time of its return if it returns later", () => {
    let nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    let sequence = 41;
    const composer = createComposer({ clock: controlClock(() => nowMs), nextSequence: () => ++sequence });
    const spool = { waiting: 0, dropped: 0 };
    const beats = [state(), state(), state([]), state()].map((given) => {
      nowMs += 5000;
      return composer.compose(given, spool);
    });
    expect(beats.map(({ sequence }) => sequence)).toEqual([42, 43, 44, 45]);
    expect(beats.map(({ stateSince }) => stateSince.slice(17, 19))).toEqual(["05", "05", "15", "20"]);
    expect(beats.map(({ sentAt }) => sentAt.slice(17, 19))).toEqual(["05", "10", "15", "20"]);
    for (const beat of beats) expect(heartbeat.safeParse(beat).success).toBe(true);
    expect([composer.isUnchanged(state()), composer.isUnchanged(state([]))]).toEqual([true, false]);
  });

  test.each([
    ["set back by an hour", "2026-11-21T10:00:00.000Z", "2026-11-21T09:00:02.000Z"],
    ["set right after a boot in 1970", "1970-01-01T00:00:20.000Z", "2026-11-21T09:00:02.000Z"],
  ])("keeps the age of a state if the clock is %s", (_what, wrong, right) => {
    let nowMs = Date.parse(wrong);
    let elapsedMs = 0;
    const clock = controlClock(
      () => nowMs,
      () => elapsedMs,
    );
    const composer = createComposer({ clock, nextSequence: () => 1 });
    const compose = () => composer.compose(state(), { waiting: 0, dropped: 0 });
    expect(compose()).toMatchObject({ sentAt: wrong, stateSince: wrong });
    elapsedMs += 2000;
    nowMs = Date.parse(right);
    const since = new Date(nowMs - 2000).toISOString();
    expect(compose()).toMatchObject({ sentAt: right, stateSince: since });
    elapsedMs += 5000;
    nowMs += 5000;
    expect(compose().stateSince).toBe(since);
  });

  test("keeps the age of a state once the time of the control plane is known", () => {
    let nowMs = Date.parse("2024-02-01T10:00:00.000Z");
    const clock = controlClock(() => nowMs);
    const composer = createComposer({ clock, nextSequence: () => 1 });
    const compose = () => composer.compose(state(), { waiting: 0, dropped: 0 });
    compose();
    nowMs += 5000;
    clock.learn(Date.parse("2026-11-21T10:00:05.000Z"), nowMs);
    expect(compose()).toMatchObject({
      sentAt: "2026-11-21T10:00:05.000Z",
      stateSince: "2026-11-21T10:00:00.000Z",
    });
  });

  test("dates a state anew if engines or any other part changes", () => {
    let nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    const composer = createComposer({ clock: controlClock(() => nowMs), nextSequence: () => 1 });
    const first = state();
    const given = [
      first,
      { ...first },
      { ...first, collectors: [{ name: "http", status: "failed" as const }] },
      { ...first, engines: [engine({ version: "9.9.9" })] },
      first,
    ];
    const since = given.map((one) => {
      nowMs += 5000;
      return composer.compose(one, { waiting: 0, dropped: 0 }).stateSince.slice(17, 19);
    });
    expect(since).toEqual(["05", "05", "15", "20", "25"]);
  });
});

describe("cutToFit()", () => {
  const wrap = (engines: Engine[], more?: Partial<HostState>): Heartbeat =>
    createComposer({ clock: controlClock(() => 1_790_000_000_000), nextSequence: () => 1 }).compose(
      state(engines, more),
      {
        waiting: 0,
        dropped: 0,
      },
    );
  test("does not change a heartbeat below the limit", () => {
    const beat = wrap([engine()]);
    expect(cutToFit(beat)).toBe(beat);
  });
  test("shortens the largest valid heartbeat below the body limit, and reports that", () => {
    const long = (n: number): string => "ü".repeat(n);
    const largest = engine({
      name: long(80),
      executable: long(260),
      parents: Array.from({ length: 8 }, () => long(120)),
      container: long(100),
      ports: Array.from({ length: LIMITS.PORTS_MAX }, (_, i) => 60_000 + i),
      bind: Array.from({ length: LIMITS.PORTS_MAX }, () => long(64)),
      models: Array.from({ length: LIMITS.MODELS_MAX }, () => ({
        name: long(200),
        loaded: true,
        licence: long(120),
        publisher: long(120),
        digest: long(100),
      })),
      evidence: Array.from({ length: LIMITS.EVIDENCE_MAX }, () => ({
        signal: "http" as const,
        detail: long(240),
        weight: 1,
      })),
      clients: Array.from({ length: LIMITS.CLIENTS_MAX }, () => ({
        name: long(120),
        executable: long(260),
        directory: long(260),
        remote: long(64),
        connections: 1,
      })),
    });
    const models = largest.models.map(({ loaded: _, ...model }) => model);
    const stores = Array.from({ length: LIMITS.STORES_MAX }, () => ({ id: "jan", name: long(80), models }));
    const beat = wrap(
      Array.from({ length: LIMITS.ENGINES_MAX }, () => largest),
      { stores },
    );
    expect(Buffer.byteLength(JSON.stringify(beat))).toBeLessThanOrEqual(LIMITS.BODY_BYTES_MAX);
    expect(beat.engines.length).toBeGreaterThan(0);
    expect(beat.stores).toHaveLength(LIMITS.STORES_MAX);
    expect(beat.collectors.at(-1)).toMatchObject({ name: "heartbeat", status: "partial" });
    expect(heartbeat.safeParse(beat).success).toBe(true);
  });
});

describe("keepValid()", () => {
  test("leaves out engines that the edge would reject, and reports their number", () => {
    const odd = { ...engine({ pid: 5 }), name: "bad\u0000name" };
    const kept = keepValid(state([engine(), odd]));
    expect(kept.engines).toEqual([engine()]);
    expect(kept.collectors.at(-1)).toMatchObject({
      status: "partial",
      detail: "left out: 1 invalid (name), 0 beyond the limit",
    });
  });
  test("leaves out a store that the edge would reject, and reports that", () => {
    const stored = { id: "jan", name: "Jan", models: [{ name: "a" }] };
    const empty = { ...stored, models: [] };
    const kept = keepValid(state([engine()], { stores: [empty, stored] }));
    expect([kept.engines, kept.stores]).toEqual([[engine()], [stored]]);
    expect(kept.collectors.at(-1)?.detail).toBe("left out: 1 invalid (models), 0 beyond the limit");
  });
  test("does not change a valid state", () => {
    const given = state();
    expect(keepValid(given)).toBe(given);
    // The cached result for the valid state must not apply to an invalid engine.
    expect(keepValid(given)).toBe(given);
    expect(keepValid({ ...given, engines: [{ ...given.engines[0]!, confidence: 101 }] }).engines).toEqual([]);
  });
});

describe("createLoop()", () => {
  let nowMs: number;
  let offered: Heartbeat[];
  let pauses: { ms: number; resolve: () => void }[];
  let scans: number;
  let scan: () => Promise<Engine[]>;
  let keepsUp: boolean;
  let isRevoked: boolean;
  let stopper: AbortController;
  let running: Promise<void>;
  let loop: Loop;
  let spool: Spool;
  let randoms: number[];
  let intervalMs: number;
  /** For each check of the isolation, the number of scans before that check. */
  let looks: number[];
  let isRespawning: boolean;
  let catalogue: string;
  let stores: HostState["stores"];

  beforeEach(() => {
    nowMs = Date.parse("2026-11-21T10:00:00.000Z");
    offered = [];
    pauses = [];
    scans = 0;
    scan = async () => [];
    keepsUp = true;
    isRevoked = false;
    randoms = [];
    looks = [];
    intervalMs = 5000;
    isRespawning = false;
    catalogue = "1";
    stores = undefined;
    stopper = new AbortController();
    spool = openSpool(temporaryDirectory(), { log: silent });
  });
  afterEach(async () => {
    stopper.abort();
    await running;
  });

  function start(): void {
    let sequence = 0;
    loop = createLoop({
      scan: async () => {
        scans += 1;
        return { engines: await scan(), ...(stores && { stores }), collectors: COLLECTORS, durationMs: 1 };
      },
      catalogue: () => catalogue,
      facts: { version: "0.1.0", host: { hostname: "h", os: "Linux", arch: "x64" } },
      settings: () => ({ heartbeatIntervalMs: intervalMs, clientDirectories: false }),
      sequence: { next: () => ++sequence, close: () => {} },
      spool,
      sender: {
        offer: ({ body }) => offered.push(JSON.parse(body)),
        isKeepingUp: () => keepsUp,
        isRevoked: () => isRevoked,
        run: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
      },
      report: async () => CONTAINMENT,
      directives: {
        resume: async () => {},
        reassert: async () => {
          looks.push(scans);
          if (isRespawning) loop.scanSoon();
        },
      },
      clock: controlClock(() => nowMs),
      elapsed: () => nowMs,
      random: () => randoms.shift() ?? 0.5,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          pauses.push({ ms, resolve });
          signal.addEventListener("abort", () => resolve(), { once: true });
        }),
      log: silent,
      onBeat: () => {},
    });
    running = loop.run(stopper.signal);
  }

  /** Ends the current pause after `ms` milliseconds. */
  async function pass(ms: number): Promise<void> {
    const count = pauses.length;
    nowMs += ms;
    pauses.at(-1)!.resolve();
    await until("the next pause", () => pauses.length > count);
  }

  test("sends immediately, and then at the interval ± ten percent", async () => {
    randoms = [0, 0.999999, 0.5];
    start();
    await until("the first pause", () => pauses.length === 1);
    await pass(4500);
    await pass(5500);
    expect(pauses.map(({ ms }) => Math.round(ms))).toEqual([4500, 5500, 5000]);
    expect(offered.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    for (const beat of offered) expect(heartbeat.safeParse(beat).success).toBe(true);
  });

  test("subtracts the duration of the scan from the pause, but at most half of the pause", async () => {
    let leapMs = 1200;
    scan = async () => {
      nowMs += leapMs;
      return [];
    };
    start();
    await until("the first pause", () => pauses.length === 1);
    leapMs = 3_600_000;
    await pass(0);
    expect(pauses.map(({ ms }) => ms)).toEqual([3800, 2500]);
  });

  test("reportNow() makes the next heartbeat immediately, even during a scan", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    loop.reportNow();
    await until("the second heartbeat", () => offered.length === 2);
    scan = async () => {
      loop.reportNow();
      scan = async () => [];
      return [];
    };
    await pass(5000);
    await until("two more", () => offered.length === 4);
    // A new report does not wait for another scan.
    expect(scans).toBe(2);
  });

  test("names the catalogue of the scan, even if it was updated during the scan or the next scan fails", async () => {
    scan = async () => {
      catalogue = "2";
      return [];
    };
    start();
    await until("the first pause", () => pauses.length === 1);
    loop.reportNow();
    await until("a heartbeat without a scan", () => offered.length === 2);
    scan = async () => Promise.reject(new Error("no"));
    await pass(5000);
    scan = async () => [];
    await pass(5000);
    expect(offered.map(({ agent }) => agent.catalogue)).toEqual(["1", "1", "1", "2"]);
  });

  test("reports models on disk after they were scanned, and dates them as a change", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    stores = [{ id: "jan", name: "Jan", models: [{ name: "a" }] }];
    await pass(5000);
    await pass(5000);
    expect(offered.map((beat) => beat.stores)).toEqual([undefined, stores, stores]);
    expect(offered.map(({ sentAt, stateSince }) => sentAt === stateSince)).toEqual([true, true, false]);
  });

  test("scanSoon() starts the next scan within two seconds and then checks the isolation, once per call", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    isRespawning = true;
    await pass(5000);
    await pass(2000);
    isRespawning = false;
    await pass(2000);
    await pass(5000);
    expect(pauses.map(({ ms }) => ms)).toEqual([5000, 2000, 2000, 5000, 5000]);
    expect(looks).toEqual([2, 3, 4, 5]);
  });

  test("scanSoon() needs a scan: a heartbeat without one is not enough", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    loop.scanSoon();
    loop.reportNow();
    await until("the second pause", () => pauses.length === 2);
    expect([scans, looks]).toEqual([1, []]);
    await pass(2000);
    expect([pauses[1]!.ms, scans, looks]).toEqual([2000, 2, [2]]);
  });

  test("checks the isolation every four seconds during a long interval", async () => {
    intervalMs = 20_000;
    start();
    await until("the first pause", () => pauses.length === 1);
    for (let look = 0; look < 4; look++) await pass(4000);
    expect([looks.length, scans, offered.length]).toEqual([4, 1, 1]);
    await pass(4000);
    expect([looks.length, scans, offered.length]).toEqual([5, 2, 2]);
    expect(pauses.map(({ ms }) => ms)).toEqual([4000, 4000, 4000, 4000, 4000, 4000]);
    // A scan that is requested early does not wait for the rest of the interval.
    loop.scanSoon();
    await pass(4000);
    await pass(2000);
    expect([pauses[6]!.ms, scans]).toEqual([2000, 3]);
  });

  test("keeps every change while the edge is unreachable, and an unchanged state once a minute", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    keepsUp = false;
    for (let passed = 0; passed < UNCHANGED_KEPT_EVERY_MS; passed += 5000) await pass(5000);
    expect(offered).toHaveLength(2);
    scan = async () => [engine()];
    await pass(5000);
    scan = async () => [];
    await pass(5000);
    await pass(5000);
    expect(offered.map(({ engines }) => engines.length)).toEqual([0, 0, 1, 0]);
    expect(scans).toBe(16);
    keepsUp = true;
    await pass(5000);
    expect(offered).toHaveLength(5);
    expect(offered.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
  });

  test("makes one heartbeat every five minutes for a revoked asset", async () => {
    start();
    await until("the first pause", () => pauses.length === 1);
    isRevoked = true;
    scan = async () => [engine()];
    for (let passed = 0; passed < 295_000; passed += 5000) await pass(5000);
    expect(offered).toHaveLength(1);
    await pass(5000);
    expect(offered).toHaveLength(2);
  });

  test("reports a failed scan with the engines of the last successful one", async () => {
    scan = async () => [engine()];
    start();
    await until("the first pause", () => pauses.length === 1);
    scan = () => Promise.reject(new Error("no /proc"));
    await pass(5000);
    expect(offered[1]?.engines).toEqual([engine()]);
    expect(offered[1]?.collectors.at(-1)).toMatchObject({ name: "scan", status: "failed" });
    expect(offered[1]?.stateSince).not.toBe(offered[0]!.stateSince);
  });

  test("run() ends on abort during a scan that ignores the signal", async () => {
    scan = () => new Promise(() => {});
    start();
    await until("the scan began", () => scans === 1);
    stopper.abort();
    await running;
    expect(offered).toEqual([]);
  });
});
