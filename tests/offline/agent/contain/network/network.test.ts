import { describe, expect, test } from "bun:test";
import {
  ADDRESSES_MAX,
  createControlAddresses,
  KEPT_MS,
} from "../../../../../agent/contain/network/control-addresses.ts";
import { type Endpoint, type Links, NOTHING_SENT } from "../../../../../agent/contain/network/firewall.ts";
import type { NetworkDeps } from "../../../../../agent/contain/network/network-context.ts";
import { networkEnforcer } from "../../../../../agent/contain/network/network-enforcer.ts";
import { nftFirewall } from "../../../../../agent/contain/platform/nft-firewall.ts";
import { removeBridgeTable, removeTable } from "../../../../../agent/contain/platform/nftables.ts";
import { silent } from "../../../../../agent/platform/log.ts";
import type { RunCommand } from "../../../../../agent/platform/run-command.ts";
import { until } from "../../report/send-edge.ts";
import { fakeNft } from "../fake-nft.ts";

const signal = new AbortController().signal;
const ORDER = { generation: 1, mode: "network", wasInForce: true } as const;
const OURS = "inet lifecyclezero";
const LINKS: Links = { prefixes: ["192.0.2.0/24"], dhcpServers: [] };

/** Creates the enforcer with a fake nft(8). `more` replaces dependencies. */
function make(run: RunCommand, more: Partial<NetworkDeps> & { connects?: boolean } = {}) {
  const { connects = false, ...deps } = more;
  const kept: (string | undefined)[] = [];
  const enforcer = networkEnforcer({
    firewall: nftFirewall({
      run,
      connects: async () => connects,
      keep: (rules) => void kept.push(rules),
    }),
    edgeUrl: "https://lz.example.com",
    resolve: async () => ["198.51.100.7"],
    resolvers: async () => ["192.0.2.53"],
    links: async () => LINKS,
    load: () => [],
    save: () => {},
    reach: async () => true,
    sleep: async () => {},
    elapsed: () => 0,
    log: silent,
    ...deps,
  });
  return { ...enforcer, kept };
}
const ok = { code: 0, stdout: "", stderr: "" };
const isRules = (input: string): boolean => input.includes("hook output");

describe("networkEnforcer()", () => {
  test("fails and changes nothing if the control plane's name has no address", async () => {
    const nft = fakeNft();
    const enforcer = make(nft.run, { resolve: () => Promise.reject(new Error("NXDOMAIN")) });
    expect(await enforcer.apply(ORDER, signal)).toEqual({
      outcome: "failed",
      reason: "the control plane's name lz.example.com has no address",
    });
    expect(nft.asked).toEqual([]);
  });

  test("fails with the message of nft, or if nft is missing; a release afterwards has nothing to undo", async () => {
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

  test("isolates on a kernel without bridge rules, and leaves no trace after the release", async () => {
    const nft = fakeNft();
    const run: RunCommand = async (command, stdin) =>
      (stdin ?? command.join(" ")).includes("bridge")
        ? { code: 1, stdout: "", stderr: "Error: Operation not supported" }
        : nft.run(command, stdin);
    const enforcer = make(run);
    expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    expect(nft.rulesOf(OURS, "forward")).toEqual(["counter name forbidden"]);
    expect((await enforcer.reassert(ORDER, signal)).repaired).toBeUndefined();
    expect((await enforcer.release(ORDER, signal)).outcome).toBe("applied");
    expect(nft.tables.size).toBe(0);
  });

  test("does not report a forbidden address as blocked if its own counter did not increase", async () => {
    const nft = fakeNft();
    expect((await make(nft.run).apply(ORDER, signal)).probes).toEqual({
      controlPlaneReachable: true,
      forbiddenBlocked: false,
    });
    const counting: RunCommand = (command, stdin) => {
      if (command.includes("counter")) nft.count();
      return nft.run(command, stdin);
    };
    expect((await make(counting).apply(ORDER, signal)).probes?.forbiddenBlocked).toBe(true);
    const connected = await make(counting, { connects: true }).apply(ORDER, signal);
    expect(connected.probes?.forbiddenBlocked).toBe(false);
  });

  test("rolls back by removing the table, and reports if the removal fails too", async () => {
    const nft = fakeNft();
    expect((await make(nft.run, { reach: async () => false }).apply(ORDER, signal)).reason).toBe(
      "the control plane was unreachable right after the rules were applied; the rules were rolled back",
    );
    expect(nft.inputs.at(-1)).toBe(removeTable);
    expect(nft.tables.size).toBe(0);
    let removals = 0;
    const stuck = make(
      async (command, stdin) => {
        if (stdin !== removeTable) return nft.run(command, stdin);
        removals++;
        return { ...ok, code: 1 };
      },
      { reach: async () => false },
    );
    expect((await stuck.apply(ORDER, signal)).reason).toEndWith("the rules could not be rolled back");
    expect(removals).toBe(3);
  });

  test("retries a rollback that failed", async () => {
    const nft = fakeNft();
    let removals = 0;
    const busy = make(
      async (command, stdin) =>
        stdin === removeTable && removals++ === 0
          ? { ...ok, code: 1, stderr: "Error: Resource busy" }
          : nft.run(command, stdin),
      { reach: async () => false },
    );
    expect((await busy.apply(ORDER, signal)).reason).toEndWith("; the rules were rolled back");
    expect(removals).toBe(2);
  });

  test("fails a release if nft fails, even if nft was killed without output", async () => {
    const mute = { code: -1, stdout: "", stderr: "" };
    for (const unable of [removeTable, removeBridgeTable]) {
      const nft = fakeNft();
      const enforcer = make(async (command, stdin) => (stdin === unable ? mute : nft.run(command, stdin)));
      expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
      const { outcome, reason } = await enforcer.release(ORDER, signal);
      expect([outcome, reason]).toEqual(["failed", "the rules could not be removed: no reason given"]);
    }
    const failed = await make(async () => mute).apply(ORDER, signal);
    expect(failed).toEqual({ outcome: "failed", reason: "nft refused the rules: no reason given" });
  });

  test("allows a new address of the control plane and keeps the old one", async () => {
    let addresses = ["198.51.100.7"];
    const nft = fakeNft();
    const saved: (readonly string[])[] = [];
    const enforcer = make(nft.run, {
      resolve: async () => addresses,
      save: (all) => void saved.push(all),
    });
    await enforcer.apply(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(nft.inputs).toHaveLength(1);
    addresses = ["198.51.100.8"];
    await enforcer.reassert(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(nft.inputs).toHaveLength(2);
    expect(opened(nft, "443")).toEqual(["198.51.100.7", "198.51.100.8"]);
    expect(saved.at(-1)?.toSorted()).toEqual(["198.51.100.7", "198.51.100.8"]);
  });

  test("restores the rules in a quick check without resolving names", async () => {
    let resolved = 0;
    const nft = fakeNft();
    const enforcer = make(nft.run, {
      resolve: async () => {
        resolved++;
        return ["198.51.100.7"];
      },
    });
    await enforcer.apply(ORDER, signal);
    const before = resolved;
    await nft.run(["nft", "-f", "-"], "delete table inet lifecyclezero\n");
    const proof = await enforcer.reassert({ ...ORDER, isQuick: true }, signal);
    expect(proof).toMatchObject({ outcome: "applied", repaired: expect.stringContaining("modified") });
    expect(resolved).toBe(before);
    await enforcer.reassert(ORDER, signal);
    expect(resolved).toBe(before + 1);
  });

  test("blocks an address of the control plane after an hour without resolution or connection", async () => {
    let addresses = ["198.51.100.7", "198.51.100.9"];
    let elapsedMs = 0;
    const nft = fakeNft();
    const enforcer = make(nft.run, {
      resolve: async () => addresses,
      connected: async () => ["198.51.100.9"],
      elapsed: () => elapsedMs,
    });
    await enforcer.apply(ORDER, signal);
    addresses = ["198.51.100.8"];
    elapsedMs = KEPT_MS;
    await enforcer.reassert(ORDER, signal);
    expect(opened(nft, "443")).toEqual(["198.51.100.7", "198.51.100.8", "198.51.100.9"]);
    elapsedMs += 1;
    await enforcer.reassert(ORDER, signal);
    expect(opened(nft, "443")).toEqual(["198.51.100.8", "198.51.100.9"]);
  });

  test("opens and blocks name servers as they are added and removed", async () => {
    let resolvers = ["192.0.2.53", "192.0.2.54"];
    const nft = fakeNft();
    const enforcer = make(nft.run, { resolvers: async () => resolvers });
    const after = async (next: string[]): Promise<string[]> => {
      resolvers = next;
      await enforcer.reassert(ORDER, signal);
      return [...new Set(opened(nft, "53"))];
    };
    await enforcer.apply(ORDER, signal);
    expect(await after(["192.0.2.54", "192.0.2.53"])).toEqual(["192.0.2.53", "192.0.2.54"]);
    expect(nft.inputs).toHaveLength(1);
    expect(await after(["192.0.2.53"])).toEqual(["192.0.2.53"]);
    expect(await after(["203.0.113.1"])).toEqual(["203.0.113.1"]);
    expect(nft.inputs).toHaveLength(3);
    // A resolv.conf lists no DNS server while the file is being written. An empty list must not open any
    // address.
    expect(await after([])).toEqual(["203.0.113.1"]);
    expect(nft.inputs).toHaveLength(3);
    const many = Array.from({ length: 20 }, (_, index) => `203.0.113.${index + 100}`);
    expect(await after(many)).toEqual(many.slice(0, 8));
    expect(await after(["203.0.113.1 accept", "203.0.113.2"])).toEqual(["203.0.113.2"]);
  });

  test("updates its rules when the host's links or the DHCP servers of its leases change", async () => {
    let links = LINKS;
    const nft = fakeNft();
    const enforcer = make(nft.run, { links: async () => links });
    await enforcer.apply(ORDER, signal);
    links = { prefixes: ["10.1.0.0/16"], dhcpServers: ["10.1.0.2"] };
    await enforcer.reassert(ORDER, signal);
    const dhcp = nft.rulesOf(OURS, "input").filter((rule) => rule.includes("udp dport 68"));
    expect(dhcp.map((rule) => rule.split(" ")[2])).toEqual([
      "255.255.255.255",
      "169.254.0.0/16",
      "10.1.0.0/16",
      "10.1.0.2",
    ]);
  });

  test("looks up the user of the stub resolver only while no name server is known", async () => {
    let asked = 0;
    const users = async () => {
      asked++;
      return [0, 101];
    };
    const known = fakeNft();
    await make(known.run, { resolverUsers: users }).apply(ORDER, signal);
    expect(asked).toBe(0);
    const nft = fakeNft();
    await make(nft.run, { resolverUsers: users, resolvers: async () => [] }).apply(ORDER, signal);
    expect(nft.rulesOf(OURS, "output")).toContain("meta skuid 101 udp dport 53 jump names_out");
  });

  test("restores removed rules before it queries a name server, which possibly does not respond", async () => {
    const nft = fakeNft();
    let isAnswering = true;
    const enforcer = make(nft.run, {
      resolve: () => (isAnswering ? Promise.resolve(["198.51.100.7"]) : new Promise(() => {})),
    });
    await enforcer.apply(ORDER, signal);
    isAnswering = false;
    const whole = nft.rulesOf(OURS, "output");
    nft.tables.delete(OURS);
    // This call never resolves. In the agent, the daemon sets a timeout for this call.
    void enforcer.reassert(ORDER, signal);
    await until("the rules are put back", () => nft.rulesOf(OURS, "output").join() === whole.join());
    expect(whole).not.toEqual([]);
  });

  test("sets the rules after a boot from saved addresses, before names can be resolved", async () => {
    const nft = fakeNft();
    const enforcer = make(nft.run, {
      resolve: () => Promise.reject(new Error("no network")),
      reach: async () => false,
      load: () => ["198.51.100.7", "evil }; accept", "fe80::1%eth0"],
    });
    const { outcome, repaired } = await enforcer.reassert(ORDER, signal);
    // The agent cannot know whether rules from before its start were changed, so the agent reports no repair.
    expect([outcome, repaired]).toEqual(["applied", undefined]);
    expect(opened(nft, "443")).toEqual(["198.51.100.7"]);
    expect(nft.inputs.filter(isRules)).toHaveLength(1);
    expect(nft.inputs.join()).not.toContain("evil");
    expect(enforcer.kept).toEqual(nft.inputs);
  });

  test("writes text from a name server into a rule only if it is an address", async () => {
    const nft = fakeNft();
    const resolve = async () => ["198.51.100.7 . 443 }\n accept", "198.51.100.8"];
    await make(nft.run, { resolve }).apply(ORDER, signal);
    expect(opened(nft, "443")).toEqual(["198.51.100.8"]);
  });
});

describe("networkEnforcer(), edge cases", () => {
  test("ends immediately and reports no failure if the agent stops during a proof", async () => {
    const stopping = new AbortController();
    let tries = 0;
    const enforcer = make(fakeNft().run, {
      edgeUrl: "https://198.51.100.7",
      reach: async () => {
        tries++;
        stopping.abort();
        return false;
      },
    });
    await expect(enforcer.apply(ORDER, stopping.signal)).rejects.toThrow(
      "stopped before the isolation was proven",
    );
    expect(tries).toBe(1);
  });

  test("tries another port of the control plane's host and an unused address as forbidden targets", async () => {
    const tried: Endpoint[] = [];
    const nft = fakeNft();
    const firewall = nftFirewall({ run: nft.run, connects: async () => false, keep: () => {} });
    const watching = {
      ...firewall,
      refuses: async (endpoints: readonly Endpoint[]) => {
        tried.push(...endpoints);
        return true;
      },
    };
    await make(nft.run, { firewall: watching }).apply(ORDER, signal);
    await make(nft.run, { firewall: watching, edgeUrl: "https://198.51.100.7:9" }).apply(ORDER, signal);
    const nowhere = { address: "192.0.2.1", port: 443 };
    expect(tried).toEqual([
      ...[{ address: "198.51.100.7", port: 9 }, nowhere],
      ...[{ address: "198.51.100.7", port: 10 }, nowhere],
    ]);
  });

  test("sets no rules and gives a reason while no address of the control plane is known", async () => {
    const nft = fakeNft();
    const enforcer = make(nft.run, { resolve: () => Promise.reject(new Error("no network")) });
    expect(await enforcer.reassert(ORDER, signal)).toEqual({
      outcome: "applied",
      reason: "the rules could not be restored: the control plane's name lz.example.com has no address",
      probes: { controlPlaneReachable: true, forbiddenBlocked: false },
    });
    expect(nft.asked).toEqual([]);
  });

  test("reports a change of the rules even if they cannot be restored", async () => {
    const nft = fakeNft();
    let isBroken = false;
    const enforcer = make(async (command, stdin) =>
      isBroken && stdin !== undefined
        ? { code: 1, stdout: "", stderr: "Error: busy" }
        : nft.run(command, stdin),
    );
    await enforcer.apply(ORDER, signal);
    nft.tables.delete(OURS);
    isBroken = true;
    expect(await enforcer.reassert(ORDER, signal)).toMatchObject({
      reason: "the rules could not be restored: nft refused the rules: Error: busy",
      repaired: "the isolation rules were modified (table inet lifecyclezero was removed)",
      probes: { forbiddenBlocked: false },
    });
  });

  test("proves again after it has sent rules again, but not in every check", async () => {
    let reaches = 0;
    const nft = fakeNft();
    const counting: RunCommand = (command, stdin) => {
      if (command.includes("counter")) nft.count();
      return nft.run(command, stdin);
    };
    const enforcer = make(counting, {
      edgeUrl: "https://198.51.100.7",
      reach: async () => {
        reaches++;
        return true;
      },
    });
    await enforcer.apply(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(reaches).toBe(1);
    nft.tables.delete(OURS);
    await enforcer.reassert(ORDER, signal);
    await enforcer.reassert(ORDER, signal);
    expect(reaches).toBe(2);
  });

  test("after a release, saves no rules for the next boot and forgets the rules that it sent", async () => {
    const nft = fakeNft();
    const kept: (string | undefined)[] = [];
    const firewall = nftFirewall({
      run: nft.run,
      connects: async () => false,
      keep: (rules) => void kept.push(rules),
    });
    expect(await firewall.altered()).toBe(NOTHING_SENT);
    const rules = { control: [], resolvers: ["192.0.2.53"], links: LINKS };
    expect(await firewall.restrict(rules)).toBeUndefined();
    expect(kept).toEqual(nft.inputs);
    expect(await firewall.altered()).toBeUndefined();
    expect(await firewall.remove(true)).toBeUndefined();
    expect(kept.at(-1)).toBeUndefined();
    expect(await firewall.altered()).toBe(NOTHING_SENT);
    expect(await firewall.refusePorts([11_434])).toBeUndefined();
    expect([...nft.tables.keys()]).toEqual([OURS]);
  });
});

/** Returns the addresses for which this port is open, in the order of the rules. */
const opened = (nft: ReturnType<typeof fakeNft>, port: string): string[] =>
  nft
    .rulesOf(OURS, "output")
    .flatMap((rule) => new RegExp(`daddr (\\S+) (?:tcp|udp) dport ${port} accept`).exec(rule)?.[1] ?? []);

describe("changed rules", () => {
  const ACCEPT = "ip daddr 203.0.113.9 accept";
  const isolated = async () => {
    const nft = fakeNft();
    const enforcer = make(nft.run);
    await enforcer.apply(ORDER, signal);
    return { nft, enforcer, whole: nft.rulesOf(OURS, "output") };
  };
  const changes: [string, (nft: ReturnType<typeof fakeNft>) => void, string][] = [
    [
      "a rule inserted",
      (nft) => nft.edit(OURS, (all) => all.splice(all.indexOf("oif lo accept"), 0, ACCEPT)),
      "rules added: 1",
    ],
    [
      "a rule deleted",
      (nft) => nft.edit(OURS, (all) => all.splice(all.indexOf("reject with icmpx type admin-prohibited"), 1)),
      "rules removed: 1",
    ],
    [
      "a rule replaced",
      (nft) =>
        nft.edit(OURS, (all) => {
          all[all.indexOf("oif lo accept")] = ACCEPT;
        }),
      "rules removed: 1, rules added: 1",
    ],
    [
      "rules in another order",
      (nft) =>
        nft.edit(OURS, (all) => {
          const at = all.indexOf("oif lo accept");
          all.splice(at, 2, all[at + 1]!, all[at]!);
        }),
      "chains reordered: 1",
    ],
    [
      "a policy of accept",
      (nft) =>
        nft.edit(OURS, (all) => {
          const at = all.findIndex((line) => line.includes("hook output"));
          all[at] = all[at]!.replace("policy drop", "policy accept");
        }),
      "rules removed: 1, rules added: 1",
    ],
    [
      "a chain added",
      (nft) => nft.edit(OURS, (all) => all.push("chain other {", "}")),
      "chains or sets added or removed: 1",
    ],
    [
      "the table made dormant",
      (nft) => nft.edit(OURS, (all) => all.unshift("flags dormant")),
      "rules added: 1",
    ],
    ["the table deleted", (nft) => nft.tables.delete(OURS), "table inet lifecyclezero was removed"],
    [
      "the rules for bridges deleted",
      (nft) => nft.tables.delete("bridge lifecyclezero"),
      "table bridge lifecyclezero was removed",
    ],
  ];
  test.each(changes)("%s: is restored, and the proof names the change", async (_name, change, said) => {
    const { nft, enforcer, whole } = await isolated();
    expect((await enforcer.reassert(ORDER, signal)).repaired).toBeUndefined();
    change(nft);
    expect(await enforcer.reassert(ORDER, signal)).toMatchObject({
      outcome: "applied",
      repaired: `the isolation rules were modified (${said})`,
    });
    expect(nft.rulesOf(OURS, "output")).toEqual(whole);
    expect([...nft.tables.keys()].toSorted()).toEqual(["bridge lifecyclezero", OURS]);
    expect((await enforcer.reassert(ORDER, signal)).repaired).toBeUndefined();
  });

  test("detects a rule that was inserted before the first check", async () => {
    const nft = fakeNft();
    let isRacing = true;
    const racing: RunCommand = async (command, stdin) => {
      const result = await nft.run(command, stdin);
      if (stdin !== undefined && isRules(stdin) && isRacing)
        nft.edit(OURS, (all) => all.splice(all.indexOf("oif lo accept"), 0, ACCEPT));
      return result;
    };
    const { outcome, reason } = await make(racing).apply(ORDER, signal);
    expect([outcome, reason]).toEqual([
      "failed",
      "the rules were modified each time, right after they were installed: rules added: 1",
    ]);
    expect(nft.tables.size).toBe(0);
    expect(nft.inputs.filter(isRules)).toHaveLength(3);

    const once: RunCommand = (command, stdin) => {
      const result = racing(command, stdin);
      if (stdin !== undefined && isRules(stdin)) isRacing = false;
      return result;
    };
    const enforcer = make(once);
    expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    expect(nft.rulesOf(OURS, "output")).not.toContain(ACCEPT);
  });

  test("are reported in every check as an unproven isolation while they cannot be restored", async () => {
    const { nft, enforcer } = await isolated();
    nft.tables.delete(OURS);
    let isBroken = true;
    const run = nft.run;
    const broken = make(async (command, stdin) =>
      isBroken && stdin !== undefined
        ? { code: 1, stdout: "", stderr: "Error: Resource busy" }
        : run(command, stdin),
    );
    await enforcer.release(ORDER, signal);
    const seen = { ...ORDER };
    await broken.apply(seen, signal);
    for (let look = 0; look < 2; look++)
      expect(await broken.reassert(ORDER, signal)).toEqual({
        outcome: "applied",
        reason: "the rules could not be restored: nft refused the rules: Error: Resource busy",
        probes: { controlPlaneReachable: true, forbiddenBlocked: false },
      });
    isBroken = false;
    expect((await broken.reassert(ORDER, signal)).reason).toBeUndefined();
    expect(nft.rulesOf(OURS, "output")).not.toEqual([]);
  });

  test("fail the isolation if nft does not report the installed rules, because they cannot be compared", async () => {
    const nft = fakeNft();
    const silentNft: RunCommand = async (command, stdin) => ({
      ...(await nft.run(command, stdin)),
      ...(stdin !== undefined && { stdout: "" }),
    });
    expect((await make(silentNft).apply(ORDER, signal)).reason).toBe(
      "nft did not report the rules that it installed (nft --echo)",
    );
    expect(nft.tables.size).toBe(0);
  });
});

describe("a control plane with many addresses", () => {
  const POOL = Array.from({ length: 60 }, (_, index) => `198.51.100.${index + 1}`);

  test("is allowed at all 60 addresses of its name", async () => {
    const nft = fakeNft();
    const { outcome } = await make(nft.run, { resolve: async () => POOL }).apply(ORDER, signal);
    expect(outcome).toBe("applied");
    expect(new Set(opened(nft, "443"))).toEqual(new Set(POOL));
  });

  test("is allowed at the address that the agent's request uses if its name rotates through 60 addresses", async () => {
    const nft = fakeNft();
    let turn = 0;
    const next = () => POOL[turn++ % POOL.length]!;
    const reach = async () => {
      const rules = opened(nft, "443");
      return rules.length === 0 || rules.includes(next());
    };
    const enforcer = make(nft.run, { resolve: async () => [next()], reach });
    for (let order = 0; order < 2; order++)
      expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    expect(opened(nft, "443").length).toBeGreaterThan(45);
    expect(opened(nft, "443").length).toBeLessThanOrEqual(ADDRESSES_MAX);
  });

  test("is resolved repeatedly for at most five seconds, even with a slow name server", async () => {
    const nft = fakeNft();
    let elapsedMs = 0;
    let turn = 0;
    const enforcer = make(nft.run, {
      elapsed: () => elapsedMs,
      resolve: async () => {
        elapsedMs += 1000;
        return [POOL[turn++ % POOL.length]!];
      },
    });
    expect((await enforcer.apply(ORDER, signal)).outcome).toBe("applied");
    expect(turn).toBe(6);
  });

  test("causes no new rules if only the order of its addresses changes", async () => {
    const nft = fakeNft();
    let addresses = POOL;
    let elapsedMs = 0;
    const enforcer = make(nft.run, { resolve: async () => addresses, elapsed: () => elapsedMs });
    await enforcer.apply(ORDER, signal);
    // The most recently seen address ranks first.
    addresses = POOL.slice(-1);
    elapsedMs = 1;
    await enforcer.reassert(ORDER, signal);
    expect(nft.inputs).toHaveLength(1);
  });

  test.each([
    ["http://lz.example.com", "80"],
    ["https://lz.example.com", "443"],
    ["https://lz.example.com:8443", "8443"],
  ])("at %s is allowed on port %s", async (edgeUrl, port) => {
    const nft = fakeNft();
    await make(nft.run, { edgeUrl }).apply(ORDER, signal);
    expect(opened(nft, port)).toEqual(["198.51.100.7"]);
  });

  test("attempts that find a new address are not counted, and an unreachable control plane is rolled back after three attempts", async () => {
    let tries = 0;
    const nft = fakeNft();
    const reach = async () => {
      tries++;
      return false;
    };
    await make(nft.run, { reach, edgeUrl: "https://198.51.100.7" }).apply(ORDER, signal);
    expect(tries).toBe(3);
    tries = 0;
    let isCut = false;
    let turn = 0;
    const growing = make(nft.run, {
      resolve: async () => (isCut ? [POOL[turn++ % POOL.length]!] : [POOL[0]!]),
      reach: async () => {
        isCut = nft.tables.size > 0;
        return opened(nft, "443").includes(POOL[4]!);
      },
    });
    expect((await growing.apply(ORDER, signal)).outcome).toBe("applied");
  });

  test("an address that the agent is connected to is allowed, even if the name does not resolve to it", async () => {
    const nft = fakeNft();
    const ports: number[] = [];
    const enforcer = make(nft.run, {
      edgeUrl: "https://lz.example.com:8443",
      connected: async (port) => {
        ports.push(port);
        return ["203.0.113.80", "evil accept"];
      },
    });
    await enforcer.apply(ORDER, signal);
    expect(opened(nft, "8443")).toEqual(["198.51.100.7", "203.0.113.80"]);
    expect(new Set(ports)).toEqual(new Set([8443]));
  });
});

describe("createControlAddresses()", () => {
  test("keeps the newest addresses up to the limit, and prefers addresses that were connected", () => {
    let nowMs = 0;
    const book = createControlAddresses([], () => nowMs);
    book.see({ resolved: [], connected: ["192.0.2.1"] });
    for (let index = 0; index < ADDRESSES_MAX + 10; index++) {
      nowMs += 1;
      expect(book.see({ resolved: [`10.0.0.${index}`], connected: [] })).toBe(true);
    }
    const all = book.all();
    expect(all).toHaveLength(ADDRESSES_MAX);
    expect(all[0]).toBe("192.0.2.1");
    expect(all[1]).toBe(`10.0.0.${ADDRESSES_MAX + 9}`);
    expect(all).not.toContain("10.0.0.0");
    expect(book.see({ resolved: [`10.0.0.${ADDRESSES_MAX + 9}`], connected: [] })).toBe(false);
  });

  test("keeps all addresses during an outage, and drops an address after an hour of responses without it", () => {
    let nowMs = 0;
    const book = createControlAddresses(["192.0.2.1"], () => nowMs);
    nowMs = 10 * KEPT_MS;
    expect(book.see({ resolved: [], connected: [] })).toBe(false);
    expect(book.all()).toEqual(["192.0.2.1"]);
    expect(book.see({ resolved: ["192.0.2.2"], connected: [] })).toBe(true);
    expect(book.all()).toEqual(["192.0.2.2"]);
    nowMs += KEPT_MS;
    book.see({ resolved: ["192.0.2.3"], connected: [] });
    expect(book.all()).toEqual(["192.0.2.3", "192.0.2.2"]);
    // A connected address keeps its rank as long as the name resolves to it.
    book.see({ resolved: [], connected: ["192.0.2.2"] });
    nowMs += 1;
    book.see({ resolved: ["192.0.2.2", "192.0.2.3"], connected: [] });
    expect(book.all()[0]).toBe("192.0.2.2");
  });
});

describe("mode network and a connection that it would cut off", () => {
  const apply = async (more: Partial<NetworkDeps>) => {
    const nft = fakeNft();
    const proof = await make(nft.run, more).apply(ORDER, signal);
    return { ...proof, inputs: nft.inputs.length, nft };
  };

  test("fails before any rule is set if the control plane is behind a VPN device, unless one of its addresses is outside the VPN", async () => {
    const tunnelTo = async ({ port }: Endpoint) => (port === 443 ? "wg0" : undefined);
    const refused = await apply({ tunnelTo });
    expect([refused.outcome, refused.inputs]).toEqual(["failed", 0]);
    expect(refused.reason).toBe(
      "the control plane is reached through the VPN device wg0, which mode network would block; give the host a route outside the VPN, or use mode stop-engines; nothing was changed",
    );
    const beside = await apply({
      resolve: async () => ["198.51.100.7", "198.51.100.8"],
      tunnelTo: async ({ address }) => (address.endsWith(".7") ? "wg0" : undefined),
    });
    expect(beside.outcome).toBe("applied");
  });

  test("fails before any rule is set if the proxy runs on the host itself", async () => {
    const refused = await apply({ proxy: { name: "127.0.0.1", port: 3128 } });
    expect([refused.outcome, refused.inputs]).toEqual(["failed", 0]);
    expect(refused.reason).toStartWith("the proxy 127.0.0.1:3128 runs on this host");
    expect(refused.reason!.length).toBeLessThanOrEqual(240);
    // Without a proxy, an agent with a control plane on the same host needs only loopback.
    expect((await apply({ edgeUrl: "http://127.0.0.1:8787" })).outcome).toBe("applied");
  });

  test("allows a proxy outside the host, and not the address of the control plane itself", async () => {
    const asked: string[] = [];
    const { outcome, nft } = await apply({
      proxy: { name: "proxy.example.com", port: 3128 },
      resolve: async (name) => {
        asked.push(name);
        return ["203.0.113.128"];
      },
    });
    expect(outcome).toBe("applied");
    expect(new Set(asked)).toEqual(new Set(["proxy.example.com"]));
    expect(opened(nft, "3128")).toEqual(["203.0.113.128"]);
    expect(opened(nft, "443")).toEqual([]);
    const unreachable = await apply({
      proxy: { name: "203.0.113.128", port: 3128 },
      reach: async () => false,
    });
    expect(unreachable.reason).toBe(
      "the proxy was unreachable right after the rules were applied; the rules were rolled back",
    );
    const nameless = await apply({
      proxy: { name: "proxy.example.com", port: 3128 },
      resolve: () => Promise.reject(new Error("NXDOMAIN")),
    });
    expect(nameless.reason).toBe("the proxy's name proxy.example.com has no address");
  });
});
