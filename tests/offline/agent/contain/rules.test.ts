import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { familyOf, type HostProcess } from "../../../../agent/contain/engines/process-tree.ts";
import { STOPPED_KINDS } from "../../../../agent/contain/engines/stop-context.ts";
import { hostProcesses, resolversOf } from "../../../../agent/contain/platform/linux.ts";
import { networkRules, packetsIn, portRules } from "../../../../agent/contain/platform/nftables.ts";
import { processBirth } from "../../../../agent/daemon/single-instance-lock.ts";
import { missing, testUnless } from "../../../support/missing.ts";
import { eventually } from "../../../support/stack.ts";

const LINKS = { prefixes: ["192.0.2.0/24", "2001:db8:5::/64"], dhcpServers: ["192.0.2.67"] };

describe("networkRules()", () => {
  const rules = networkRules({
    control: [
      { address: "198.51.100.7", port: 443 },
      { address: "2001:db8::7", port: 443 },
    ],
    resolvers: ["192.0.2.53", "2001:db8::53"],
    links: LINKS,
  });
  const chain = (name: string, of = rules): string[] =>
    new RegExp(`chain ${name} \\{\\n([^}]*)\\}`)
      .exec(of)![1]!
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");

  test("replaces the whole table in one transaction", () => {
    expect(
      rules.startsWith(
        "table inet lifecyclezero\ndelete table inet lifecyclezero\ntable inet lifecyclezero {\n",
      ),
    ).toBe(true);
  });

  test("has exactly these output rules", () => {
    expect(chain("output")).toEqual([
      "type filter hook output priority -10; policy drop;",
      "oif lo accept",
      "meta skuid 0 ip daddr 198.51.100.7 tcp dport 443 accept",
      "meta skuid 0 ip6 daddr 2001:db8::7 tcp dport 443 accept",
      "ip daddr 192.0.2.53 tcp dport 53 accept",
      "ip daddr 192.0.2.53 udp dport 53 accept",
      "ip6 daddr 2001:db8::53 tcp dport 53 accept",
      "ip6 daddr 2001:db8::53 udp dport 53 accept",
      "ip daddr 255.255.255.255 udp sport 68 udp dport 67 jump dhcp_out",
      "ip daddr 192.0.2.67 udp sport 68 udp dport 67 jump dhcp_out",
      "ip6 saddr fe80::/10 ip6 daddr ff02::1:2 udp sport 546 udp dport 547 jump dhcp_out",
      "icmpv6 type nd-router-solicit ip6 hoplimit 255 ip6 daddr ff02::2 jump nd_solicit_out",
      "icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 ip6 daddr ff02::1:ff00:0/104 jump nd_solicit_out",
      "icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 ip6 daddr fe80::/10 jump nd_solicit_out",
      "icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 ip6 daddr 2001:db8:5:0:0:0:0:0/64 jump nd_solicit_out",
      "icmpv6 type nd-neighbor-advert ip6 hoplimit 255 ip6 daddr ff02::1 jump nd_advert_out",
      "icmpv6 type nd-neighbor-advert ip6 hoplimit 255 ip6 daddr fe80::/10 jump nd_advert_out",
      "icmpv6 type nd-neighbor-advert ip6 hoplimit 255 ip6 daddr 2001:db8:5:0:0:0:0:0/64 jump nd_advert_out",
      "icmpv6 type mld2-listener-report ip6 hoplimit 1 ip6 daddr ff02::16 meta length <= 576 limit rate 10/minute burst 20 packets accept",
      "counter name forbidden",
      "meta l4proto tcp reject with tcp reset",
      "reject with icmpx type admin-prohibited",
    ]);
  });

  test("has exactly these input rules", () => {
    const opened = "ct state established,untracked tcp flags & (syn | ack) != syn accept";
    expect(chain("input")).toEqual([
      "type filter hook input priority -10; policy drop;",
      "iif lo accept",
      `ip saddr 198.51.100.7 tcp sport 443 ${opened}`,
      `ip6 saddr 2001:db8::7 tcp sport 443 ${opened}`,
      `ip saddr 192.0.2.53 tcp sport 53 ${opened}`,
      "ip saddr 192.0.2.53 udp sport 53 ct state established,untracked accept",
      `ip6 saddr 2001:db8::53 tcp sport 53 ${opened}`,
      "ip6 saddr 2001:db8::53 udp sport 53 ct state established,untracked accept",
      "ct state related ct original ip daddr 192.0.2.53 icmp type destination-unreachable jump icmp_errors_in",
      "ct state related ct original ip daddr 198.51.100.7 icmp type destination-unreachable jump icmp_errors_in",
      "ct state related ct original ip6 daddr 2001:db8::53 icmpv6 type destination-unreachable jump icmp_errors_in",
      "ct state related ct original ip6 daddr 2001:db8::53 icmpv6 type packet-too-big jump icmp_errors_in",
      "ct state related ct original ip6 daddr 2001:db8::7 icmpv6 type destination-unreachable jump icmp_errors_in",
      "ct state related ct original ip6 daddr 2001:db8::7 icmpv6 type packet-too-big jump icmp_errors_in",
      "ip daddr 255.255.255.255 udp sport 67 udp dport 68 jump dhcp_in",
      "ip saddr 169.254.0.0/16 udp sport 67 udp dport 68 jump dhcp_in",
      "ip saddr 192.0.2.0/24 udp sport 67 udp dport 68 jump dhcp_in",
      "ip saddr 192.0.2.67 udp sport 67 udp dport 68 jump dhcp_in",
      "ip6 saddr fe80::/10 ip6 daddr fe80::/10 udp sport 547 udp dport 546 jump dhcp_in",
      "icmpv6 type nd-router-advert ip6 hoplimit 255 limit rate 20/second burst 100 packets accept",
      "icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 limit rate 20/second burst 100 packets accept",
      "icmpv6 type nd-neighbor-advert ip6 hoplimit 255 limit rate 20/second burst 100 packets accept",
      "icmpv6 type mld-listener-query ip6 hoplimit 1 ip6 saddr fe80::/10 meta length <= 576 limit rate 10/minute burst 20 packets accept",
      "counter name forbidden",
    ]);
  });

  test("forwards nothing, and applies one common limit to the rules of an exception", () => {
    expect(chain("forward")).toEqual([
      "type filter hook forward priority -10; policy drop;",
      "counter name forbidden",
    ]);
    expect(chain("dhcp_out")).toEqual(["meta length <= 576 limit rate 10/minute burst 10 packets accept"]);
    expect(chain("dhcp_in")).toEqual(["limit rate 60/minute burst 30 packets accept"]);
    for (const name of ["nd_solicit_out", "nd_advert_out"])
      expect(chain(name)).toEqual(["meta length <= 96 limit rate 60/minute burst 60 packets accept"]);
    expect(chain("icmp_errors_in")).toEqual(["limit rate 10/second burst 20 packets accept"]);
    expect(chain("names_out")).toEqual(["limit rate 20/second burst 100 packets accept"]);
  });

  test("allows only root and the local name server to query any name server, with a rate limit, while no name server is known", () => {
    const anyNames = /(?<!daddr \S+ )(?:tcp|udp) dport 53/;
    expect(chain("output").filter((rule) => anyNames.test(rule))).toEqual([]);
    const unknown = networkRules({ control: [], resolvers: [], resolverUsers: [0, 101], links: LINKS });
    expect(chain("output", unknown).filter((rule) => rule.includes("dport 53"))).toEqual([
      "meta skuid 0 tcp dport 53 jump names_out",
      "meta skuid 0 udp dport 53 jump names_out",
      "meta skuid 101 tcp dport 53 jump names_out",
      "meta skuid 101 udp dport 53 jump names_out",
    ]);
    expect(chain("input", unknown).filter((rule) => rule.includes("sport 53"))).toEqual([
      "ct state established tcp sport 53 accept",
      "ct state established udp sport 53 accept",
    ]);
    expect(networkRules({ control: [], resolvers: [], links: LINKS })).toContain("meta skuid 0 udp dport 53");
    const last = 2 ** 32 - 1;
    expect(networkRules({ control: [], resolvers: [], resolverUsers: [last], links: LINKS })).toContain(
      `meta skuid ${last} udp dport 53`,
    );
    for (const user of [-1, 1.5, Number.NaN, 2 ** 32])
      expect(() => networkRules({ control: [], resolvers: [], resolverUsers: [user], links: LINKS })).toThrow(
        "not a valid user",
      );
  });

  test("contains each address once, sorted", () => {
    const make = (control: string[], resolvers: string[], prefixes: string[], dhcpServers: string[]) =>
      networkRules({
        control: control.map((address) => ({ address, port: 443 })),
        resolvers,
        links: { prefixes, dhcpServers },
      });
    expect(
      make(
        ["198.51.100.8", "198.51.100.7", "198.51.100.8"],
        ["192.0.2.54", "192.0.2.53", "192.0.2.54"],
        ["192.0.2.9/24", "10.0.0.0/8", "192.0.2.0/24"],
        ["192.0.2.2", "192.0.2.1", "192.0.2.2", "2001:db8::1"],
      ),
    ).toBe(
      make(
        ["198.51.100.7", "198.51.100.8"],
        ["192.0.2.53", "192.0.2.54"],
        ["10.0.0.0/8", "192.0.2.0/24"],
        ["192.0.2.1", "192.0.2.2"],
      ),
    );
  });
});

test("portRules() refuses each port once, only for connections to the engine, and is empty without ports", () => {
  const refusal = (port: number): string =>
    `    ct direction original tcp dport ${port} counter name forbidden reject with tcp reset\n`;
  expect(portRules([11_434, 8080, 11_434]).split(refusal(8080) + refusal(11_434))).toHaveLength(3);
  expect(portRules([])).not.toContain("dport");
  expect(
    [...portRules([1]).matchAll(/hook (\w+) priority -10; policy (\w+)/g)].map(([, ...is]) => is),
  ).toEqual([
    ["input", "accept"],
    ["forward", "accept"],
  ]);
});

test("packetsIn() reads nft's counter and ignores other texts", () => {
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
  ])("%j returns %j", (files, expected) => {
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
  test("returns the engine and its descendants, parents first, each once", () => {
    expect(pidsOf(familyOf([10, 11], all, 99))).toEqual([10, 11, 12]);
  });
  test("leaves out init, the agent and its ancestors, even if a scan names them as engines", () => {
    expect(pidsOf(familyOf([1, 30, 31, 20], all, 31))).toEqual([20]);
  });
  testUnless(missing("Linux"), "reads this process from /proc", () => {
    const self = hostProcesses().find(({ pid }) => pid === globalThis.process.pid);
    const { pid, ppid } = globalThis.process;
    expect(self).toMatchObject({ pid, parent: ppid, birth: processBirth(pid, "linux")!, isStopped: false });
    const ageMs = globalThis.process.uptime() * 1000;
    expect(Math.abs(Date.now() - ageMs - self!.startedAtMs!)).toBeLessThan(3000);
    const { user, system } = globalThis.process.cpuUsage();
    expect(Math.abs((user + system) / 1000 - self!.cpuMs!)).toBeLessThan(500);
  });
  testUnless(
    missing("Linux", "python3"),
    "a process is stopped if all its threads are stopped, even if the first thread has ended",
    async () => {
      const found = (pid: number): boolean | undefined =>
        hostProcesses().find((each) => each.pid === pid)?.isStopped;
      const python = Bun.spawn(["python3", join(import.meta.dir, "threads.py")], {
        stdout: "pipe",
      });
      const reader = python.stdout.getReader();
      const said = new TextDecoder().decode((await reader.read()).value);
      const { traced, zombie } = JSON.parse(said) as { traced: number; zombie: number };
      try {
        // A tracer has stopped the first thread, but the other thread still runs. So the process does not
        // count as stopped.
        expect(found(traced)).toBe(false);
        expect(found(zombie)).toBe(false);
        globalThis.process.kill(zombie, "SIGSTOP");
        await eventually(async () => found(zombie) === true);
      } finally {
        for (const pid of [traced, zombie, python.pid]) globalThis.process.kill(pid, "SIGKILL");
        await python.exited;
      }
    },
  );
});

test("STOPPED_KINDS leaves out kinds that do not run models", () => {
  for (const kind of ["gateway", "ui", "notebook", "vector-db", "rag", "mcp"] as const)
    expect(STOPPED_KINDS.has(kind)).toBe(false);
});
