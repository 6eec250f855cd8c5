import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDirectiveHandler, type DirectiveHandler } from "../../../../agent/contain/apply-directive.ts";
import { controlAddressesIn } from "../../../../agent/contain/engines/remains.ts";
import type { Enforcer, Order, Proof } from "../../../../agent/contain/modes/enforcer.ts";
import { blockingEnforcers } from "../../../../agent/contain/platform/host-enforcers.ts";
import { networkRules, portRules } from "../../../../agent/contain/platform/nftables.ts";
import { readCodeResult, submitCode } from "../../../../agent/contain/release-code-file.ts";
import { forgetContainment, readContained } from "../../../../agent/contain/state/containment-file.ts";
import { KEPT_RULES_FILE, keptRules } from "../../../../agent/contain/state/persisted-rules.ts";
import type { Log } from "../../../../agent/platform/log.ts";
import { type Directive, signDirective } from "../../../../shared/wire/directive.ts";
import { type Engine, MODES, type Mode } from "../../../../shared/wire/heartbeat.ts";
import { signReleaseCode } from "../../../../shared/wire/release-code.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
  removeTemporaryDirectories,
  TENANT,
  temporaryDirectory,
} from "../report/send-edge.ts";

/*
 * These tests remove, damage or write-protect the state files while the agent runs or between two starts. The
 * isolation stays in force, and only a signed directive or a release code ends it.
 */

const signal = new AbortController().signal;
const FIRST = "containment.json";
const COPY = "containment.copy.json";
const LINKS = { prefixes: ["10.0.0.0/8"], dhcpServers: ["10.0.0.1"] };
let keys: Awaited<ReturnType<typeof controlKeys>>;
let directory: string;
let done: string[];
let said: string[];
let proof: Proof;

const log: Log = (level, event, fields) =>
  void said.push(
    [level, event, fields?.what, fields?.mode, fields?.reason].filter((part) => part !== undefined).join(" "),
  );
const recorder = (mode: Mode): Enforcer => {
  const record = (verb: string) => async (order: Order) => {
    done.push(`${verb} ${mode} ${order.generation}`);
    return proof;
  };
  return { apply: record("apply"), release: record("release"), reassert: record("reassert") };
};
const start = (): DirectiveHandler =>
  createDirectiveHandler({
    directory,
    self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: keys.jwks }),
    enforcers: Object.fromEntries(MODES.map((mode) => [mode, recorder(mode)])) as Record<Mode, Enforcer>,
    clock: Date.now,
    since: Date.now,
    elapsed: () => performance.now(),
    log,
    onReport: () => {},
  });
const sign = (claims: Partial<Directive>): Promise<string> =>
  signDirective(keys.control, { ...directiveClaims(), ...claims });
const path = (name: string): string => join(directory, name);
const read = (name: string): string => readFileSync(path(name), "utf8");
const remove = (name: string): void => rmSync(path(name), { force: true, recursive: true });
const isThere = (name: string): boolean => statSync(path(name), { throwIfNoEntry: false }) !== undefined;

async function isolated(mode: Mode = "network"): Promise<DirectiveHandler> {
  const handler = start();
  await handler.handle(await sign({ generation: 3, mode }), signal);
  done.length = 0;
  said.length = 0;
  return handler;
}

beforeEach(async () => {
  keys = await controlKeys();
  directory = temporaryDirectory();
  done = [];
  said = [];
  proof = { outcome: "applied", probes: { controlPlaneReachable: true, forbiddenBlocked: true } };
});
afterEach(removeTemporaryDirectories);

describe("while the agent runs", () => {
  test.each([
    ["is removed", FIRST, remove],
    ["is removed", COPY, remove],
    ["is damaged", FIRST, (name: string) => writeFileSync(path(name), "{")],
    [
      "says that the host is free",
      FIRST,
      (name: string) => writeFileSync(path(name), read(name).replace("isolate", "release")),
    ],
  ])("a state file that %s (%s) is written again in the next check, and logged", async (_what, name, act) => {
    const handler = await isolated();
    const before = read(name);
    act(name);
    await handler.reassert(signal);
    expect([read(FIRST), read(COPY)]).toEqual([before, before]);
    expect(said).toEqual(["warn state-file.altered the containment state"]);
    await handler.reassert(signal);
    expect([done, said.length]).toEqual([["reassert network 3", "reassert network 3"], 1]);
  });

  test("a state file that cannot be written is logged once, retried in each check, and written once that is possible", async () => {
    const handler = await isolated();
    for (const name of [FIRST, COPY]) {
      remove(name);
      mkdirSync(path(name));
    }
    for (let look = 0; look < 3; look++) await handler.reassert(signal);
    expect(
      said.filter((line) => line.startsWith("error state-file.not-saved the containment state")),
    ).toHaveLength(1);
    expect(done).toHaveLength(3);
    await handler.handle(await sign({ generation: 4, action: "release", mode: "network" }), signal);
    expect(handler.report()).toMatchObject({ generation: 4, action: "release", outcome: "applied" });
    for (const name of [FIRST, COPY]) remove(name);
    await handler.reassert(signal);
    expect(JSON.parse(read(FIRST))).toMatchObject({ report: { generation: 4 }, traces: null });
    expect(read(COPY)).toBe(read(FIRST));
  });

  test("a host that was never isolated gets no state file", async () => {
    const handler = start();
    await handler.resume(signal);
    await handler.reassert(signal);
    expect([isThere(FIRST), isThere(COPY), done, said]).toEqual([false, false, [], []]);
  });
});

describe("after a restart during an outage of the control plane", () => {
  const NETWORK = networkRules({
    control: [{ address: "198.51.100.7", port: 443 }],
    resolvers: [],
    links: LINKS,
  });
  const PORTS = portRules([11_434]);
  const kinds = {
    first: ["whole", "missing", "damaged"],
    copy: ["whole", "missing", "damaged"],
    rules: ["network", "ports", "missing", "garbled"],
    stopped: ["missing", "listed", "empty", "damaged"],
  } as const;
  const all = kinds.first.flatMap((first) =>
    kinds.copy.flatMap((copy) =>
      kinds.rules.flatMap((rules) => kinds.stopped.map((stopped) => ({ first, copy, rules, stopped }))),
    ),
  );

  test("with any combination of missing and damaged files, the known isolation is restored and nothing is released", async () => {
    await isolated();
    const whole = read(FIRST);
    const texts: Record<string, string> = {
      whole,
      damaged: "{",
      network: NETWORK,
      ports: PORTS,
      garbled: "table inet {",
      listed: '[{"pid":4711,"birth":"b","ports":[11434]}]',
      empty: "[]",
    };
    expect(all).toHaveLength(144);
    for (const { first, copy, rules, stopped } of all) {
      const files = { [FIRST]: first, [COPY]: copy, [KEPT_RULES_FILE]: rules, "stopped.json": stopped };
      for (const [name, kind] of Object.entries(files)) {
        remove(name);
        if (kind !== "missing") writeFileSync(path(name), texts[kind]!);
      }
      done.length = 0;
      said.length = 0;
      const handler = start();
      await handler.resume(signal);
      await handler.reassert(signal);
      const isKnown = first === "whole" || copy === "whole";
      const mode =
        isKnown || rules === "network"
          ? "network"
          : rules === "ports" || stopped === "listed" || stopped === "damaged"
            ? "stop-engines"
            : undefined;
      const looks = mode ? Array(2).fill(`reassert ${mode} ${isKnown ? 3 : 0}`) : [];
      expect({ ...files, done }).toEqual({ ...files, done: looks });
      expect(handler.report().generation).toBe(isKnown ? 3 : 0);
      // The agent saves the isolation again for its next start and for commands such as enroll and uninstall.
      if (mode) expect(readContained(directory)).toEqual({ mode, generation: isKnown ? 3 : 0 });
      if (!isKnown && mode) expect(said[0]).toStartWith(`error containment.state-recovered ${mode} `);
    }
  });

  test("an isolation known only from its rules is replaced by the next directive, an isolation or a release", async () => {
    for (const action of ["isolate", "release"] as const) {
      directory = temporaryDirectory();
      writeFileSync(path(KEPT_RULES_FILE), NETWORK);
      done.length = 0;
      const handler = start();
      await handler.resume(signal);
      await handler.handle(await sign({ generation: 9, action, mode: "network" }), signal);
      expect(done).toEqual(["reassert network 0", `${action === "isolate" ? "apply" : action} network 9`]);
      expect(handler.report()).toMatchObject({ generation: 9, action, outcome: "applied" });
      expect(readContained(directory)).toEqual(
        action === "isolate" ? { mode: "network", generation: 9 } : undefined,
      );
    }
  });

  test("an isolation known only from its rules is ended by a release code, and the report names the code and its generation", async () => {
    writeFileSync(path(KEPT_RULES_FILE), PORTS);
    const handler = start();
    const iat = Math.floor(Date.now() / 1000);
    const jti = "01JD8Z000000000000000000AA";
    const code = await signReleaseCode(keys.control, {
      ...{ tenant: TENANT, asset: ASSET, generation: 3, jti },
      ...{ iat, exp: iat + 3600 },
    });
    submitCode(directory, code);
    await handler.reassert(signal);
    expect(done).toEqual(["release stop-engines 3"]);
    expect(readCodeResult(directory, code)?.freed).toBe(true);
    expect(handler.report()).toMatchObject({
      ...{ generation: 3, action: "release", mode: "stop-engines", outcome: "applied" },
      reason: `released at the host with code ${jti}`,
    });
  });

  test.each([
    ["an isolation", "release", "isolate"],
    ["a release", "isolate", "release"],
  ] as const)(
    "the newer of two state files is used if the other could not be written: %s",
    async (_what, older, newer) => {
      const handler = start();
      await handler.handle(await sign({ generation: 3, mode: "network", action: older }), signal);
      const stale = read(FIRST);
      await handler.handle(await sign({ generation: 4, mode: "network", action: newer }), signal);
      for (const name of [FIRST, COPY]) {
        const fresh = read(name);
        writeFileSync(path(name), stale);
        expect(start().report()).toMatchObject({ generation: 4, action: newer });
        writeFileSync(path(name), fresh);
      }
    },
  );

  test("a host that enrols as a new asset deletes both files", async () => {
    await isolated();
    forgetContainment(directory);
    expect([isThere(FIRST), isThere(COPY), readContained(directory)]).toEqual([false, false, undefined]);
  });
});

describe("keptRules()", () => {
  test("restores removed or changed rules, until the rules are deleted", () => {
    const kept = keptRules(directory, log);
    kept.restore();
    expect(isThere(KEPT_RULES_FILE)).toBe(false);
    kept.keep("the rules");
    for (const act of [() => remove(KEPT_RULES_FILE), () => writeFileSync(path(KEPT_RULES_FILE), "others")]) {
      act();
      kept.restore();
      expect(read(KEPT_RULES_FILE)).toBe("the rules");
    }
    expect(said).toHaveLength(2);
    kept.keep(undefined);
    kept.restore();
    kept.keep(undefined);
    expect([isThere(KEPT_RULES_FILE), said.length]).toEqual([false, 2]);
  });
});

describe("state of the enforcers", () => {
  let processes: Map<number, boolean>;
  let engines: Engine[];
  const open = (more: { restoreFiles?: () => void } = {}) =>
    blockingEnforcers(
      {
        ...{ directory, edgeUrl: "http://127.0.0.1:9", selfPid: 99, reach: async () => true, log },
        engines: () => engines,
        sleep: async () => {},
        elapsed: () => 0,
        scanSoon: () => {},
      } as Parameters<typeof blockingEnforcers>[0],
      {
        firewall: {
          restrict: async () => undefined,
          refusePorts: async () => undefined,
          standing: async () => "rules",
          altered: async () => undefined,
          remove: async () => undefined,
          refuses: async () => true,
        },
        resolvers: async () => [],
        dhcpServers: async () => [],
        processes: async () =>
          [...processes].map(([pid, isStopped]) => ({ pid, parent: 1, birth: `b${pid}`, isStopped })),
        suspend: ({ pid }: { pid: number }) => void processes.set(pid, true),
        wake: ({ pid }: { pid: number }) => void processes.set(pid, false),
        end: ({ pid }: { pid: number }) => void processes.delete(pid),
        refusesItself: false,
        ...more,
      } as unknown as Parameters<typeof blockingEnforcers>[1],
    );
  const ORDER = { generation: 3, mode: "stop-engines", wasInForce: true } as const;
  const files = ["stopped.json", "stopped.copy.json"];

  beforeEach(() => {
    processes = new Map([
      [99, false],
      [200, false],
    ]);
    engines = [{ kind: "inference-engine", pid: 200, ports: [], bind: [] } as unknown as Engine];
  });

  test("a removed list of stopped processes is written again, and the release resumes these processes", async () => {
    const enforcers = open();
    await enforcers["stop-engines"].apply(ORDER, signal);
    for (const name of files) remove(name);
    engines = [];
    await enforcers["stop-engines"].reassert(ORDER, signal);
    expect(files.map((name) => JSON.parse(read(name)))).toEqual(
      Array(2).fill([{ pid: 200, birth: "b200", ports: [] }]),
    );
    for (const name of files) remove(name);
    expect(await enforcers["stop-engines"].release(ORDER, signal)).not.toHaveProperty("reason");
    expect(processes.get(200)).toBe(false);
  });

  test("a list that cannot be written prevents neither suspension nor resumption", async () => {
    for (const name of files) mkdirSync(path(name));
    const enforcers = open();
    expect((await enforcers["stop-engines"].apply(ORDER, signal)).outcome).toBe("applied");
    expect(processes.get(200)).toBe(true);
    expect((await enforcers["stop-engines"].release(ORDER, signal)).outcome).toBe("applied");
    expect(processes.get(200)).toBe(false);
  });

  test("one of two files is enough for a release after a restart, and without both the report says so", async () => {
    for (const [missing, damaged] of [files, files.toReversed()] as [string, string][]) {
      await open()["stop-engines"].apply(ORDER, signal);
      remove(missing);
      expect(await open()["stop-engines"].release(ORDER, signal)).not.toHaveProperty("reason");
      expect(processes.get(200)).toBe(false);
      await open()["stop-engines"].apply(ORDER, signal);
      remove(missing);
      writeFileSync(path(damaged), "{");
      const released = await open()["stop-engines"].release(ORDER, signal);
      expect(released).toMatchObject({ outcome: "applied", reason: expect.stringContaining("was lost") });
      processes.set(200, false);
    }
  });

  test("system files are restored in each check in both modes, but not before the first check", async () => {
    const restored: string[] = [];
    const enforcers = open({ restoreFiles: () => void restored.push("restored") });
    expect(restored).toEqual([]);
    await enforcers["stop-engines"].reassert(ORDER, signal);
    await enforcers.network.reassert({ ...ORDER, mode: "network" }, signal);
    expect(restored).toEqual(["restored", "restored"]);
  });

  test("a removed address list is written again, and an agent that starts without it reads the addresses from the saved rules", async () => {
    const enforcers = open();
    await enforcers.network.reassert({ ...ORDER, mode: "network" }, signal);
    expect(JSON.parse(read("control-addresses.json"))).toEqual(["127.0.0.1"]);
    remove("control-addresses.json");
    await enforcers.network.reassert({ ...ORDER, mode: "network" }, signal);
    expect(JSON.parse(read("control-addresses.json"))).toEqual(["127.0.0.1"]);
    const control = [
      { address: "198.51.100.7", port: 443 },
      { address: "203.0.113.9", port: 443 },
      { address: "2001:db8::7", port: 443 },
    ];
    for (const resolvers of [["192.0.2.53"], []]) {
      writeFileSync(
        path(KEPT_RULES_FILE),
        networkRules({ control, resolvers, resolverUsers: [0, 101], links: LINKS }),
      );

      expect(controlAddressesIn(directory).sort()).toEqual(control.map(({ address }) => address).sort());
    }
    remove(KEPT_RULES_FILE);
    expect(controlAddressesIn(directory)).toEqual([]);
  });
});
