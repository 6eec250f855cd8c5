import { describe, expect, test } from "bun:test";
import type { RunCommand } from "../../../agent/command.ts";
import { familyOf, type HostProcess } from "../../../agent/contain/family.ts";
import { hostProcesses, resolversOf } from "../../../agent/contain/linux.ts";
import { networkEnforcer } from "../../../agent/contain/network.ts";
import { nftFirewall } from "../../../agent/contain/nft-firewall.ts";
import {
  networkRules,
  packetsIn,
  portRules,
  removeBridgeTable,
  removeTable,
} from "../../../agent/contain/nftables.ts";
import { STOPPED_KINDS } from "../../../agent/contain/stop-engines.ts";
import { processBirth } from "../../../agent/lock.ts";
import { silent } from "../../../agent/log.ts";
import { missing, testUnless } from "../../support/missing.ts";
import { until } from "./send-edge.ts";

const signal = new AbortController().signal;
const ORDER = { generation: 1, mode: "network", wasInForce: true } as const;

describe("networkRules()", () => {
  const rules = networkRules({
    control: [
      { address: "198.51.100.7", port: 443 },
      { address: "2001:db8::7", port: 443 },
    ],
    resolvers: ["192.0.2.53", "2001:db8::53"],
  });
  test("replaces the whole table in one transaction", () => {
    expect(
      rules.startsWith(
        "table inet lifecyclezero\ndelete table inet lifecyclezero\ntable inet lifecyclezero {\n",
      ),
    ).toBe(true);
  });
  test("drops by default in all three directions", () => {
    const hooks = [...rules.matchAll(/hook (\w+) priority -10; policy (\w+)/g)].map(
      ([, hook, policy]) => `${hook} ${policy}`,
    );
    expect(hooks).toEqual(["output drop", "input drop", "forward drop"]);
  });
  test("names the control plane with its port and the name servers, by family", () => {
    expect(rules).toContain(
      "set control4 { type ipv4_addr . inet_service; elements = { 198.51.100.7 . 443 } }",
    );
    expect(rules).toContain(
      "set control6 { type ipv6_addr . inet_service; elements = { 2001:db8::7 . 443 } }",
    );
    expect(rules).toContain("set resolver4 { type ipv4_addr; elements = { 192.0.2.53 } }");
    expect(rules).toContain("set resolver6 { type ipv6_addr; elements = { 2001:db8::53 } }");
  });
  test("accepts no established flow but those of the control plane and the name servers", () => {
    const established = rules.split("\n").filter((line) => line.includes("ct state established"));
    expect(established).toHaveLength(4);
    expect(established.every((line) => /@(control|resolver)[46]/.test(line))).toBe(true);
  });
  test("lets any name server be asked only when none is known", () => {
    expect(rules).not.toContain("    meta l4proto { tcp, udp } th dport 53 accept");
    expect(networkRules({ control: [], resolvers: [] })).toContain(
      "    meta l4proto { tcp, udp } th dport 53 accept",
    );
  });
});

test("portRules() refuse each port once, towards the engine only, and nothing without ports", () => {
  expect(portRules([8080, 11434, 8080])).toContain("elements = { 8080, 11434 }");
  expect(portRules([1])).toContain("ct direction original tcp dport @ports");
  expect(portRules([])).not.toContain("elements");
});

test("packetsIn() reads nft's answer and nothing else", () => {
  expect(
    packetsIn('{"nftables":[{"metainfo":{}},{"counter":{"name":"forbidden","packets":7,"bytes":420}}]}'),
  ).toBe(7);
  for (const odd of ["", "{}", "null", '{"nftables":[]}', '{"nftables":[{"counter":{"packets":"7"}}]}']) {
    expect(packetsIn(odd)).toBeUndefined();
  }
});

describe("resolversOf()", () => {
  const from = (files: Record<string, string>) => resolversOf((path) => files[path] ?? "");
  test.each<[Record<string, string>, string[]]>([
    [
      { "/etc/resolv.conf": "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch x" },
      ["192.0.2.53", "2001:db8::53"],
    ],
    [
      {
        "/etc/resolv.conf": "nameserver 127.0.0.53",
        "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53",
      },
      ["192.0.2.53"],
    ],
    [{ "/etc/resolv.conf": "nameserver 127.0.0.1\n" }, []],
    [{ "/etc/resolv.conf": "nameserver fe80::1%eth0" }, ["fe80::1"]],
    [
      { "/etc/resolv.conf": "# nameserver 9.9.9.9\nnameserver 1.2.3.4 }; accept\nnameserver evil.example\n" },
      [],
    ],
    [{}, []],
  ])("%j gives %j", (files, expected) => {
    expect(from(files)).toEqual(expected);
  });
});

describe("familyOf()", () => {
  const process = (pid: number, parent: number): HostProcess => ({
    pid,
    parent,
    birth: String(pid),
    isStopped: false,
  });
  const pidsOf = (found: readonly HostProcess[]): number[] => found.map(({ pid }) => pid);
  const all = [
    process(1, 0),
    process(10, 1),
    process(11, 10),
    process(12, 11),
    process(20, 1),
    process(30, 1),
    process(31, 30),
  ];
  test("takes the engine and all below it, parents first, once", () => {
    expect(pidsOf(familyOf([10, 11], all, 99))).toEqual([10, 11, 12]);
  });
  test("never takes init, the agent or what started the agent, even if called an engine", () => {
    expect(pidsOf(familyOf([1, 30, 31, 20], all, 31))).toEqual([20]);
  });
  testUnless(missing("Linux"), "reads this very process from /proc", () => {
    const self = hostProcesses().find(({ pid }) => pid === globalThis.process.pid);
    const { pid, ppid } = globalThis.process;
    expect(self).toMatchObject({ pid, parent: ppid, birth: processBirth(pid, "linux")!, isStopped: false });
    const ageMs = globalThis.process.uptime() * 1000;
    expect(Math.abs(Date.now() - ageMs - self!.startedAtMs!)).toBeLessThan(3000);
  });
});

test("STOPPED_KINDS spares what computes nothing by itself", () => {
  for (const kind of ["gateway", "ui", "notebook", "vector-db", "rag", "mcp"] as const)
    expect(STOPPED_KINDS.has(kind)).toBe(false);
});

describe("networkEnforcer()", () => {
  const make = (
    run: RunCommand,
    more: {
      reach?: boolean;
      connects?: boolean;
      resolve?: () => Promise<string[]>;
      resolvers?: () => Promise<string[]>;
      seen?: string[];
    } = {},
  ) =>
    networkEnforcer({
      firewall: nftFirewall({ run, connects: async () => more.connects ?? false, keep: () => {} }),
      edgeUrl: "https://lz.example.com",
      resolve: more.resolve ?? (async () => ["198.51.100.7"]),
      resolvers: more.resolvers ?? (async () => ["192.0.2.53"]),
      load: () => more.seen ?? [],
      save: () => {},
      reach: async () => more.reach ?? true,
      sleep: async () => {},
      log: silent,
    });
  const ok = { code: 0, stdout: "", stderr: "" };
  /** Does as asked and keeps the rules it was given. */
  const recording =
    (rules: string[]): RunCommand =>
    async (_command, stdin) => {
      if (stdin) rules.push(stdin);
      return ok;
    };

  test("fails and changes nothing when the name of the control plane has no address", async () => {
    const ran: string[] = [];
    const enforcer = make(recording(ran), {
      resolve: () => Promise.reject(new Error("NXDOMAIN")),
    });
    expect(await enforcer.apply(ORDER, signal)).toEqual({
      outcome: "failed",
      reason: "the control plane's name lz.example.com has no address",
    });
    expect(ran).toEqual([]);
  });

  test("fails with what nft says, and when nft is missing; then a release has nothing to undo", async () => {
    const refused = make(async () => ({
      code: 1,
      stdout: "",
      stderr: "Error: Operation not permitted\nmore",
    }));
    expect((await refused.apply(ORDER, signal)).reason).toBe(
      "nft refused the rules: Error: Operation not permitted",
    );
    const absent = make(async () => ({ code: 127, stdout: "", stderr: "not found" }));
    expect((await absent.apply(ORDER, signal)).reason).toBe("nft is not installed on this host");
    expect((await absent.release({ ...ORDER, wasInForce: false }, signal)).outcome).toBe("applied");
    expect((await absent.release(ORDER, signal)).outcome).toBe("failed");
  });

  test("isolates where the kernel has no rules for bridges, and leaves nothing behind", async () => {
    let table: string | undefined;
    const run: RunCommand = async (command, stdin) => {
      if ((stdin ?? command.join(" ")).includes("bridge"))
        return { code: 1, stdout: "", stderr: "Error: Operation not supported" };
      if (stdin !== undefined) table = stdin === removeTable ? undefined : stdin;
      return { ...ok, stdout: table ?? "" };
    };
    const enforcer = make(run);
    expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    expect(table).toContain("hook forward");
    expect((await enforcer.release(ORDER, signal)).outcome).toBe("applied");
    expect(table).toBeUndefined();
  });

  test("does not call a forbidden address blocked when its own counter did not move", async () => {
    const counter = (packets: number) => ({
      ...ok,
      stdout: JSON.stringify({ nftables: [{ counter: { packets } }] }),
    });
    const still = make(async (command) => (command.includes("counter") ? counter(3) : ok));
    expect((await still.apply(ORDER, signal)).probes).toEqual({
      controlPlaneReachable: true,
      forbiddenBlocked: false,
    });
    let packets = 0;
    const moving = async (command: readonly string[]) =>
      command.includes("counter") ? counter(packets++) : ok;
    expect((await make(moving).apply(ORDER, signal)).probes?.forbiddenBlocked).toBe(true);
    expect((await make(moving, { connects: true }).apply(ORDER, signal)).probes?.forbiddenBlocked).toBe(
      false,
    );
  });

  test("rolls back by removing the table, and says so when even that fails", async () => {
    const inputs: string[] = [];
    const rollback = make(recording(inputs), { reach: false });
    expect((await rollback.apply(ORDER, signal)).reason).toEndWith("; rolled back");
    expect(inputs.at(-1)).toBe(removeTable);
    const stuck = make(async (_command, stdin) => (stdin === removeTable ? { ...ok, code: 1 } : ok), {
      reach: false,
    });
    expect((await stuck.apply(ORDER, signal)).reason).toEndWith("the rules could not be rolled back");
  });

  test("rolls back at the second try when the first one fails: nobody else would", async () => {
    let removals = 0;
    const busy = make(
      async (_command, stdin) =>
        stdin === removeTable && removals++ === 0 ? { ...ok, code: 1, stderr: "Error: Resource busy" } : ok,
      { reach: false },
    );
    expect((await busy.apply(ORDER, signal)).reason).toEndWith("; rolled back");
    expect(removals).toBe(2);
  });

  test("a release that nft did not carry out has failed, also when it was killed without a word", async () => {
    const mute = { code: -1, stdout: "", stderr: "" };
    for (const unable of [removeTable, removeBridgeTable]) {
      const enforcer = make(async (_command, stdin) => (stdin === unable ? mute : ok));
      expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
      const { outcome, reason } = await enforcer.release(ORDER, signal);
      expect([outcome, reason]).toEqual(["failed", "the rules could not be removed: it gave no reason"]);
    }
    const failed = await make(async () => mute).apply(ORDER, signal);
    expect(failed).toEqual({ outcome: "failed", reason: "nft refused the rules: it gave no reason" });
  });

  test("follows the control plane to a new address without giving up the old one", async () => {
    let addresses = ["198.51.100.7"];
    const rules: string[] = [];
    const enforcer = make(recording(rules), {
      resolve: async () => addresses,
    });
    await enforcer.apply(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(rules).toHaveLength(1);
    addresses = ["198.51.100.8"];
    await enforcer.reassert(ORDER, signal);
    expect(rules.at(-1)).toContain("{ 198.51.100.7 . 443, 198.51.100.8 . 443 }");
  });

  test("follows the host into another network: its new name servers are let through, once, and the old ones no more", async () => {
    let resolvers = ["192.0.2.53"];
    const rules: string[] = [];
    const enforcer = make(recording(rules), { resolvers: async () => resolvers });
    await enforcer.apply(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(rules).toHaveLength(1);
    resolvers = ["203.0.113.1"];
    await enforcer.reassert(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(rules).toHaveLength(2);
    expect(rules.at(-1)).toContain("203.0.113.1");
    expect(rules.at(-1)).not.toContain("192.0.2.53");
  });

  test("puts torn rules back before it asks a name server, which may not answer", async () => {
    let table = "";
    const run: RunCommand = async (_command, stdin) => {
      if (stdin !== undefined) table = stdin;
      return { ...ok, stdout: table };
    };
    let asked = 0;
    const enforcer = make(run, {
      resolve: () => (asked++ === 0 ? Promise.resolve(["198.51.100.7"]) : new Promise(() => {})),
    });
    await enforcer.apply(ORDER, signal);
    const whole = table;
    table = "torn";
    // Never ends; the daemon bounds the question.
    void enforcer.reassert(ORDER, signal);
    await until("the rules are put back", () => table === whole);
    expect(asked).toBe(2);
  });

  test("puts the rules after a start of the host, when no name is known yet, by the addresses seen before", async () => {
    const rules: string[] = [];
    const enforcer = make(recording(rules), {
      resolve: () => Promise.reject(new Error("no network")),
      reach: false,
      seen: ["198.51.100.7", "evil }; accept", "fe80::1%eth0"],
    });
    const { outcome } = await enforcer.reassert(ORDER, signal);
    expect(outcome).toBe("applied");
    expect(rules).toHaveLength(1);
    expect(rules[0]).toContain("{ 198.51.100.7 . 443 }");
    expect(rules[0]).not.toContain("evil");
  });

  test("lets nothing into a rule that a name server of the company may have answered instead of an address", async () => {
    const rules: string[] = [];
    const resolve = async () => ["198.51.100.7 . 443 }\n accept", "198.51.100.8"];
    await make(recording(rules), { resolve }).apply(ORDER, signal);
    expect(rules[0]).toContain("elements = { 198.51.100.8 . 443 }");
  });
});
