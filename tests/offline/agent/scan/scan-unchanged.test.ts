import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { probeOf } from "../../../../agent/scan/identify/fixtures.ts";
import type { SystemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { ASKING_MAX, ListenerProber } from "../../../../agent/scan/probe/probe-listeners.ts";
import { inProcessReader } from "../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../agent/scan/reader-process/perform-reads.ts";
import { createScanner } from "../../../../agent/scan/scan.ts";
import { directoriesIn } from "../../../../agent/scan/stores/models-on-disk.ts";
import { realFiles } from "../../../../agent/scan/system/files.ts";
import type { Host, Listener, Peer, ProcessFacts, Snapshot } from "../../../../agent/scan/system/host.ts";
import { createMemo } from "../../../../agent/scan/system/memo.ts";

test("createMemo() computes the result again if an input or the number of inputs differs", () => {
  const memo = createMemo<number>();
  let made = 0;
  const ask = (...inputs: unknown[]): number => memo(inputs, () => (made += 1));
  const one = {};
  expect([ask(one, 2), ask(one, 2), ask({}, 2), ask(one, 2), ask(one), ask(one, undefined)]).toEqual([
    1, 1, 2, 3, 4, 5,
  ]);
});

/* A fake host in memory. Like the Linux host, it returns the same objects as before while no fact changes. */

const OLLAMA = catalogue.find(({ id }) => id === "ollama")!;
const ANSWERS = OLLAMA.fixtures.positive.find(({ answers }) => answers)!;
const PID = 500;

const processOf = (pid: number, more: Partial<ProcessFacts> = {}): ProcessFacts => ({
  pid,
  parentPid: 1,
  key: `${pid}:1:x`,
  name: "x",
  executable: `/usr/bin/x${pid}`,
  argv: [],
  ...more,
});

const HOMES: readonly string[] = [];

const LISTENER: Listener = {
  key: "own/1",
  address: "127.0.0.1",
  port: 4000,
  pid: PID,
  reachableAt: "127.0.0.1",
};

function scanning() {
  let snapshot: Snapshot = {
    processes: new Map([
      [400, processOf(400, { name: "desktop" })],
      [PID, processOf(PID, { parentPid: 400 })],
      [600, processOf(600, { name: "editor" })],
    ]),
    listeners: [LISTENER],
    weights: new Map(),
    libraries: new Map(),
    gpu: new Map(),
    collectors: [],
  };
  let peers: ReadonlyMap<string, readonly Peer[]> = new Map();
  const told: { package?: string; signer?: string; directory?: string } = {};
  const host: Host = {
    observe: async () => snapshot,
    peers: () => ({ peers, collector: { name: "clients", status: "ok" } }),
    workingDirectory: () => told.directory,
    packageOf: () => told.package,
    signerOf: () => told.signer,
    executableFile: () => undefined,
  };
  const readers: SystemReaders = {
    host,
    files: realFiles(),
    reader: inProcessReader(createReads(realFiles())),
    directories: directoriesIn(realFiles()),
    cpuMs: () => 0,
    probe: probeOf(ANSWERS),
    catalogue,
    selfPid: 1,
    homes: () => HOMES,
    elapsed: () => 0,
  };
  const scanner = createScanner(readers);
  return {
    readers,
    told,
    change: (next: Partial<Snapshot>) => {
      snapshot = { ...snapshot, ...next };
    },
    replace: (...some: ProcessFacts[]) => {
      const processes = new Map(snapshot.processes);
      for (const one of some) processes.set(one.pid, one);
      snapshot = { ...snapshot, processes };
    },
    connect: (...next: Peer[]) => {
      peers = new Map([[LISTENER.key, next]]);
    },
    scan: async (clientDirectories = false) => (await scanner.scan(undefined, { clientDirectories })).engines,
  };
}

describe("createScanner().scan() of models on disk", () => {
  test("reads no disk in the first scan of a daemon, and reads the disk in a single scan", async () => {
    const { readers } = scanning();
    const scanner = createScanner(readers);
    expect((await scanner.scan()).stores).toBeUndefined();
    expect((await scanner.scan()).stores).toBeArray();
    expect((await createScanner(readers, { storesMs: 1 }).scan()).stores).toBeArray();
  });
});

describe("createScanner().scan() on an unchanged host", () => {
  test("returns the same engine objects while other processes start and end", async () => {
    const host = scanning();
    const first = await host.scan();
    expect(first.map(({ id }) => id)).toEqual(["ollama"]);
    expect(await host.scan()).toBe(first);
    host.replace(processOf(700, { name: "make" }));
    expect(await host.scan()).toBe(first);
  });

  const changes: [what: string, make: (host: ReturnType<typeof scanning>) => void, seen: object][] = [
    [
      "a client",
      (host) => host.connect({ pid: 600, connections: 1 }),
      { clients: [{ name: "editor", pid: 600 }] },
    ],
    [
      "a remote client",
      (host) => host.connect({ remote: "10.0.0.9", connections: 2 }),
      { clients: [{ connections: 2 }] },
    ],
    [
      "weights in its memory",
      (host) =>
        host.change({
          weights: new Map([[PID, [{ path: "/m.gguf", format: "gguf", sizeBytes: 9, how: "mapped" }]]]),
        }),
      { evidence: expect.arrayContaining([expect.objectContaining({ signal: "weights" })]) },
    ],
    [
      "GPU memory",
      (host) => host.change({ gpu: new Map([[PID, { bytes: 2 ** 30 }]]) }),
      { evidence: expect.arrayContaining([expect.objectContaining({ signal: "gpu" })]) },
    ],
    ["another parent", (host) => host.replace(processOf(PID, { parentPid: 600 })), { parents: ["editor"] }],
    [
      "a parent that became another program",
      (host) => host.replace(processOf(400, { name: "kiosk" })),
      { parents: ["kiosk"] },
    ],
    ["an account", (host) => host.replace(processOf(PID, { parentPid: 400, user: "ada" })), { user: "ada" }],
    [
      "the package it came with",
      ({ told }) => Object.assign(told, { package: "ollama 1" }),
      { package: "ollama 1" },
    ],
    ["its signer", ({ told }) => Object.assign(told, { signer: "Ada" }), { signer: "Ada" }],
    [
      "another socket",
      (host) => host.change({ listeners: [{ ...LISTENER, address: "0.0.0.0" }] }),
      { bind: ["0.0.0.0"] },
    ],
  ];
  test.each(changes)("reports %s in the next scan", async (_, make, seen) => {
    const host = scanning();
    const first = await host.scan();
    make(host);
    const second = await host.scan();
    expect(second).not.toBe(first);
    expect(second).toMatchObject([seen]);
    expect(await host.scan()).toBe(second);
  });

  test("reports a new working directory of a client, and none after the setting is turned off", async () => {
    const host = scanning();
    host.connect({ pid: 600, connections: 1 });
    host.told.directory = "/srv/a";
    expect((await host.scan(true))[0]?.clients[0]?.directory).toBe("/srv/a");
    host.told.directory = "/srv/b";
    expect((await host.scan(true))[0]?.clients[0]?.directory).toBe("/srv/b");
    expect((await host.scan(false))[0]?.clients[0]).not.toHaveProperty("directory");
  });

  test("probes listeners while the memory of processes is read, and uses both findings", async () => {
    const host = scanning();
    let asked = false;
    const { promise: front, resolve: answered } = Promise.withResolvers<void>();
    const scanner = createScanner({
      ...host.readers,
      probe: async (...question) => {
        answered();
        asked = true;
        return await host.readers.probe(...question);
      },
      host: {
        ...host.readers.host,
        observe: async (sighted) => {
          const snapshot = await host.readers.host.observe();
          sighted?.(snapshot);
          expect(asked).toBe(true);
          await front;
          return { ...snapshot, libraries: new Map([[PID, ["/usr/lib/libllama.so"]]]) };
        },
      },
    });
    const { engines } = await scanner.scan();
    expect(engines.map(({ id }) => id)).toEqual(["ollama"]);
    expect(engines[0]!.evidence.map(({ signal }) => signal)).toContain("library");
  });

  test("probes a socket again after its process has executed another program", async () => {
    const host = scanning();
    const [before] = await host.scan();
    // In this case, createSocketTable() returns a new array of listeners, so the fake host does the same.
    host.replace(processOf(PID, { key: `${PID}:1:y`, name: "y", executable: "/opt/other" }));
    host.change({ listeners: [{ ...LISTENER }] });
    const [after] = await host.scan();
    expect(after).not.toBe(before!);
    expect(after?.executable).toBe("/opt/other");
  });
});

describe("ListenerProber", () => {
  const snapshotOf = (...listeners: Listener[]): Snapshot => ({
    processes: new Map([[PID, processOf(PID)]]),
    listeners,
    weights: new Map(),
    libraries: new Map(),
    gpu: new Map(),
    collectors: [],
  });
  const likelyOf = () => new Set<string>();

  test("probes again only if a process opens a new socket on a known port", async () => {
    let probe = probeOf({ source: "made up: nothing" });
    let asked = 0;
    const listening = new ListenerProber({
      probe: async (...question) => {
        asked += 1;
        return await probe(...question);
      },
      catalogue,
      selfPid: 1,
      elapsed: () => 0,
    });
    const names = async (...listeners: Listener[]) => {
      const { heard } = await listening.update(snapshotOf(...listeners), likelyOf);
      return heard.map(({ fingerprint }) => fingerprint.judgement.winner?.entry.id);
    };
    expect(await names(LISTENER)).toEqual([undefined]);
    probe = probeOf(ANSWERS);
    const before = asked;
    expect(await names({ ...LISTENER })).toEqual([undefined]);
    expect(asked).toBe(before);
    const anew = { ...LISTENER, key: "own/2" };
    expect(await names(anew)).toEqual(["ollama"]);
    const known = asked;
    expect(await names({ ...anew })).toEqual(["ollama"]);
    expect(asked).toBe(known);
  });

  test("starts probing early, sends no request twice, and decides between two equal products with all facts", async () => {
    const asked: string[] = [];
    const twins = [OLLAMA, { ...OLLAMA, id: "a-twin" }];
    const answer = probeOf(ANSWERS);
    const probe: typeof answer = (target, path) => {
      asked.push(path);
      return answer(target, path);
    };
    const listening = new ListenerProber({ probe, catalogue: twins, selfPid: 1, elapsed: () => 0 });
    const likely = new Set<string>();
    const snapshot = snapshotOf(LISTENER);
    listening.begin(snapshot, () => likely);
    await Bun.sleep(0);
    expect(asked).toContain("/");
    likely.add("ollama");
    const { heard, collector } = await listening.update(snapshot, () => likely);
    expect(heard.map(({ fingerprint }) => fingerprint.judgement.winner?.entry.id)).toEqual(["ollama"]);
    expect(collector.status).toBe("ok");
    expect(new Set(asked).size).toBe(asked.length);
    const unknown = new ListenerProber({ probe, catalogue: twins, selfPid: 1, elapsed: () => 0 });
    const [alphabetical] = (await unknown.update(snapshot, () => new Set())).heard;
    expect(alphabetical!.fingerprint.judgement.winner?.entry.id).toBe("a-twin");
  });

  test("completes probes in the next scan if the scan that started them failed", async () => {
    const listening = new ListenerProber({
      probe: probeOf(ANSWERS),
      catalogue,
      selfPid: 1,
      elapsed: () => 0,
    });
    const snapshot = snapshotOf(LISTENER);
    listening.begin(snapshot, likelyOf);
    await Bun.sleep(0);
    listening.begin(snapshot, likelyOf);
    const { heard } = await listening.update(snapshot, likelyOf);
    expect(heard.map(({ fingerprint }) => fingerprint.judgement.winner?.entry.id)).toEqual(["ollama"]);
  });

  test.each([
    ["closed its socket and serves something else on the port", "own/2"],
    ["serves something else on the socket that stayed", LISTENER.key],
  ])("no longer reports an engine of a process that %s", async (_, key) => {
    let probe = probeOf(ANSWERS);
    let nowMs = 0;
    const listening = new ListenerProber({
      probe: (...question) => probe(...question),
      catalogue,
      selfPid: 1,
      elapsed: () => nowMs,
    });
    const names = async (listener: Listener) => {
      const { heard } = await listening.update(snapshotOf(listener), likelyOf);
      return heard.flatMap(({ fingerprint }) => fingerprint.judgement.winner?.entry.id ?? []);
    };
    expect(await names(LISTENER)).toEqual(["ollama"]);
    probe = probeOf({ source: "made up: nothing" });
    nowMs = 60_000;
    expect(await names({ ...LISTENER, key })).toEqual([]);
  });

  const crowd = Array.from({ length: 300 }, (_, at) => ({
    ...LISTENER,
    key: `own/${at}`,
    port: 10_000 + at,
  }));

  test("probes a limited number of listeners at a time, and a first port of a process before the second port of another", async () => {
    const order: number[] = [];
    let asking = 0;
    let most = 0;
    const listening = new ListenerProber({
      probe: async ({ port }) => {
        order.push(port);
        asking += 1;
        most = Math.max(most, asking);
        await Promise.resolve();
        asking -= 1;
        return { failed: "not-http" };
      },
      catalogue,
      selfPid: 1,
      elapsed: () => 0,
    });
    const lonely = { ...LISTENER, key: "own/lonely", pid: 600, port: 9 };
    const { collector } = await listening.update(snapshotOf(...crowd, lonely), likelyOf);
    expect(order.indexOf(9)).toBe(1);
    expect(new Set(order).size).toBe(301);
    expect(most).toBe(ASKING_MAX);
    expect(collector).toEqual({ name: "http", status: "ok", detail: "301 listeners probed" });
  });

  test("distinguishes listeners that were not probed in time from those that did not respond", async () => {
    const { promise: never } = Promise.withResolvers<{ failed: "silent" }>();
    const deps = { probe: () => never, catalogue, selfPid: 1, elapsed: () => 0 };
    const { collector } = await new ListenerProber(deps, { firstMs: 0, laterMs: 0 }).update(
      snapshotOf(...crowd),
      likelyOf,
    );
    const detail = `300 of 300 listeners not probed completely, ${300 - ASKING_MAX} of them not started yet`;
    expect(collector).toEqual({ name: "http", status: "partial", detail });
  });

  test("probes new listeners before it retries silent ones", async () => {
    const order: number[] = [];
    let nowMs = 0;
    const listening = new ListenerProber({
      probe: async ({ port }) => {
        order.push(port);
        return { failed: "silent" };
      },
      catalogue,
      selfPid: 1,
      elapsed: () => nowMs,
    });
    await listening.update(snapshotOf(...crowd), likelyOf);
    nowMs = 60_000;
    order.length = 0;
    const fresh = { ...LISTENER, key: "own/fresh", port: 9 };
    await listening.update(snapshotOf(...crowd, fresh), likelyOf);
    expect(order[0]).toBe(9);
    expect(new Set(order).size).toBe(301);
  });
});
