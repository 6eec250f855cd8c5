import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { HostProcess } from "../../../../../agent/contain/engines/process-tree.ts";
import type { StopDeps } from "../../../../../agent/contain/engines/stop-context.ts";
import { stopEnginesEnforcer } from "../../../../../agent/contain/engines/stop-engines.ts";
import type { Stopped } from "../../../../../agent/contain/engines/stopped-file.ts";
import { leftBehind } from "../../../../../agent/contain/engines/terminate.ts";
import { hostProcesses, signals } from "../../../../../agent/contain/platform/linux.ts";
import { listeningOf, parseListening } from "../../../../../agent/contain/platform/linux-ports.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import { sleep } from "../../../../../shared/time/sleep.ts";
import type { Engine } from "../../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { removeTemporaryDirectories, temporaryDirectory, until } from "../../report/send-edge.ts";

/*
 * These tests use real processes, signals and process lists of this host. Only the firewall is a fake that
 * records the rules. namespace.test.ts tests the real firewall.
 */

setDefaultTimeout(60_000);

const ORDER = { generation: 1, mode: "stop-engines", wasInForce: true, stopEnginesBy: "terminate" } as const;
const signal = new AbortController().signal;
let directory: string;
let engines: Engine[];
let stored: Stopped[];
let refused: number[] | undefined;
let hastened: number;
let started: Bun.Subprocess[];

beforeEach(() => {
  directory = temporaryDirectory();
  engines = [];
  stored = [];
  refused = undefined;
  hastened = 0;
  started = [];
});
afterEach(() => {
  for (const one of started) one.kill("SIGKILL");
  for (const pid of processesIn(directory)) process.kill(pid, "SIGKILL");
  removeTemporaryDirectories();
});

/**
 * Returns the processes with this working directory. The scripts change into that directory, so processes
 * that the scripts leave behind are found too.
 */
const processesIn = (path: string): number[] =>
  readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readlinkSync(`/proc/${pid}/cwd`) === path;
      } catch {
        return false; // The process ended before its working directory was read.
      }
    });

/** The firewall rules in the newest call. */
let sent: string | undefined = "nothing";

const open = (more: Partial<StopDeps> = {}) =>
  stopEnginesEnforcer({
    firewall: {
      restrict: async () => undefined,
      refusePorts: async (ports) => {
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
    processes: async () => hostProcesses(),
    ...signals,
    refusesItself: false,
    selfPid: process.pid,
    connect: async () => false,
    reach: async () => true,
    sleep,
    scanSoon: () => {
      hastened += 1;
    },
    load: () => stored,
    save: (all) => {
      stored = [...all];
    },
    ...more,
  });

/** Starts Bash with a script that writes files `$name.pid` into the directory. Returns the pid of Bash. */
function bash(script: string): number {
  const child = Bun.spawn(["bash", "-c", `cd '${directory}'; ${script}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  started.push(child);
  return child.pid;
}

async function pidIn(name: string): Promise<number> {
  const path = join(directory, name);
  await until("it is so", () => existsSync(path) && /^\d+\n$/.test(readFileSync(path, "utf8")), 20_000);
  return Number(readFileSync(path, "utf8"));
}

const found = (pid: number) => hostProcesses().find((process) => process.pid === pid);
const isAlive = (pid: number): boolean => found(pid) !== undefined;

const groupOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")[2]);

/** Returns the process with this pid as a scan reports it. */
const scanned = (pid: number, ...ports: number[]): Engine =>
  ({
    kind: "inference-engine",
    pid,
    processStartedAt: timestamp(found(pid)!.startedAtMs!),
    ports,
    bind: ["127.0.0.1"],
  }) as unknown as Engine;

const PROBES = { controlPlaneReachable: true, forbiddenBlocked: true };

describeUnless(missing("Linux"), "stopEnginesEnforcer() with the method terminate", () => {
  test("terminates an engine with SIGTERM and without SIGKILL, and does not end the shell that started it", async () => {
    const shell = bash(
      `(trap 'echo ended > asked; exit 0' TERM; echo $BASHPID > engine.pid; while :; do sleep 0.05; done) & wait; sleep 600`,
    );
    const engine = await pidIn("engine.pid");
    engines = [scanned(engine, 11_434)];
    const proof = await open().apply(ORDER, signal);
    expect(proof).toMatchObject({ outcome: "applied", probes: PROBES });
    expect(proof.reason).toMatch(/^\d+ processes were terminated$/);
    expect([isAlive(engine), isAlive(shell), isAlive(process.pid)]).toEqual([false, true, true]);
    expect(readFileSync(join(directory, "asked"), "utf8")).toBe("ended\n");
    expect([refused, hastened]).toEqual([[11_434], 1]);
  });

  test("terminates an engine that ignores SIGTERM, with all its descendants, after the grace period", async () => {
    const engine = bash(
      `trap '' TERM; (trap '' TERM; sleep 600 & echo $! > grandchild.pid; echo $BASHPID > child.pid; wait) & echo $$ > engine.pid; wait`,
    );
    const all = [engine, await pidIn("child.pid"), await pidIn("grandchild.pid")];
    await pidIn("engine.pid");
    engines = [scanned(engine, 8080)];
    const beganAtMs = performance.now();
    expect(await open().apply(ORDER, signal)).toMatchObject({ outcome: "applied", probes: PROBES });
    expect(performance.now() - beganAtMs).toBeGreaterThan(4500);
    expect(all.map(isAlive)).toEqual([false, false, false]);
  });

  test("terminates processes left in the engine's own process group, but not its siblings in a pipeline", async () => {
    // With job control, the engine leads a process group. Its first child ends, so that init adopts the
    // grandchild.
    const shell = bash(
      `set -m; (echo $BASHPID > engine.pid; (sleep 600 & echo $! > orphan.pid); exec sleep 600) | (echo $BASHPID > sibling.pid; exec sleep 600) & wait`,
    );
    const engine = await pidIn("engine.pid");
    const [orphan, sibling] = [await pidIn("orphan.pid"), await pidIn("sibling.pid")];
    expect(groupOf(sibling)).toBe(engine);
    const left = () => leftBehind([found(engine)!], hostProcesses()).map(({ pid }) => pid);
    await until("the second child is nobody's", () => left().length > 0, 10_000);
    expect(left()).toEqual([orphan]);
    engines = [scanned(engine)];
    expect((await open().apply(ORDER, signal)).outcome).toBe("applied");
    expect([engine, orphan, sibling, shell].map(isAlive)).toEqual([false, false, true, true]);
  });

  test("terminates each engine that a supervisor restarts once a scan names it, counts that as a repair, and does not end the supervisor", async () => {
    const supervisor = bash(`while :; do (echo $BASHPID > engine.pid; exec sleep 600); done`);
    let engine = await pidIn("engine.pid");
    engines = [scanned(engine, 9000)];
    const enforcer = open();
    expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    for (let round = 1; round <= 3; round++) {
      const before = engine;
      await until(
        "it is so",
        () => {
          engine = Number(readFileSync(join(directory, "engine.pid"), "utf8")) || before;
          return engine !== before && isAlive(engine);
        },
        20_000,
      );
      // No scan has named the process yet. The process keeps running, but its port is refused.
      expect((await enforcer.reassert(ORDER, signal)).reason).toBeUndefined();
      expect([isAlive(engine), refused]).toEqual([true, [9000]]);
      engines = [scanned(engine, 9000)];
      const proof = await enforcer.reassert(ORDER, signal);
      expect(proof).toMatchObject({ outcome: "applied", probes: PROBES });
      expect(proof.repaired).toBe("engines were started during the isolation");
      expect([isAlive(before), isAlive(engine), isAlive(supervisor)]).toEqual([false, false, true]);
    }
    expect(hastened).toBe(7);
    expect((await enforcer.release(ORDER, signal)).outcome).toBe("applied");
    expect([refused, stored]).toEqual([undefined, []]);
    await until(
      "it is so",
      () => {
        const now = Number(readFileSync(join(directory, "engine.pid"), "utf8"));
        return now !== engine && isAlive(now);
      },
      20_000,
    );
  });

  test("stops requesting early scans after a while without new engines", async () => {
    engines = [scanned(bash("exec sleep 600"))];
    const enforcer = open();
    await enforcer.apply(ORDER, signal);
    for (let round = 0; round < 40; round++) await enforcer.reassert(ORDER, signal);
    expect(hastened).toBe(15);
  });

  test("does not end a later process with an engine's pid, even if it started two seconds later", async () => {
    const pid = bash("exec sleep 600");
    await until("it is so", () => isAlive(pid), 10_000);
    const engine = scanned(pid, 9000);
    engines = [{ ...engine, processStartedAt: timestamp(found(pid)!.startedAtMs! - 2000) }];
    expect(await open().apply(ORDER, signal)).toMatchObject({ outcome: "applied", probes: PROBES });
    expect([isAlive(pid), refused]).toEqual([true, [9000]]);
    engines = [engine];
    await open().apply(ORDER, signal);
    expect(isAlive(pid)).toBe(false);
  });

  test("does not end a process with an unknown start time, and claims no success", async () => {
    const pid = bash("exec sleep 600");
    const { processStartedAt: _, ...engine } = scanned(pid);
    engines = [engine as Engine];
    const proof = await open().apply(ORDER, signal);
    expect([proof.outcome, proof.probes?.forbiddenBlocked]).toEqual(["failed", false]);
    expect(proof.reason).toContain(`processes ${pid} could not be identified for certain`);
    expect(isAlive(pid)).toBe(true);
  });

  test("refuses a port that no scan has named, because the kernel reports the engine as its listener", async () => {
    const pid = bash(
      `exec '${process.execPath}' -e 'Bun.listen({hostname:"127.0.0.1",port:0,socket:{data(){}}})'`,
    );
    await until("it listens", () => listeningOf([pid]).length > 0, 20_000);
    const { port } = listeningOf([pid])[0]!;
    engines = [scanned(pid)];
    const enforcer = open({ listening: listeningOf, refusesItself: true, connect: async () => true });
    const suspended = await enforcer.apply({ ...ORDER, stopEnginesBy: "suspend" }, signal);
    expect(suspended).toMatchObject({ outcome: "failed", probes: { forbiddenBlocked: false } });
    expect([suspended.reason, refused]).toEqual([`ports ${port} still accept connections`, [port]]);
    const ended = open({ listening: listeningOf });
    expect((await ended.apply(ORDER, signal)).outcome).toBe("applied");
    engines = [];
    for (let look = 0; look < 3; look++) await ended.reassert(ORDER, signal);
    expect([isAlive(pid), refused]).toEqual([false, [port]]);
  });

  test("suspends a child that was orphaned before the isolation, and resumes it at the release", async () => {
    const script = `set -m; (echo $BASHPID > engine.pid; (bash -c 'sleep 600 & echo $! > orphan.pid'); exec sleep 600) & sleep 600`;
    bash(script);
    const engine = await pidIn("engine.pid");
    const orphan = await pidIn("orphan.pid");
    // The orphan is adopted by init, by a service manager, or by the supervisor of a test run.
    await until("it is adopted", () => groupOf(found(orphan)?.parent ?? engine) !== engine, 10_000);
    expect([groupOf(orphan), found(orphan)!.parent === engine]).toEqual([engine, false]);
    engines = [scanned(engine)];
    const order = { ...ORDER, stopEnginesBy: "suspend" } as const;
    const enforcer = open();
    expect(await enforcer.apply(order, signal)).toMatchObject({ outcome: "applied", probes: PROBES });
    expect([engine, orphan].map((pid) => found(pid)?.isStopped)).toEqual([true, true]);
    expect((await enforcer.release(order, signal)).outcome).toBe("applied");
    expect([engine, orphan].map((pid) => found(pid)?.isStopped)).toEqual([false, false]);
  });

  test("never terminates the agent, its ancestors or init, even if a scan names them as engines", async () => {
    const parent = found(process.pid)!.parent;
    for (const pid of [process.pid, parent, 1]) {
      engines = [scanned(pid)];
      const proof = await open({
        ask: () => {
          throw new Error("asked");
        },
        end: () => {
          throw new Error("ended");
        },
        suspend: () => {
          throw new Error("suspended");
        },
      }).apply(ORDER, signal);
      expect([proof.outcome, proof.probes?.forbiddenBlocked]).toEqual(["failed", false]);
      expect(proof.reason).toContain(`processes ${pid} `);
    }
  });

  test("terminates suspended processes without resuming them", async () => {
    const script = `trap 'echo woken > woken' TERM; echo $$ > engine.pid; while :; do sleep 0.05; done`;
    const engine = bash(script);
    await pidIn("engine.pid");
    engines = [scanned(engine)];
    await open().apply({ ...ORDER, stopEnginesBy: "suspend" }, signal);
    expect(found(engine)?.isStopped).toBe(true);
    const beganAtMs = performance.now();
    expect((await open().apply(ORDER, signal)).outcome).toBe("applied");
    expect([isAlive(engine), existsSync(join(directory, "woken"))]).toEqual([false, false]);
    expect(performance.now() - beganAtMs).toBeLessThan(4000);
  });

  test("suspends engines if the directive has no stopEnginesBy member, as in older directives", async () => {
    const engine = bash("exec sleep 600");
    engines = [scanned(engine)];
    const { stopEnginesBy: _, ...order } = ORDER;
    expect((await open().apply(order, signal)).outcome).toBe("applied");
    expect(found(engine)?.isStopped).toBe(true);
    expect((await open().release(order, signal)).outcome).toBe("applied");
    expect(found(engine)?.isStopped).toBe(false);
  });

  test("names a process that did not end, and claims no success", async () => {
    const engine = bash("exec sleep 600");
    engines = [scanned(engine)];
    const refuse = (): never => {
      throw new Error("not ours to touch");
    };
    const proof = await open({ ask: refuse, end: refuse, suspend: refuse }).apply(ORDER, signal);
    expect(proof).toMatchObject({
      outcome: "failed",
      reason: `processes ${engine} could not be terminated`,
      probes: { forbiddenBlocked: false },
    });
  });

  test("proves the isolation although a terminated child is a zombie", async () => {
    const engine = bash(`sleep 0.1 & echo $! > zombie.pid; exec sleep 600`);
    const zombie = await pidIn("zombie.pid");
    await until("it is so", () => readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z "), 10_000);
    engines = [scanned(engine)];
    expect(await open().apply({ ...ORDER, stopEnginesBy: "suspend" }, signal)).toMatchObject({
      outcome: "applied",
      probes: PROBES,
    });
  });
});

test("parseListening() reads only listening sockets, of both address families", () => {
  const head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
  const rest = "00000000:00000000 00:00000000 00000000     0        0";
  const four = `${head}   0: 0100007F:2CAA 00000000:0000 0A ${rest} 4711 1\n   1: 0100007F:2CAB 0100007F:9C40 01 ${rest} 4712 1\n`;
  expect(parseListening(four, false)).toEqual([{ address: "127.0.0.1", port: 11_434, inode: "4711" }]);
  const six = `${head}   0: B80D0120000000000000000001000000:0050 ${"0".repeat(32)}:0000 0A ${rest} 8 1\n`;
  expect(parseListening(six, true)).toEqual([
    { address: "2001:0db8:0000:0000:0000:0000:0000:0001", port: 80, inode: "8" },
  ]);
  expect(parseListening("", false)).toEqual([]);
});

describe("leftBehind()", () => {
  const leader = { pid: 20, parent: 10, birth: "a", isStopped: false };
  const member = { pid: 21, birth: "b", group: 20, isStopped: false };
  const left = (...processes: HostProcess[]): number[] =>
    leftBehind([leader], processes).map(({ pid }) => pid);

  test("finds processes adopted by init, even in the session of init and after their leader has ended", () => {
    expect(left(leader, { ...member, parent: 1, isAdopted: true })).toEqual([21]);
    expect(left(leader, { ...member, parent: 1, isAdopted: false })).toEqual([21]);
    expect(left({ ...member, parent: 1, isAdopted: false })).toEqual([21]);
  });

  test("leaves out other processes of a pipeline, their descendants, other groups, and a later leader with the same pid", () => {
    const sibling = { ...member, parent: 10, isAdopted: false };
    expect(left(leader, sibling)).toEqual([]);
    expect(left(sibling)).toEqual([]);
    expect(left(sibling, { ...member, pid: 22, parent: 21, isAdopted: false })).toEqual([]);
    expect(left({ ...member, parent: 1, isAdopted: true, group: 30 })).toEqual([]);
    expect(left({ ...leader, birth: "later" }, { ...member, parent: 1, isAdopted: true })).toEqual([]);
    expect(left({ pid: 1, parent: 0, birth: "c", isStopped: false })).toEqual([]);
  });
});

describeUnless(missing("Linux"), "signals", () => {
  test("never reach a later process with the same pid", async () => {
    const pid = bash("exec sleep 600");
    const { birth } = found(pid)!;
    for (const send of [signals.ask!, signals.end, signals.suspend, signals.wake])
      expect(() => send({ pid, birth: `${birth}0` })).toThrow("has ended or its pid was reused");
    expect(isAlive(pid)).toBe(true);
    signals.end({ pid, birth });
    await until("it is so", () => !isAlive(pid), 10_000);
  });
});
