import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Enforcer, Proof } from "../../../../agent/contain/modes/enforcer.ts";
import {
  isPlainAddress,
  numberOf,
  rangesWithout,
  textOf,
} from "../../../../agent/contain/network/addresses.ts";
import { type NetworkRules, NOTHING_SENT } from "../../../../agent/contain/network/firewall.ts";
import { networkEnforcer } from "../../../../agent/contain/network/network-enforcer.ts";
import type { Attempt } from "../../../../agent/contain/network/tcp-connect.ts";
import { psProcesses, scutilResolvers } from "../../../../agent/contain/platform/darwin.ts";
import { enforcersFor } from "../../../../agent/contain/platform/enforcers.ts";
import { checkingEvery } from "../../../../agent/contain/platform/host-enforcers.ts";
import { networkRules, portRules } from "../../../../agent/contain/platform/nftables.ts";
import {
  isEnabled,
  labelledPackets,
  pfNetworkRules,
  pfPortRules,
  tokenIn,
} from "../../../../agent/contain/platform/pf.ts";
import { pfFirewall } from "../../../../agent/contain/platform/pf-firewall.ts";
import { comparingMarks, keptMarks, nftMarks } from "../../../../agent/contain/platform/rule-marks.ts";
import { serverAddresses } from "../../../../agent/contain/platform/windows.ts";
import { windowsFirewall } from "../../../../agent/contain/platform/windows-firewall.ts";
import {
  PROFILES_SCRIPT,
  type Profile,
  putScript,
  quoted,
  removeScript,
  STANDING_SCRIPT,
  type StandingRule,
} from "../../../../agent/contain/platform/windows-firewall-scripts.ts";
import {
  isBornAt,
  PROCESSES_SCRIPT,
  parseProcesses,
} from "../../../../agent/contain/platform/windows-processes.ts";
import {
  portsWithout,
  type WindowsRule,
  windowsNetworkRules,
  windowsPortRules,
} from "../../../../agent/contain/platform/windows-rules.ts";
import { silent } from "../../../../agent/platform/log.ts";
import type { CommandResult } from "../../../../agent/platform/run-command.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../report/send-edge.ts";

/*
 * Tests of the macOS and Windows code, which run on every system. Generated rules are compared with expected
 * texts. Commands run against fakes that follow the documentation. Nothing has been tested on macOS or
 * Windows.
 */

const RULES: NetworkRules = {
  control: [
    { address: "198.51.100.7", port: 443 },
    { address: "2001:db8::7", port: 443 },
  ],
  resolvers: ["192.0.2.53", "2001:db8::53"],
  links: { prefixes: ["203.0.113.7/24", "2001:db8:5::7/64"], dhcpServers: ["203.0.113.67"] },
};
const { links } = RULES;
const HOSTILE = [
  "198.51.100.7; pass quick all",
  "any",
  "0.0.0.0/0",
  "'; Remove-NetFirewallRule -All #",
  "fe80::1%en0",
  "1.2.3.4\npass all",
  "",
];

describe("addresses", () => {
  test.each([
    ["192.0.2.1", true],
    ["2001:db8::1", true],
    ["::ffff:192.0.2.1", true],
    ...HOSTILE.map((text): [string, boolean] => [text, false]),
    ["192.0.2.1/32", false],
    ["192.0.2.256", false],
    ["$(id)", false],
  ])("isPlainAddress(%j) is %p", (text, expected) => {
    expect(isPlainAddress(text)).toBe(expected);
  });

  test("numberOf() and textOf() are inverse functions", () => {
    for (const address of ["0.0.0.1", "192.0.2.255", "255.255.255.255"])
      expect(textOf(numberOf(address), false)).toBe(address);
    expect(textOf(numberOf("2001:db8::7"), true)).toBe("2001:db8:0:0:0:0:0:7");
    expect(numberOf("::")).toBe(0n);
    expect(numberOf("::ffff:192.0.2.1")).toBe(numberOf("::ffff:c000:201"));
    expect(numberOf("fe80::")).toBe(0xfe80n << 112n);
  });

  test("rangesWithout() leaves out exactly the exceptions, even at the ends and next to each other", () => {
    const without = (...exceptions: string[]) => rangesWithout("0.0.0.1", "0.0.0.9", exceptions, false);
    expect(without()).toEqual(["0.0.0.1-0.0.0.9"]);
    expect(without("0.0.0.5")).toEqual(["0.0.0.1-0.0.0.4", "0.0.0.6-0.0.0.9"]);
    expect(without("0.0.0.1", "0.0.0.9")).toEqual(["0.0.0.2-0.0.0.8"]);
    expect(without("0.0.0.4", "0.0.0.3", "0.0.0.4")).toEqual(["0.0.0.1-0.0.0.2", "0.0.0.5-0.0.0.9"]);
    expect(without("0.0.1.0")).toEqual(["0.0.0.1-0.0.0.9"]);
  });
});

describe("every generator of rules", () => {
  const generators: [string, (rules: NetworkRules) => unknown][] = [
    ["nftables", networkRules],
    ["pf", pfNetworkRules],
    ["Windows Firewall", windowsNetworkRules],
  ];
  test.each(generators)("%s throws for an invalid address or port in any position", (_name, generate) => {
    expect(() => generate(RULES)).not.toThrow();
    for (const address of HOSTILE) {
      expect(() => generate({ ...RULES, control: [{ address, port: 443 }] })).toThrow("not a valid address");
      expect(() => generate({ ...RULES, resolvers: [address] })).toThrow("not a valid address");
      expect(() => generate({ ...RULES, links: { ...links, dhcpServers: [address] } })).toThrow(
        "not a valid address",
      );
      expect(() => generate({ ...RULES, links: { ...links, prefixes: [address] } })).toThrow(
        /not a valid (address|prefix)/,
      );
      expect(() => generate({ ...RULES, links: { ...links, prefixes: [`${address}/24`] } })).toThrow();
    }
    for (const prefix of ["192.0.2.0/33", "2001:db8::/129", "192.0.2.0", "192.0.2.0/", "192.0.2.0/24 accept"])
      expect(() => generate({ ...RULES, links: { ...links, prefixes: [prefix] } })).toThrow(
        /not a valid (address|prefix)/,
      );
    for (const port of [0, 65_536, 1.5, Number.NaN])
      expect(() => generate({ ...RULES, control: [{ address: "192.0.2.1", port }] })).toThrow(
        "not a valid port",
      );
  });

  test.each([
    ["nftables", portRules],
    ["pf", pfPortRules],
    ["Windows Firewall", windowsPortRules],
  ] as [string, (ports: readonly number[]) => unknown][])(
    "%s throws for an invalid engine port",
    (_name, generate) => {
      for (const port of [1, 11_434, 65_535]) expect(() => generate([port])).not.toThrow();
      for (const port of [0, 70_000, -1]) expect(() => generate([port])).toThrow("not a valid port");
    },
  );
});

describe("pf", () => {
  test("pfNetworkRules() returns exactly this text", () => {
    expect(pfNetworkRules(RULES)).toBe(`pass quick on lo0 all flags any no state
pass out quick inet proto tcp from any to 198.51.100.7 port = 443 flags S/SA keep state
pass out quick inet6 proto tcp from any to 2001:db8::7 port = 443 flags S/SA keep state
pass out quick inet proto tcp from any to 192.0.2.53 port = 53 flags S/SA keep state
pass out quick inet proto udp from any to 192.0.2.53 port = 53 keep state
pass out quick inet6 proto tcp from any to 2001:db8::53 port = 53 flags S/SA keep state
pass out quick inet6 proto udp from any to 2001:db8::53 port = 53 keep state
pass out quick inet proto udp from any port = 68 to 255.255.255.255 port = 67 no state
pass out quick inet proto udp from any port = 68 to 203.0.113.67 port = 67 no state
pass in quick inet proto udp from any port = 67 to 255.255.255.255 port = 68 no state
pass in quick inet proto udp from 169.254.0.0/16 port = 67 to any port = 68 no state
pass in quick inet proto udp from 203.0.113.0/24 port = 67 to any port = 68 no state
pass in quick inet proto udp from 203.0.113.67 port = 67 to any port = 68 no state
pass out quick inet6 proto udp from fe80::/10 port = 546 to ff02::1:2 port = 547 no state
pass in quick inet6 proto udp from fe80::/10 port = 547 to fe80::/10 port = 546 no state
pass out quick inet6 proto ipv6-icmp from any to ff02::2 icmp6-type routersol no state
pass out quick inet6 proto ipv6-icmp from any to ff02::1:ff00:0/104 icmp6-type neighbrsol no state
pass out quick inet6 proto ipv6-icmp from any to fe80::/10 icmp6-type neighbrsol no state
pass out quick inet6 proto ipv6-icmp from any to 2001:db8:5:0:0:0:0:0/64 icmp6-type neighbrsol no state
pass out quick inet6 proto ipv6-icmp from any to ff02::1 icmp6-type neighbradv no state
pass out quick inet6 proto ipv6-icmp from any to fe80::/10 icmp6-type neighbradv no state
pass out quick inet6 proto ipv6-icmp from any to 2001:db8:5:0:0:0:0:0/64 icmp6-type neighbradv no state
pass in quick inet6 proto ipv6-icmp from fe80::/10 to any icmp6-type routeradv no state
pass in quick inet6 proto ipv6-icmp from :: to any icmp6-type neighbrsol no state
pass in quick inet6 proto ipv6-icmp from fe80::/10 to any icmp6-type neighbrsol no state
pass in quick inet6 proto ipv6-icmp from 2001:db8:5:0:0:0:0:0/64 to any icmp6-type neighbrsol no state
pass in quick inet6 proto ipv6-icmp from fe80::/10 to any icmp6-type neighbradv no state
pass in quick inet6 proto ipv6-icmp from 2001:db8:5:0:0:0:0:0/64 to any icmp6-type neighbradv no state
block return out quick all label "lz-forbidden"
block drop in quick all label "lz-forbidden"
`);
  });

  test("every rule is quick, the last two refuse all other traffic, and inbound passes are limited to link maintenance", () => {
    const rules = pfNetworkRules(RULES).trimEnd().split("\n");
    expect(rules.every((rule) => rule.includes(" quick "))).toBe(true);
    expect(rules.slice(-2).every((rule) => /^block (return out|drop in) quick all /.test(rule))).toBe(true);
    const passedIn = rules.filter((rule) => rule.startsWith("pass in"));
    expect(passedIn.every((rule) => /port = 6[78]|port = 54[67]|icmp6-type/.test(rule))).toBe(true);
  });

  test("any name server is allowed only while none is known, and only on port 53", () => {
    const rules = pfNetworkRules({ ...RULES, resolvers: [] });
    expect(rules).toContain("pass out quick inet proto udp from any to any port = 53 keep state");
    expect(pfNetworkRules(RULES)).not.toContain("to any port = 53");
  });

  test("pfPortRules() refuses each port once, only for connections to the engine, and is empty without ports", () => {
    expect(
      pfPortRules([8080, 11_434, 8080]),
    ).toBe(`block return in quick proto tcp from any to any port = 8080 label "lz-forbidden"
block return in quick proto tcp from any to any port = 11434 label "lz-forbidden"
`);
    expect(pfPortRules([])).toBe("");
  });

  test("reads the output of pfctl, and returns nothing for missing parts", () => {
    expect(tokenIn("pf enabled\nToken : 15203481627348123456\n")).toBe("15203481627348123456");
    expect(tokenIn("pfctl: pf already enabled")).toBeUndefined();
    expect([isEnabled("Status: Enabled for 0 days\n"), isEnabled("Status: Disabled\n")]).toEqual([
      true,
      false,
    ]);
    const labels =
      "lz-forbidden 120 3 180 0 0 3 180 0\nother 1 9 1 0 0 0 0 0\nlz-forbidden 12 2 80 2 80 0 0 0\n";
    expect(labelledPackets(labels)).toBe(5);
    expect(labelledPackets("")).toBe(0);
  });

  /**
   * A fake pf that follows pfctl(8). The fake has anchors, states, labels, and tokens. pf stays enabled while
   * a token exists.
   */
  function fakePf({
    main = 'scrub-anchor "com.apple/*" all fragment reassemble\nanchor "com.apple/*" all\n',
  } = {}) {
    const pf = {
      main,
      anchor: "",
      tokens: new Set<string>(),
      cuts: 0,
      packets: 0,
      asked: [] as string[],
      nextToken: 1,
      refusal: "",
      /** Rules that another program adds while the agent loads its rules. */
      slippedIn: "",
    };
    const ok = (stdout = "", stderr = "No ALTQ support in kernel\nALTQ related functions disabled\n") =>
      ({ code: 0, stdout, stderr }) satisfies CommandResult;
    const run = async (command: readonly string[], stdin?: string): Promise<CommandResult> => {
      const args = command.slice(1).join(" ");
      pf.asked.push(args);
      if (command[0] !== "/sbin/pfctl") throw new Error(`asked for ${command[0]}`);
      if (args === "-s info") return ok(`Status: ${pf.tokens.size > 0 ? "Enabled" : "Disabled"}\n`);
      if (args === "-s rules") return ok(pf.main);
      if (args === "-E") {
        const token = String(pf.nextToken++);
        pf.tokens.add(token);
        return ok("", `pf enabled\nToken : ${token}\n`);
      }
      if (args.startsWith("-X ")) return pf.tokens.delete(args.slice(3)) ? ok() : { ...ok(), code: 1 };
      if (args.startsWith("-k ")) {
        pf.cuts++;
        return ok();
      }
      const ours = args.replace("-a com.apple/000.lifecyclezero ", "");
      // pf rewrites addresses when it loads rules and when it lists them. So the listed rules differ from the
      // text that was loaded.
      const inOwnWords = (rules: string): string => rules.replaceAll(":0:0:0:0:0/64", "::/64");
      if (ours === "-n -v -f -")
        return pf.refusal
          ? { code: 1, stdout: "", stderr: `No ALTQ support in kernel\n${pf.refusal}\n` }
          : ok(inOwnWords(stdin!));
      if (ours === "-f -") {
        if (pf.refusal) return { code: 1, stdout: "", stderr: `No ALTQ support in kernel\n${pf.refusal}\n` };
        pf.anchor = `${pf.slippedIn}${inOwnWords(stdin!)}`;
        return ok();
      }
      if (ours === "-s rules") return ok(pf.anchor);
      if (ours === "-F rules") {
        pf.anchor = "";
        return ok();
      }
      if (ours === "-s labels") return ok(`lz-forbidden 9 ${pf.packets} 0 0 0 0 0 0\n`);
      throw new Error(`pfctl was asked for ${args}`);
    };
    let token: string | undefined;
    const firewall = (connected = false) =>
      pfFirewall({
        run,
        connects: async () => {
          if (pf.anchor !== "" && pf.tokens.size > 0) pf.packets++;
          return connected;
        },
        loadToken: () => token,
        saveToken: (next) => {
          token = next;
        },
      });
    return { pf, firewall, token: () => token };
  }

  test("pfFirewall() loads the anchor, enables pf once, ends open connections, and reverts all of that", async () => {
    const { pf, firewall, token } = fakePf();
    const ours = firewall();
    expect(await ours.restrict(RULES)).toBeUndefined();
    expect(pf.anchor).toBe(pfNetworkRules(RULES).replaceAll(":0:0:0:0:0/64", "::/64"));
    expect([pf.tokens.size, pf.cuts, token()]).toEqual([1, 2, "1"]);
    expect(await ours.restrict(RULES)).toBeUndefined();
    expect(pf.tokens.size).toBe(1);
    expect(await ours.remove(true)).toBeUndefined();
    expect([pf.anchor, pf.tokens.size, token()]).toEqual(["", 0, undefined]);
  });

  test("pfFirewall() leaves pf enabled if another program has enabled it too", async () => {
    const { pf, firewall } = fakePf();
    pf.tokens.add("of another program");
    const ours = firewall();
    await ours.restrict(RULES);
    expect(pf.tokens.size).toBe(2);
    await ours.remove(true);
    expect([...pf.tokens]).toEqual(["of another program"]);
  });

  test("pfFirewall() detects a flushed anchor, a disabled pf and a main ruleset without the anchor, and restores the first two", async () => {
    const { pf, firewall } = fakePf();
    const ours = firewall();
    await ours.restrict(RULES);
    expect(await ours.altered()).toBeUndefined();
    const whole = pf.anchor;
    const count = whole.trimEnd().split("\n").length;
    for (const anchor of ["", `pass quick all\n${whole}`, whole.replace("port = 443", "port = 444")]) {
      pf.anchor = anchor;
      const standing = anchor === "" ? 0 : anchor.trimEnd().split("\n").length;
      expect(await ours.altered()).toBe(
        `${standing} rules are in force instead of the ${count} that were sent`,
      );
      await ours.restrict(RULES);
      expect(await ours.altered()).toBeUndefined();
    }
    // After a boot, pf has no rules and no token.
    pf.tokens.clear();
    pf.anchor = "";
    expect(await ours.altered()).toBe("pf was disabled");
    const restarted = firewall();
    expect(await restarted.altered()).toBe(NOTHING_SENT);
    expect(await restarted.restrict(RULES)).toBeUndefined();
    expect(await restarted.altered()).toBeUndefined();
    pf.main = "pass all\n";
    const unevaluated = 'the main ruleset of pf no longer evaluates "com.apple/*"';
    expect(await restarted.altered()).toBe(unevaluated);
    expect(await restarted.restrict(RULES)).toBe(unevaluated);
  });

  test("pfFirewall() detects a rule that was added while it installed its own rules", async () => {
    const { pf, firewall } = fakePf();
    pf.slippedIn = "pass quick all\n";
    expect(await firewall().restrict(RULES)).toStartWith(
      "the rules were modified each time, right after they were installed: ",
    );
    pf.slippedIn = "";
    expect(await firewall().restrict(RULES)).toBeUndefined();
  });

  test("a main ruleset fails the isolation if it passes packets before the anchor, but not if it passes them after the anchor", async () => {
    const anchor = 'anchor "com.apple/*" all\n';
    const { pf, firewall } = fakePf({ main: `pass out quick all\n${anchor}` });
    expect(await firewall().restrict(RULES)).toBe(
      "a rule in the main ruleset of pf passes packets before the agent's rules: pass out quick all",
    );
    expect(pf.anchor).toBe("");
    for (const main of [`pass out all\nblock in quick all\n${anchor}`, `${anchor}pass quick all\n`])
      expect(await fakePf({ main }).firewall().restrict(RULES)).toBeUndefined();
  });

  test("pfFirewall() reports rules that pf refused, and leaves pf unchanged", async () => {
    const { pf, firewall } = fakePf();
    pf.refusal = "stdin:3: syntax error";
    expect(await firewall().restrict(RULES)).toBe("pf refused the rules: stdin:3: syntax error");
    expect([pf.tokens.size, pf.cuts]).toEqual([0, 0]);
  });

  test("pfFirewall() reports an address as refused only if its own label counted a packet", async () => {
    const endpoint = [{ address: "192.0.2.1", port: 443 }];
    const { firewall } = fakePf();
    expect(await firewall().refuses(endpoint)).toBe(false);
    await firewall().restrict(RULES);
    expect(await firewall().refuses(endpoint)).toBe(true);
    expect(await firewall(true).refuses(endpoint)).toBe(false);
  });

  test("scutilResolvers() returns only name servers", () => {
    const text = `resolver #1
  nameserver[0] : 192.0.2.53
  nameserver[1] : fe80::1%en0
  nameserver[2] : 127.0.0.1
  nameserver[3] : 192.0.2.53 port = 53
resolver #2
  nameserver[0] : 192.0.2.53
  domain   : nameserver[0] : 9.9.9.9
`;
    expect(scutilResolvers(text)).toEqual(["192.0.2.53", "fe80::1"]);
  });

  test("psProcesses() reads states and start times in any language, and rejects if ps fails", async () => {
    const stdout = `    1     0     1 Ss   Mon Nov 16 08:00:01 2026
  501     1   501 T    So 22 Nov 09:15:33 2026
  502   501   501 S+   Sun Nov 22 09:15:34 2026
  503     1   501 S    Sun Nov 22 09:15:35 2026
  504   501   501 Z    Sun Nov 22 09:15:36 2026
garbage
`;
    const run = async () => ({ code: 0, stdout, stderr: "" });
    expect((await psProcesses(run)).map(({ pid, parent, isStopped }) => [pid, parent, isStopped])).toEqual([
      [1, 0, false],
      [501, 1, true],
      [502, 501, false],
      [503, 1, false],
    ]);
    expect((await psProcesses(run)).map(({ group, isAdopted }) => [group, isAdopted])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
      [501, false],
      [501, true],
    ]);
    const starts = (await psProcesses(run)).map(({ startedAtMs }) => startedAtMs);
    expect(starts[2]).toBe(new Date(2026, 10, 22, 9, 15, 34).getTime());
    expect(psProcesses(async () => ({ code: 1, stdout: "", stderr: "" }))).rejects.toThrow(
      "could not be listed",
    );
  });
});

type Packet = {
  direction?: WindowsRule["direction"];
  protocol: "TCP" | "UDP" | "1" | "58";
  address: string;
  /** `port` is the remote port. `localPort` is the port of this host. */
  port?: number;
  localPort?: number;
  icmpType?: number;
};

/**
 * Returns the verdict of Windows Firewall. A matching block rule wins, then a matching allow rule, then the
 * default.
 */
function verdictOn(rules: readonly WindowsRule[], packet: Packet): "block" | "allow" | "default" {
  const inRange = (
    ranges: readonly string[] | undefined,
    value: bigint | undefined,
    read: (text: string) => bigint,
  ): boolean =>
    ranges === undefined ||
    ranges.some((range) => {
      const [from, to = from] = range.split("-") as [string, string?];
      return value !== undefined && value >= read(from) && value <= read(to);
    });
  const isSix = packet.address.includes(":");
  const ofFamily = (ranges: readonly string[] | undefined) =>
    ranges?.filter((range) => range.includes(":") === isSix);
  const number = (value: number | undefined) => (value === undefined ? undefined : BigInt(value));
  const matches = (rule: WindowsRule): boolean =>
    rule.direction === (packet.direction ?? "Outbound") &&
    rule.protocol === packet.protocol &&
    inRange(ofFamily(rule.remoteAddress), numberOf(packet.address), numberOf) &&
    inRange(rule.remotePort, number(packet.port), BigInt) &&
    inRange(rule.localPort, number(packet.localPort), BigInt) &&
    inRange(rule.icmpType, number(packet.icmpType), BigInt);
  const matching = rules.filter(matches).map(({ action }) => action);
  if (matching.includes("Block")) return "block";
  return matching.includes("Allow") ? "allow" : "default";
}

const letsOut = (rules: readonly WindowsRule[], packet: Packet): boolean =>
  verdictOn(rules, packet) === "allow";

describe("Windows Firewall", () => {
  /** Allow rules as added by other programs. Windows has hundreds of them. */
  const ANYBODYS: WindowsRule[] = (["TCP", "UDP"] as const).map((protocol) => ({
    direction: "Outbound",
    action: "Allow",
    protocol,
  }));
  const ways = (rules: NetworkRules): [string, boolean][] => {
    const all = [...windowsNetworkRules(rules), ...ANYBODYS];
    const asked: ["TCP" | "UDP", string, number][] = [];
    for (const address of [
      "198.51.100.7",
      "2001:db8::7",
      "192.0.2.53",
      "2001:db8::53",
      "203.0.113.1",
      "2001:db8::1",
    ])
      for (const port of [443, 53, 80])
        for (const protocol of ["TCP", "UDP"] as const) asked.push([protocol, address, port]);
    return asked.map(([protocol, address, port]) => [
      `${protocol} ${address} ${port}`,
      letsOut(all, { protocol, address, port }),
    ]);
  };
  const open = (rules: NetworkRules): string[] =>
    ways(rules).flatMap(([what, isOpen]) => (isOpen ? [what] : []));

  test("allow rules of other programs open nothing beyond the ports of the control plane and of the name servers", () => {
    expect(open(RULES)).toEqual([
      "TCP 198.51.100.7 443",
      "TCP 2001:db8::7 443",
      "TCP 192.0.2.53 53",
      "UDP 192.0.2.53 53",
      "TCP 2001:db8::53 53",
      "UDP 2001:db8::53 53",
    ]);
  });

  test("while no name server is known, port 53 is open to all addresses and nothing else changes", () => {
    const opened = open({ ...RULES, resolvers: [] });
    expect(opened.filter((what) => !what.endsWith(" 53"))).toEqual([
      "TCP 198.51.100.7 443",
      "TCP 2001:db8::7 443",
    ]);
    expect(opened.filter((what) => what.endsWith(" 53"))).toHaveLength(12);
  });

  test("a control plane that is also a name server keeps exactly its two ports open", () => {
    const both = { control: [{ address: "192.0.2.53", port: 443 }], resolvers: ["192.0.2.53"], links };
    expect(open(both)).toEqual(["TCP 192.0.2.53 443", "TCP 192.0.2.53 53", "UDP 192.0.2.53 53"]);
  });

  test("with addresses of one family, the other family is blocked completely", () => {
    const four = { control: [{ address: "198.51.100.7", port: 443 }], resolvers: ["192.0.2.53"], links };
    expect(open(four).filter((what) => what.includes(":"))).toEqual([]);
  });

  test("DHCP is allowed only from the links, to broadcast, the server group and the server of the lease", () => {
    const rules = windowsNetworkRules(RULES);
    const dhcp = (direction: "Inbound" | "Outbound", address: string) => {
      const [localPort, port] = address.includes(":") ? [546, 547] : [68, 67];
      return verdictOn(rules, { direction, protocol: "UDP", address, port, localPort });
    };
    const out = [
      "255.255.255.255",
      "203.0.113.67",
      "ff02::1:2",
      "203.0.113.9",
      "192.0.2.53",
      "2001:db8:5::1",
    ];
    expect<unknown>(out.map((address) => dhcp("Outbound", address))).toEqual([
      ...["allow", "allow", "allow"],
      ...["block", "block", "block"],
    ]);
    const from = ["203.0.113.1", "203.0.113.67", "169.254.1.1", "fe80::1", "198.51.100.7", "2001:db8:5::1"];
    expect<unknown>(from.map((address) => dhcp("Inbound", address))).toEqual([
      ...["default", "default", "default", "default"],
      ...["block", "block"],
    ]);
    // Packets with other local or remote ports are not DHCP.
    const near = { protocol: "UDP", address: "255.255.255.255" } as const;
    expect(verdictOn(rules, { ...near, port: 67, localPort: 69 })).toBe("default");
    expect(verdictOn(rules, { ...near, port: 69, localPort: 68 })).toBe("block");
    expect(verdictOn(rules, { ...near, direction: "Inbound", port: 67, localPort: 69 })).toBe("block");
  });

  test("neighbour discovery is allowed to link addresses only, and other outbound ICMP is blocked", () => {
    const rules = windowsNetworkRules(RULES);
    const icmp = (direction: "Inbound" | "Outbound", address: string, icmpType: number) =>
      verdictOn(rules, { direction, protocol: address.includes(":") ? "58" : "1", address, icmpType });
    const near = ["ff02::1:ff00:7", "ff02::1", "ff02::2", "2001:db8:5::9", "fe80::1"];
    for (const type of [133, 135, 136]) {
      expect(near.map((address) => icmp("Outbound", address, type))).not.toContain("block");
      for (const far of ["2001:db8::7", "2001:db8:6::1", "ff05::1", "ff02::1:3"])
        expect([far, icmp("Outbound", far, type)]).toEqual([far, "block"]);
    }
    for (const type of [134, 135, 136]) {
      for (const address of ["2001:db8:5::9", "fe80::1", "::"])
        expect(icmp("Inbound", address, type)).toBe("default");
      expect(icmp("Inbound", "2001:db8::7", type)).toBe("block");
    }
    for (const type of [130, 131, 132, 143]) {
      expect([icmp("Outbound", "ff02::16", type), icmp("Outbound", "ff05::16", type)]).toEqual([
        "default",
        "block",
      ]);
      expect([icmp("Inbound", "fe80::1", type), icmp("Inbound", "2001:db8:5::9", type)]).toEqual([
        "default",
        "block",
      ]);
    }
    for (const type of [1, 2, 3, 4]) {
      expect(icmp("Outbound", "2001:db8::7", type)).toBe("block");
      expect(icmp("Inbound", "2001:db8::7", type)).toBe("default");
    }
    for (const type of [128, 129, 137, 138, 139, 144, 145])
      for (const way of ["Inbound", "Outbound"] as const) expect(icmp(way, "fe80::1", type)).toBe("block");
    for (const type of [0, 3, 5, 8, 11, 13]) {
      expect(icmp("Outbound", "203.0.113.1", type)).toBe("block");
      expect(icmp("Inbound", "203.0.113.1", type)).toBe(type === 3 || type === 11 ? "default" : "block");
    }
  });

  test("inbound connections and other protocols are blocked", () => {
    const rules = windowsNetworkRules(RULES);
    expect(verdictOn(rules, { direction: "Inbound", protocol: "TCP", address: "198.51.100.7" })).toBe(
      "block",
    );
    expect(rules.some(({ action, direction }) => action === "Allow" && direction === "Inbound")).toBe(false);
    for (const protocol of ["2", "4", "41", "47", "50", "51", "115", "132"])
      for (const direction of ["Inbound", "Outbound"] as const)
        expect(rules).toContainEqual({ direction, action: "Block", protocol });
  });

  test("portsWithout() leaves out exactly these ports", () => {
    expect(portsWithout([])).toEqual(["0-65535"]);
    expect(portsWithout([0, 65_535])).toEqual(["1-65534"]);
    expect(portsWithout([53, 55, 53])).toEqual(["0-52", "54", "56-65535"]);
  });

  test("putScript() returns exactly this text: strict mode, new rules before the removal of old ones, and the profiles last", () => {
    const rules = windowsPortRules([11_434, 8080]);
    expect(
      putScript(rules, "abcd1234", true),
    ).toBe(`$ErrorActionPreference='Stop'; $ProgressPreference='SilentlyContinue'
Get-NetFirewallRule -PolicyStore PersistentStore -Group 'LifecycleZero containment' -ErrorAction SilentlyContinue | Where-Object Name -like 'lifecyclezero-abcd1234-*' | Remove-NetFirewallRule
New-NetFirewallRule -PolicyStore PersistentStore -Name 'lifecyclezero-abcd1234-00' -DisplayName 'lifecyclezero-abcd1234-00' -Group 'LifecycleZero containment' -Enabled True -Profile Any -Direction Inbound -Action Block -Protocol TCP -LocalPort @('8080','11434') | Out-Null
New-NetFirewallRule -PolicyStore PersistentStore -Name 'lifecyclezero-abcd1234-01' -DisplayName 'lifecyclezero-abcd1234-01' -Group 'LifecycleZero containment' -Enabled True -Profile Any -Direction Inbound -Action Block -Protocol UDP -LocalPort @('8080','11434') | Out-Null
Get-NetFirewallRule -PolicyStore PersistentStore -Group 'LifecycleZero containment' -ErrorAction SilentlyContinue | Where-Object Name -notlike 'lifecyclezero-abcd1234-*' | Remove-NetFirewallRule
Set-NetFirewallProfile -PolicyStore PersistentStore -All -Enabled True -DefaultInboundAction Block -DefaultOutboundAction Block
`);
    expect(putScript(rules, "abcd1234", false)).toEndWith("-All -Enabled True\n");
  });

  test("removeScript() restores each profile, and fails if a rule of the agent remains", () => {
    expect(removeScript(BEFORE)).toBe(`$ErrorActionPreference='Stop'; $ProgressPreference='SilentlyContinue'
Set-NetFirewallProfile -PolicyStore PersistentStore -Name Domain -Enabled True -DefaultInboundAction NotConfigured -DefaultOutboundAction NotConfigured
Set-NetFirewallProfile -PolicyStore PersistentStore -Name Private -Enabled False -DefaultInboundAction Block -DefaultOutboundAction Allow
Get-NetFirewallRule -PolicyStore PersistentStore -Group 'LifecycleZero containment' -ErrorAction SilentlyContinue | Remove-NetFirewallRule
if (@(Get-NetFirewallRule -PolicyStore PersistentStore -Group 'LifecycleZero containment' -ErrorAction SilentlyContinue).Count -gt 0) { throw 'rules are left' }
`);
  });

  test("quoted() prevents expansion by PowerShell, even with typographic quotes", () => {
    expect(quoted("a'b")).toBe("'a''b'");
    expect(quoted("$(calc) \u2019; x")).toBe("'$(calc) \u2019\u2019; x'");
  });

  const BEFORE: Profile[] = [
    { name: "Domain", enabled: "True", inbound: "NotConfigured", outbound: "NotConfigured" },
    { name: "Private", enabled: "False", inbound: "Block", outbound: "Allow" },
  ];

  /**
   * Returns the rule that Windows reports after this command. Windows names protocols, shortens addresses,
   * and orders lists differently.
   */
  function standingRuleOf(command: string): StandingRule | undefined {
    const option = (name: string): string | undefined =>
      new RegExp(` -${name} (@\\([^)]*\\)|\\S+)`).exec(command)?.[1];
    const list = (name: string): string[] =>
      [...(option(name) ?? "'Any'").matchAll(/'([^']*)'/g)].map((match) => match[1]!);
    if (!command.startsWith("New-NetFirewallRule")) return undefined;
    const protocol = option("Protocol")!;
    return {
      name: /-Name '([^']+)'/.exec(command)![1]!,
      enabled: option("Enabled")!,
      direction: option("Direction")!,
      action: option("Action")!,
      profile: option("Profile")!,
      protocol: { "1": "ICMPv4", "58": "ICMPv6" }[protocol] ?? protocol,
      remoteAddress: list("RemoteAddress")
        .map((address) => address.replace("0:0:0:0:0:0:0:2-", "::2-"))
        .reverse(),
      localAddress: ["Any"],
      remotePort: list("RemotePort").reverse(),
      localPort: list("LocalPort"),
      icmpType: list("IcmpType").map((type) => (type === "Any" ? type : `${type}:*`)),
      program: "Any",
      interface: ["Any"],
    };
  }

  /** A fake of Windows Firewall. `overrules`: a group policy limits the rules in force to this number. */
  function fakeWindows({
    overrules,
    attempts = "forbidden" as Attempt,
  }: {
    overrules?: number;
    attempts?: Attempt;
  } = {}) {
    const windows = {
      rules: [] as StandingRule[],
      isOn: false,
      outbound: "Block",
      said: JSON.stringify(BEFORE),
      scripts: [] as string[],
      /** Changes the rules while they are being installed. */
      tamper: (_rules: StandingRule[]): void => {},
    };
    let saved: readonly Profile[] | undefined;
    const run = async (command: readonly string[], stdin?: string): Promise<CommandResult> => {
      expect(command[0]).toBe("powershell.exe");
      const script = stdin!;
      windows.scripts.push(script);
      const answer = (stdout = ""): CommandResult => ({ code: 0, stdout, stderr: "" });
      if (script === PROFILES_SCRIPT) return answer(windows.said);
      if (script === STANDING_SCRIPT) {
        const profile = `Public ${windows.isOn ? "True" : "False"} Block ${windows.outbound}`;
        return answer(JSON.stringify({ profiles: [profile], rules: windows.rules.slice(0, overrules) }));
      }
      if (script === removeScript(saved ?? [])) {
        windows.rules = [];
        windows.isOn = false;
        return answer();
      }
      windows.rules = script.split("\n").flatMap((line) => standingRuleOf(line) ?? []);
      windows.tamper(windows.rules);
      windows.isOn = true;
      return answer();
    };
    const firewall = () =>
      windowsFirewall({
        run,
        attempt: async () => attempts,
        loadProfiles: () => saved,
        saveProfiles: (before) => {
          saved = before;
        },
      });
    return { windows, firewall, saved: () => saved };
  }

  test("windowsFirewall() saves the profiles once and restores them exactly", async () => {
    const { windows, firewall, saved } = fakeWindows();
    expect(await firewall().restrict(RULES)).toBeUndefined();
    expect(saved()).toEqual(BEFORE);
    // After a restart, the agent must not mistake its own settings for the administrator's settings.
    windows.said = JSON.stringify([{ name: "Domain", enabled: "True", inbound: "Block", outbound: "Block" }]);
    expect(await firewall().restrict(RULES)).toBeUndefined();
    expect(saved()).toEqual(BEFORE);
    expect(await firewall().remove(true)).toBeUndefined();
    expect(windows.scripts.at(-1)).toBe(removeScript(BEFORE));
    expect([windows.rules, saved()]).toEqual([[], undefined]);
  });

  test("windowsFirewall() saves only valid profiles, because they are inserted into a command", async () => {
    for (const said of [
      "",
      "[]",
      JSON.stringify([{ ...BEFORE[0], enabled: "True; calc" }]),
      JSON.stringify([{ ...BEFORE[0], name: "Domain -All" }]),
    ]) {
      const { windows, firewall, saved } = fakeWindows();
      windows.said = said;
      expect(await firewall().restrict(RULES)).toStartWith(
        "the profiles of Windows Firewall could not be read",
      );
      expect([windows.rules, saved()]).toEqual([[], undefined]);
    }
  });

  test("windowsFirewall() reports a policy that overrides the rules, and a profile that is off or no longer blocks", async () => {
    const count = windowsNetworkRules(RULES).length;
    expect(await fakeWindows({ overrules: 3 }).firewall().restrict(RULES)).toBe(
      `3 of ${count} rules are in force: a policy overrides the others, or they were modified`,
    );
    const { windows, firewall } = fakeWindows();
    const ours = firewall();
    expect(await ours.altered()).toBe(NOTHING_SENT);
    await ours.restrict(RULES);
    expect(await ours.altered()).toBeUndefined();
    windows.outbound = "Allow";
    expect(await ours.altered()).toBe("a profile of Windows Firewall no longer blocks by default");
    windows.outbound = "Block";
    windows.isOn = false;
    expect(await ours.altered()).toBe(
      'a policy overrides the rules of the group "LifecycleZero containment", or a profile is off',
    );
    windows.isOn = true;
    expect(await ours.remove(true)).toBeUndefined();
    expect(await ours.altered()).toBe(NOTHING_SENT);
    // In mode stop-engines, only the ports matter.
    windows.outbound = "Allow";
    expect(await ours.refusePorts([11_434])).toBeUndefined();
  });

  test.each<[string, (rules: StandingRule[]) => void]>([
    ["a rule is gone", (rules) => void rules.pop()],
    ["a rule is off", (rules) => Object.assign(rules[0]!, { enabled: "False" })],
    ["a rule allows", (rules) => Object.assign(rules[0]!, { action: "Allow" })],
    ["a rule is for one profile", (rules) => Object.assign(rules[0]!, { profile: "Public" })],
    ["a rule is for one program", (rules) => Object.assign(rules[0]!, { program: "C:\\calc.exe" })],
    ["a rule is for one interface", (rules) => Object.assign(rules[0]!, { interface: ["Wi-Fi"] })],
    ["a rule is for fewer addresses", (rules) => Object.assign(rules[0]!, { remoteAddress: ["192.0.2.1"] })],
    ["a rule is for the subnet", (rules) => Object.assign(rules[0]!, { remoteAddress: ["LocalSubnet"] })],
    ["a rule is for one local address", (rules) => Object.assign(rules[0]!, { localAddress: ["192.0.2.1"] })],
    ["a rule is for another port", (rules) => Object.assign(rules[0]!, { remotePort: ["1-2"] })],
    ["a rule is for another way", (rules) => Object.assign(rules[0]!, { direction: "Inbound" })],
    ["a rule is for another protocol", (rules) => Object.assign(rules[0]!, { protocol: "UDP" })],
    ["a rule came", (rules) => void rules.push({ ...rules[0]!, name: "other" })],
  ])("windowsFirewall() compares the rules in force with the rules sent: %s", async (_name, tamper) => {
    const { windows, firewall } = fakeWindows();
    const ours = firewall();
    windows.tamper = tamper;
    // The rules are changed after their installation and before the agent reads them back.
    expect(await ours.restrict(RULES)).toBeString();
    expect(await ours.altered()).toBeString();
    windows.tamper = () => {};
    expect(await ours.restrict(RULES)).toBeUndefined();
    tamper(windows.rules);
    expect(await ours.altered()).toBeString();
  });

  test.each([
    ["forbidden", true],
    ["failed", false],
    ["connected", false],
  ] as const)(
    "windowsFirewall() with a connection that %s: refused by this host is %p",
    async (attempts, expected) => {
      const { firewall } = fakeWindows({ attempts });
      expect(await firewall().refuses([{ address: "192.0.2.1", port: 443 }])).toBe(expected);
    },
  );

  test("serverAddresses() returns name servers without scopes and without the site-local ones of Windows", () => {
    const text = "192.0.2.53\r\nfec0:0:0:ffff::1%1\r\nfe80::1%12\r\n127.0.0.1\r\nnot one\r\n\r\n";
    expect(serverAddresses(text)).toEqual(["192.0.2.53", "fe80::1"]);
  });

  test("parseProcesses() accepts a single process, and leaves out processes without a start time", () => {
    const row = (p: number, s = false, b: string | null = "639") => ({ p, q: 1, b, s });
    expect(parseProcesses(JSON.stringify([row(0), row(4), row(900, true), row(901, false, null)]))).toEqual([
      { pid: 900, parent: 1, birth: "639", isStopped: true, startedAtMs: -62_135_596_799_999 },
    ]);
    // A process start time: 22 November 2026, 00:00 UTC.
    const born = JSON.stringify(row(900, false, "639309024000000000"));
    expect(parseProcesses(born)[0]!.startedAtMs).toBe(Date.parse("2026-11-22T00:00:00Z"));
    expect(parseProcesses(JSON.stringify(row(900)))).toHaveLength(1);
    expect(() => parseProcesses("")).toThrow();
    expect(PROCESSES_SCRIPT).not.toContain('"');
  });

  test("parseProcesses() ignores a parent that started after its child", () => {
    const rows = [
      { p: 700, q: 4, b: "100", s: false },
      { p: 800, q: 700, b: "100", s: false },
      { p: 900, q: 800, b: "99", s: false },
    ];
    expect(parseProcesses(JSON.stringify(rows)).map(({ parent }) => parent)).toEqual([4, 700, 0]);
  });

  test("isBornAt() compares a FILETIME with rounded ticks, with a tolerance of one millisecond", () => {
    const filetime = 639_309_024_000_000_000n - 504_911_232_000_000_000n;
    expect(isBornAt(filetime, "639309024000000000")).toBe(true);
    expect(isBornAt(filetime + 9999n, "639309024000000000")).toBe(true);
    for (const apart of [10_000n, -10_000n])
      expect(isBornAt(filetime + apart, "639309024000000000")).toBe(false);
  });
});

test("enforcersFor() fails with a reason without the required rights or on an unsupported system", async () => {
  const options = {
    directory: "",
    edgeUrl: "https://lz.example.com",
    selfPid: 1,
    engines: () => [],
    reach: async () => true,
    sleep: async () => {},
    elapsed: () => 0,
    log: silent,
    scanSoon: () => {},
  };
  const signal = new AbortController().signal;
  const order = { generation: 1, mode: "network", wasInForce: false } as const;
  for (const [platform, reason] of [
    ["linux", "mode network needs the agent to run as root"],
    ["darwin", "mode network needs the agent to run as root"],
    ["freebsd", "mode network is not supported by this agent on this system"],
  ] as const) {
    const enforcers = await enforcersFor({ platform, isRoot: false }, options);
    expect(await enforcers.network.apply(order, signal)).toEqual({ outcome: "failed", reason });
  }
});

test("a firewall reports a failed removal even if its program was killed without output", async () => {
  const run = async (): Promise<CommandResult> => ({ code: -1, stdout: "", stderr: "" });
  const pf = pfFirewall({ run, connects: async () => false, loadToken: () => "1", saveToken: () => {} });
  const windows = windowsFirewall({
    run,
    attempt: async () => "forbidden",
    loadProfiles: () => undefined,
    saveProfiles: () => {},
  });
  for (const firewall of [pf, windows]) expect(await firewall.remove(true)).toBe("no reason given");
});

test("checkingEvery() checks every n rounds, and in the first round after a start, a directive or a release", async () => {
  const asked: string[] = [];
  const enforcer = (verb: string) => async (): Promise<Proof> => {
    asked.push(verb);
    return { outcome: "applied" };
  };
  const seldom = checkingEvery(3, {
    apply: enforcer("apply"),
    release: enforcer("release"),
    reassert: enforcer("reassert"),
  });
  const signal = new AbortController().signal;
  const order = { generation: 1, mode: "network", wasInForce: true } as const;
  const rounds = async (count: number): Promise<string[]> => {
    asked.length = 0;
    for (let round = 0; round < count; round++)
      expect(await seldom.reassert(order, signal)).toEqual({ outcome: "applied" });
    return asked;
  };
  expect(await rounds(7)).toEqual(["reassert", "reassert", "reassert"]);
  await seldom.apply(order, signal);
  expect(await rounds(3)).toEqual(["reassert"]);
  await seldom.release(order, signal);
  expect(await rounds(1)).toEqual(["reassert"]);
});

test("checkingEvery() reports a repair once, not in each round that repeats the proof", async () => {
  const proof: Proof = { outcome: "applied", repaired: "the rules were altered" };
  const act = async (): Promise<Proof> => proof;
  const seldom = checkingEvery(3, { apply: act, release: act, reassert: act });
  const order = { generation: 1, mode: "network", wasInForce: true } as const;
  const look = () => seldom.reassert(order, new AbortController().signal);
  expect(await look()).toEqual(proof);
  for (let round = 0; round < 2; round++) expect(await look()).toEqual({ outcome: "applied" });
  expect(await look()).toEqual(proof);
});

test("comparingMarks() reports rules that were restored between two checks, but not its own changes", async () => {
  let now: string | undefined = "1 2";
  let found: Proof = { outcome: "applied" };
  let put = (): void => {};
  const act = async (): Promise<Proof> => {
    put();
    return found;
  };
  const enforcer = comparingMarks(async () => now, { apply: act, release: act, reassert: act });
  const signal = new AbortController().signal;
  const order = { generation: 1, mode: "network", wasInForce: true } as const;
  const repaired = "the isolation rules were removed and restored between two checks";
  const look = async () => (await enforcer.reassert(order, signal)).repaired;
  expect(await look()).toBeUndefined();
  put = () => {
    now = "3 4";
  };
  expect(await look()).toBeUndefined();
  await enforcer.apply(order, signal);
  expect(await look()).toBeUndefined();
  put = () => {};
  now = "5 6";
  expect([await look(), await look()]).toEqual([repaired, undefined]);
  now = undefined;
  expect(await look()).toBe(repaired);
  now = "7 8";
  found = { outcome: "applied", repaired: "what the enforcer says" };
  expect(await look()).toBe("what the enforcer says");
  found = { outcome: "applied" };
  await enforcer.release(order, signal);
  now = "9 10";
  expect(await look()).toBeUndefined();
});

describe("keptMarks()", () => {
  const signal = new AbortController().signal;
  const order = { generation: 1, mode: "network", wasInForce: true } as const;
  const changed = "the isolation rules were removed or replaced while the agent was not running";
  let directory: string;
  let now: string | undefined;
  /**
   * Starts a new agent. The agent does not know which rules were sent before its start, so it sends its rules
   * again.
   */
  const start = (boot = "boot 1") => {
    const put = async (): Promise<Proof> => {
      now = `${now ?? ""}+`;
      return { outcome: "applied" };
    };
    const release = async (): Promise<Proof> => {
      now = undefined;
      return { outcome: "applied" };
    };
    const kept = keptMarks(directory, boot, () => {});
    return comparingMarks(async () => now, { apply: put, release, reassert: put }, kept);
  };
  const look = async (enforcer: Enforcer) => (await enforcer.reassert(order, signal)).repaired;

  beforeEach(() => {
    directory = temporaryDirectory();
    now = undefined;
  });
  afterAll(removeTemporaryDirectories);

  test("rules that were deleted while the agent was not running count as a repair, unchanged rules do not", async () => {
    await start().apply(order, signal);
    expect(await look(start())).toBeUndefined();
    now = undefined;
    const restarted = start();
    expect(await look(restarted)).toBe(changed);
    expect(await look(restarted)).toBeUndefined();
    now = "others";
    expect(await look(start())).toBe(changed);
  });

  test("a boot, a release and a damaged file lead to no report of a repair", async () => {
    await start().apply(order, signal);
    now = undefined;
    expect(await look(start("boot 2"))).toBeUndefined();
    await start("boot 2").release(order, signal);
    now = "others";
    expect(await look(start("boot 2"))).toBeUndefined();
    writeFileSync(join(directory, "rule-marks.json"), "{");
    now = "yet others";
    expect(await look(start("boot 2"))).toBeUndefined();
  });
});

test("nftMarks() returns the handles of both tables, and undefined without the first table", async () => {
  const tables: Record<string, string> = {
    inet: "table inet lifecyclezero { # handle 7\n\tchain output { # handle 1\n\t\taccept # handle 12\n\t}\n}\n",
    bridge: "table bridge lifecyclezero { # handle 9\n}\n",
  };
  const asked: string[] = [];
  const marks = nftMarks(async ([program, ...words]) => {
    asked.push([program, ...words].join(" "));
    const stdout = tables[words.at(-2)!];
    return { code: stdout === undefined ? 1 : 0, stdout: stdout ?? "", stderr: "" };
  });
  expect(await marks()).toBe("7 1 12 / 9");
  expect(asked[0]).toBe("nft --handle --stateless list table inet lifecyclezero");
  delete tables.bridge;
  expect(await marks()).toBe("7 1 12 / ");
  delete tables.inet;
  expect(await marks()).toBeUndefined();
});

test("networkEnforcer() removes rules that a firewall applied before it failed", async () => {
  const done: string[] = [];
  const enforcer = networkEnforcer({
    firewall: {
      restrict: async () => "the third of ten rules was refused",
      refusePorts: async () => undefined,
      altered: async () => undefined,
      remove: async (wasInForce) => void done.push(`remove ${wasInForce}`),
      refuses: async () => false,
    },
    edgeUrl: "https://198.51.100.7",
    resolve: async () => [],
    resolvers: async () => [],
    links: async () => links,
    elapsed: () => 0,
    load: () => [],
    save: () => {},
    reach: async () => true,
    sleep: async () => {},
    log: silent,
  });
  const order = { generation: 1, mode: "network", wasInForce: true } as const;
  expect(await enforcer.apply(order, new AbortController().signal)).toEqual({
    outcome: "failed",
    reason: "the third of ten rules was refused",
  });
  expect(done).toEqual(["remove false"]);
});
