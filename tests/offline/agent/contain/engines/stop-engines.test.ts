import { beforeEach, describe, expect, test } from "bun:test";
import type { HostProcess } from "../../../../../agent/contain/engines/process-tree.ts";
import type { Listener } from "../../../../../agent/contain/engines/replaced-engines.ts";
import { stopEnginesEnforcer } from "../../../../../agent/contain/engines/stop-engines.ts";
import type { Stopped } from "../../../../../agent/contain/engines/stopped-file.ts";
import type { Engine } from "../../../../../shared/wire/heartbeat.ts";

/**
 * Processes of a fake host. A test starts, ends and resumes these processes. The host counts suspensions, as
 * Windows does.
 */
let processes: Map<number, HostProcess & { suspensions: number }>;
let engines: Engine[];
let stored: Stopped[];
let refused: readonly number[] | undefined;
let locked: Set<number>;
let leaks: boolean;
let hastened: number;
/** Number of process listings after which a signal takes effect. */
let lag: number;
/** Functions that each start a process before a suspension takes effect. They run in order. */
let births: (() => void)[];

const signal = new AbortController().signal;
const ORDER = { generation: 1, mode: "stop-engines", wasInForce: true } as const;

const spawn = (pid: number, parent = 1, birth = `born ${pid}`): void =>
  void processes.set(pid, { pid, parent, birth, isStopped: false, suspensions: 0 });
const count = (pid: number, by: number): void => {
  const process = processes.get(pid);
  if (!process || locked.has(pid)) throw new Error("not there, or not ours");
  process.suspensions += by;
  process.isStopped = process.suspensions > 0;
};
let onTheirWay: (() => void)[];
const send = (act: () => void): void => {
  if (lag > 0) onTheirWay.push(act);
  else act();
};
const engine = (pid: number, ...ports: number[]): Engine =>
  ({ kind: "inference-engine", pid, ports, bind: ["127.0.0.1"] }) as unknown as Engine;

/** Engines that were identified only by the address of a container or by their memory use. */
let unsure: Engine[];
let listeners: Listener[];
/** The firewall rules in the newest call. */
let sent: string | undefined = "nothing";

const open = ({ refusesItself = true, fault }: { refusesItself?: boolean; fault?: string } = {}) =>
  stopEnginesEnforcer({
    firewall: {
      restrict: async () => undefined,
      refusePorts: async (ports) => {
        if (fault !== undefined) return fault;
        refused = [...new Set(ports)].sort((a, b) => a - b);
        sent = JSON.stringify(refused);
        return undefined;
      },
      altered: async () => (JSON.stringify(refused) === sent ? undefined : "the ports were altered"),
      remove: async () => {
        refused = undefined;
        return undefined;
      },
      refuses: async () => true,
    },
    engines: () => engines,
    unsure: () => unsure,
    listeners: (ports) => listeners.filter(({ port }) => ports.includes(port)),
    processes: async () => {
      if (lag > 0 && --lag === 0) for (const act of onTheirWay.splice(0)) act();
      return [...processes.values()].map((process) => ({ ...process }));
    },
    suspend: ({ pid }) => {
      births.shift()?.();
      send(() => count(pid, 1));
    },
    wake: ({ pid }) => send(() => count(pid, -1)),
    end: ({ pid }) => void (locked.has(pid) || processes.delete(pid)),
    sleep: async () => {},
    scanSoon: () => {
      hastened += 1;
    },
    refusesItself,
    selfPid: 99,
    connect: async ({ port }) => leaks || (fault === undefined && !refused?.includes(port)),
    reach: async () => true,
    load: () => stored,
    save: (all) => {
      stored = [...all];
    },
  });
const stoppedPids = (): number[] =>
  [...processes.values()]
    .filter(({ isStopped }) => isStopped)
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);
const PROVEN = {
  outcome: "applied",
  probes: { controlPlaneReachable: true, forbiddenBlocked: true },
} as const;

beforeEach(() => {
  processes = new Map();
  stored = [];
  refused = undefined;
  locked = new Set();
  leaks = false;
  hastened = 0;
  lag = 0;
  onTheirWay = [];
  births = [];
  for (const [pid, parent] of [
    [1, 0],
    [99, 1],
    [200, 1],
    [201, 200],
    [300, 1],
  ] as const)
    spawn(pid, parent);
  engines = [engine(200, 11_434)];
  unsure = [];
  listeners = [];
});

describe("stopEnginesEnforcer()", () => {
  test("suspends the engine and its children once, and resumes exactly these processes", async () => {
    const enforcer = open();
    expect(await enforcer.apply(ORDER, signal)).toEqual(PROVEN);
    for (let round = 0; round < 3; round++) expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
    expect([stoppedPids(), refused]).toEqual([[200, 201], [11_434]]);
    expect([processes.get(200)!.suspensions, hastened]).toEqual([1, 0]);
    expect(await open().release(ORDER, signal)).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: null },
    });
    expect([stoppedPids(), stored, refused]).toEqual([[], [], undefined]);
  });

  test("does not stop an engine that is identified only by an address, and fails", async () => {
    unsure = [engine(300, 8000), { ...engine(300, 9000), kind: "gateway" }];
    const enforcer = open();
    const fault = {
      outcome: "failed",
      reason:
        "engines at ports 8000 were identified only by a container's address or by memory use, and keep running",
    };
    expect(await enforcer.apply(ORDER, signal)).toMatchObject(fault);
    expect([stoppedPids(), refused]).toEqual([[200, 201], [11_434]]);
    const ending = { ...ORDER, stopEnginesBy: "terminate" } as const;
    engines = [];
    stored = [];
    expect(await enforcer.reassert(ending, signal)).toMatchObject(fault);
    expect(processes.has(300)).toBe(true);
    unsure = [];
    expect((await enforcer.reassert(ending, signal)).outcome).toBe("applied");
  });

  describe("the port of an engine on which another program also listens", () => {
    const eve = (more: Partial<Engine> = {}): Engine => ({
      ...engine(200, 5432, 11_434),
      user: "eve",
      ...more,
    });
    const held = (pid: number, user: string, address = "10.0.0.5"): Listener => {
      return { address, port: 5432, holders: [{ pid, users: [user] }] };
    };

    test.each(["suspend", "terminate"] as const)(
      "is not refused if that program belongs to another user: %s",
      async (stopEnginesBy) => {
        engines = [eve()];
        listeners = [held(300, "postgres"), held(200, "eve", "127.0.0.1")];
        const proof = await open({ refusesItself: false }).apply({ ...ORDER, stopEnginesBy }, signal);
        expect(refused).toEqual([11_434]);
        expect(stored.flatMap(({ ports }) => ports)).not.toContain(stopEnginesBy === "terminate" ? 5432 : 0);
        if (stopEnginesBy === "suspend") {
          const reason =
            "ports 5432 are shared with programs of other users, so connections to them are not refused";
          expect(proof).toMatchObject({ outcome: "failed", reason });
          expect(stoppedPids()).toEqual([200, 201]);
        }
      },
    );

    test("is not refused if only a child of the engine, unknown to the scan, listens on it", async () => {
      engines = [{ ...engine(200, 11_434), user: "eve" }];
      stored = [{ pid: 200, birth: "born 200", ports: [5432] }];
      listeners = [held(300, "postgres"), held(201, "eve", "127.0.0.1")];
      await open({ refusesItself: false }).apply(ORDER, signal);
      expect(refused).toEqual([11_434]);
    });

    test.each<[string, Listener, Partial<Engine>]>([
      ["a program of the engine's own user", held(300, "eve"), {}],
      ["a child of the engine", held(201, "root"), {}],
      ["unknown", { ...held(300, "x"), holders: [] }, {}],
      ["the forwarder of its container", held(300, "root", "127.0.0.1"), { container: "docker:1" }],
    ])("is refused when the other program is %s", async (_what, listener, more) => {
      engines = [eve(more)];
      listeners = [listener];
      expect((await open().apply(ORDER, signal)).outcome).toBe("applied");
      expect(refused).toEqual([5432, 11_434]);
    });
  });

  test("suspends a resumed process, a new child and a new engine again", async () => {
    const enforcer = open();
    await enforcer.apply(ORDER, signal);
    count(200, -1);
    spawn(202, 201);
    spawn(400);
    engines.push(engine(400, 8080));
    expect(await enforcer.reassert(ORDER, signal)).toEqual({
      ...PROVEN,
      repaired: "processes 200 were resumed",
    });
    expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
    spawn(500);
    engines.push(engine(500, 8081));
    const repaired = "engines were started during the isolation";
    expect(await enforcer.reassert(ORDER, signal)).toEqual({ ...PROVEN, repaired });
    processes.delete(500);
    engines.pop();
    await enforcer.reassert(ORDER, signal);
    expect([stoppedPids(), refused]).toEqual([
      [200, 201, 202, 400],
      [8080, 11_434],
    ]);
  });

  test("keeps a suspended engine suspended and its port refused if the scan no longer recognises it", async () => {
    await open().apply(ORDER, signal);
    engines = [];
    const restarted = open();
    expect(await restarted.reassert(ORDER, signal)).toEqual(PROVEN);
    count(200, -1);
    await restarted.reassert(ORDER, signal);
    expect([stoppedPids(), refused]).toEqual([[200, 201], [11_434]]);
  });

  test("does not resume a process that another program suspended, or a later process with the same pid", async () => {
    count(201, 1);
    await open().apply(ORDER, signal);
    expect(stored.map(({ pid }) => pid)).toEqual([200]);
    processes.delete(200);
    spawn(200, 1, "born later");
    count(200, 1);
    expect((await open().release(ORDER, signal)).outcome).toBe("applied");
    expect(stoppedPids()).toEqual([200, 201]);
  });

  test("names a process that could not be suspended, and ignores a process that has ended", async () => {
    locked.add(201);
    const proof = await open().apply(ORDER, signal);
    expect(proof.outcome).toBe("failed");
    expect(proof.reason).toBe("processes 201 could not be suspended");
    expect(proof.probes?.forbiddenBlocked).toBe(false);
  });

  test("reports a process that did not resume, and keeps its record for the next release", async () => {
    await open().apply(ORDER, signal);
    locked.add(201);
    const stuck = await open().release(ORDER, signal);
    expect(stuck).toEqual({ outcome: "failed", reason: "1 processes did not resume" });
    locked.clear();
    expect((await open().release(ORDER, signal)).outcome).toBe("applied");
    expect(stoppedPids()).toEqual([]);
  });

  test("waits until signals take effect before it reports a result", async () => {
    const enforcer = open();
    lag = 4; // The first check runs before any signal takes effect.
    expect(await enforcer.apply(ORDER, signal)).toEqual(PROVEN);
    lag = 4;
    expect((await enforcer.release(ORDER, signal)).outcome).toBe("applied");
    expect(stoppedPids()).toEqual([]);
  });

  test("does not stop an engine that is init or an ancestor of the agent, and fails", async () => {
    for (const pid of [1, 50]) {
      spawn(50);
      spawn(99, 50);
      engines = [engine(pid, 11_434), engine(200, 11_435)];
      const proof = await open().apply(ORDER, signal);
      expect([proof.outcome, proof.reason, stoppedPids()]).toEqual([
        "failed",
        `processes ${pid} are init or run this agent, and keep running`,
        [200, 201],
      ]);
      expect((await open().release(ORDER, signal)).outcome).toBe("applied");
    }
  });

  test("suspends a resumed process again in the next check, and reports each repair", async () => {
    const enforcer = open();
    await enforcer.apply(ORDER, signal);
    for (let round = 0; round < 3; round++) {
      count(200, -1);
      const look = await enforcer.reassert(ORDER, signal);
      expect(look).toEqual({ ...PROVEN, repaired: "processes 200 were resumed" });
      expect(stoppedPids()).toEqual([200, 201]);
      expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
    }
  });

  test("detects by CPU time a process that was resumed and suspended again between two checks", async () => {
    const cpu = (pid: number, cpuMs: number) => {
      processes.get(pid)!.cpuMs = cpuMs;
    };
    cpu(200, 5000);
    cpu(201, 10);
    const enforcer = open();
    expect(await enforcer.apply(ORDER, signal)).toEqual(PROVEN);
    cpu(200, 5020);
    expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
    cpu(201, 31);
    const repaired = "processes 201 were resumed";
    expect(await enforcer.reassert(ORDER, signal)).toEqual({ ...PROVEN, repaired });
    expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
  });

  test("detects a process that ran between two checks, even if another program suspended it", async () => {
    count(200, 1);
    processes.get(200)!.cpuMs = 100;
    const enforcer = open();
    expect(await enforcer.apply(ORDER, signal)).toEqual(PROVEN);
    processes.get(200)!.cpuMs = 4000;
    const repaired = "processes 200 were resumed";
    expect(await enforcer.reassert(ORDER, signal)).toEqual({ ...PROVEN, repaired });
  });

  test("counts a recorded process that runs after a restart of the agent as a repair", async () => {
    await open().apply(ORDER, signal);
    count(201, -1);
    const look = await open().reassert(ORDER, signal);
    expect(look).toEqual({ ...PROVEN, repaired: "processes 201 were resumed" });
  });

  test("fails and names a port that still accepts connections", async () => {
    leaks = true;
    expect(await open().apply(ORDER, signal)).toEqual({
      outcome: "failed",
      reason: "ports 11434 still accept connections",
      probes: { controlPlaneReachable: true, forbiddenBlocked: false },
    });
  });

  test("claims no blocked connection if the rules could not be installed or exempt this host", async () => {
    for (const refusesItself of [true, false]) {
      const enforcer = open({ refusesItself, fault: "nft refused the rules" });
      expect(await enforcer.apply(ORDER, signal)).toEqual({
        outcome: "failed",
        reason:
          "the engines are stopped, but connections to their ports could not be blocked: nft refused the rules",
        probes: { controlPlaneReachable: true, forbiddenBlocked: false },
      });
    }
  });

  test("suspends a process that starts while its parent is being suspended, and resumes it at the release", async () => {
    births = [() => spawn(202, 200), () => spawn(203, 202), () => spawn(204, 203)];
    expect(await open().apply(ORDER, signal)).toEqual(PROVEN);
    expect(stoppedPids()).toEqual([200, 201, 202, 203, 204]);
    expect(processes.get(202)!.suspensions).toBe(1);
    expect((await open().release(ORDER, signal)).outcome).toBe("applied");
    expect(stoppedPids()).toEqual([]);
  });

  test("stops waiting for a process that is never suspended, and fails", async () => {
    lag = 1000;
    const { outcome, probes } = await open().apply(ORDER, signal);
    expect([outcome, probes?.forbiddenBlocked]).toEqual(["applied", false]);
  });

  test("does not stop gateways and databases, and restores changed port rules", async () => {
    const enforcer = open();
    engines.push({ ...engine(300, 9999), kind: "gateway" });
    expect(await enforcer.apply(ORDER, signal)).toEqual(PROVEN);
    refused = [];
    const repaired = "the rules for engine ports were modified (the ports were altered)";
    expect(await enforcer.reassert(ORDER, signal)).toEqual({ ...PROVEN, repaired });
    expect(await enforcer.reassert(ORDER, signal)).toEqual(PROVEN);
    expect([stoppedPids(), refused as readonly number[]]).toEqual([[200, 201], [11_434]]);
    leaks = true;
    expect((await enforcer.reassert(ORDER, signal)).probes?.forbiddenBlocked).toBe(false);
  });
});
