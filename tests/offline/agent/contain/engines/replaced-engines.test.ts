import { describe, expect, test } from "bun:test";
import type { HostProcess } from "../../../../../agent/contain/engines/process-tree.ts";
import {
  createReplacementWatch,
  type Listener,
  locate,
} from "../../../../../agent/contain/engines/replaced-engines.ts";
import { stopEnginesEnforcer } from "../../../../../agent/contain/engines/stop-engines.ts";
import type { Stopped } from "../../../../../agent/contain/engines/stopped-file.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import type { Engine } from "../../../../../shared/wire/heartbeat.ts";

const STARTED_MS = Date.parse("2026-11-21T10:00:00.000Z");
const PORT = 11_434;
const ADDRESS = "127.0.0.1";

const engine = (more: Partial<Engine> = {}): Engine =>
  ({
    id: "ollama",
    name: "Ollama",
    kind: "inference-engine",
    pid: 200,
    processStartedAt: timestamp(STARTED_MS),
    user: "ada",
    ports: [PORT],
    bind: [ADDRESS],
    ...more,
  }) as Engine;
const running = (pid: number, startedAtMs = STARTED_MS + 60_000): HostProcess => ({
  pid,
  parent: 1,
  birth: `born ${pid}`,
  isStopped: false,
  startedAtMs,
});
const listener = (pid: number, more: Partial<Listener> = {}, user = "ada"): Listener => ({
  address: ADDRESS,
  port: PORT,
  holders: [{ pid, users: [user, "1000"] }],
  ...more,
});
const located = (listeners: Listener[], processes = [running(300)], one = engine()) => {
  const { roots, ended, unclearPorts } = locate([one], processes, () => listeners);
  return { roots: roots.map(({ pid }) => pid), ended: ended.length, unclearPorts };
};

describe("locate()", () => {
  test("finds the process that the scan reported, without listing listeners", () => {
    const asked = (): never => {
      throw new Error("not needed");
    };
    const { roots } = locate([engine()], [running(200, STARTED_MS), running(300)], asked);
    expect(roots.map(({ pid }) => pid)).toEqual([200]);
  });

  test("finds the process that has the engine's socket if the engine's own process is gone or its pid was reused", () => {
    const found = { roots: [300], ended: 0, unclearPorts: [] };
    expect(located([listener(300)])).toEqual(found);
    expect(located([listener(300)], [running(200), running(300)])).toEqual(found);
    expect(located([listener(300)], [running(300)], engine({ user: "1000" }))).toEqual(found);
  });

  test("reports an engine without a process and without a listener as ended", () => {
    expect(located([])).toEqual({ roots: [], ended: 1, unclearPorts: [] });
  });

  test("does not stop, but reports, a process that another user could have disguised as the engine", () => {
    const unclear = { roots: [], ended: 0, unclearPorts: [PORT] };
    // These listeners belong to a program of another user, a program older than the engine, and programs that
    // cannot be inspected.
    expect(located([listener(300, {}, "postgres")])).toEqual(unclear);
    expect(located([listener(300)], [running(300, STARTED_MS - 60_000)])).toEqual(unclear);
    expect(located([listener(300, { holders: [] })])).toEqual(unclear);
    expect(located([listener(300)], [running(300)], engine({ user: undefined }))).toEqual(unclear);
    expect(located([listener(300)], [running(300)], engine({ processStartedAt: undefined }))).toEqual(
      unclear,
    );
    // These listeners have the same port at another address, or the same address and port in a container.
    const ended = { roots: [], ended: 1, unclearPorts: [] };
    expect(located([listener(300, { address: "127.0.0.5" })])).toEqual(ended);
    expect(located([listener(300)], [running(300)], engine({ container: "docker:1" }))).toEqual(ended);
  });
});

describe("createReplacementWatch()", () => {
  test("names an engine that ends, starts again as another process, and ends again", () => {
    const watch = createReplacementWatch();
    expect(watch.note([engine()])).toEqual([]);
    expect(watch.note([engine()])).toEqual([]); // A second check can get the same scan result.
    expect(watch.note([engine({ pid: 201 })])).toEqual(["Ollama"]);
    expect(watch.note([engine({ pid: 201 })])).toEqual(["Ollama"]);
    expect(watch.note([])).toEqual([]);
    expect(watch.note([engine({ pid: 202 })])).toEqual(["Ollama"]);
    watch.clear();
    expect(watch.note([engine({ pid: 203 })])).toEqual([]);
  });
});

describe("stopEnginesEnforcer() with an engine whose process is gone", () => {
  const signal = new AbortController().signal;
  function host(listeners: () => Listener[], stopEnginesBy: "suspend" | "terminate" = "suspend") {
    const order = { generation: 1, mode: "stop-engines", wasInForce: true, stopEnginesBy } as const;
    const processes = [running(300)];
    let engines = [engine()];
    let stored: Stopped[] = [];
    let hastened = 0;
    const ended: number[] = [];
    const enforcer = stopEnginesEnforcer({
      firewall: {
        restrict: async () => undefined,
        refusePorts: async () => undefined,
        altered: async () => undefined,
        remove: async () => undefined,
        refuses: async () => true,
      },
      engines: () => engines,
      processes: async () => processes.map((each) => ({ ...each })),
      suspend: ({ pid }) => {
        processes.find((each) => each.pid === pid)!.isStopped = true;
      },
      wake: () => {},
      end: ({ pid }) => void ended.push(pid),
      sleep: async () => {},
      scanSoon: () => {
        hastened++;
      },
      refusesItself: true,
      selfPid: 99,
      connect: async () => false,
      listeners,
      reach: async () => true,
      load: () => stored,
      save: (all) => {
        stored = [...all];
      },
    });
    return {
      apply: () => enforcer.apply(order, signal),
      reassert: () => enforcer.reassert(order, signal),
      scan: (next: Engine[]) => {
        engines = next;
      },
      isStopped: () => processes[0]!.isStopped,
      stored: () => stored.map(({ pid }) => pid),
      hastened: () => hastened,
      ended,
    };
  }

  test("suspends the process that took over the socket, and records it for the release", async () => {
    const it = host(() => [listener(300)]);
    expect(await it.apply()).toMatchObject({ outcome: "applied", probes: { forbiddenBlocked: true } });
    expect([it.isStopped(), it.stored(), it.hastened()]).toEqual([true, [300], 0]);
  });

  test("fails with a reason while an unidentified process listens on the port, and requests an early scan", async () => {
    const it = host(() => [listener(300, {}, "postgres")]);
    expect(await it.apply()).toMatchObject({
      outcome: "failed",
      reason: `engines have ended, and processes that no scan has identified now listen on their ports ${PORT}`,
      probes: { forbiddenBlocked: false },
    });
    expect([it.isStopped(), it.hastened()]).toEqual([false, 1]);
    it.scan([]);
    expect((await it.reassert()).outcome).toBe("applied");
  });

  test("terminates only processes that a scan has named", async () => {
    const it = host(() => [listener(300)], "terminate");
    expect(await it.apply()).toMatchObject({ outcome: "failed", reason: expect.stringContaining(`${PORT}`) });
    expect([it.ended, it.hastened() > 0]).toEqual([[], true]);
  });

  test.each(["suspend", "terminate"] as const)(
    "fails if an engine without a port replaces its process again (%s)",
    async (by) => {
      const it = host(() => [], by);
      it.scan([engine({ ports: [], bind: [] })]);
      expect((await it.apply()).outcome).toBe("applied");
      it.scan([engine({ pid: 201, ports: [], bind: [] })]);
      expect(await it.reassert()).toMatchObject({
        outcome: "failed",
        reason: "Ollama keeps replacing its process before the agent can stop it",
        repaired: "Ollama keeps replacing its process before the agent can stop it",
      });
    },
  );
});
