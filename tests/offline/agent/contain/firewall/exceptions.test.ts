import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { Proof } from "../../../../../agent/contain/modes/enforcer.ts";
import { runCommand } from "../../../../../agent/platform/run-command.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { namespaceId } from "../../../../support/run/namespace-id.ts";
import { removeTemporaryDirectories, temporaryDirectory } from "../../report/send-edge.ts";
import { Dialogue, mustRun, type NamespaceProcess, reaches, spawnIn } from "./namespaces.ts";

/*
 * These tests try to send data through the exceptions of mode `network`. The tests use the real nft(8). The
 * contained host and its network are separate network namespaces, and nothing outside these namespaces
 * changes.
 */
const ID = namespaceId();
const HOST = `${ID}h`;
const NET = `${ID}n`;
const CONTROL = "10.87.0.1";
const PEER = "10.87.0.2";
const PROXY = "10.87.0.3";
const NAMES = "10.87.0.53";
const HOST_ADDRESS = "10.87.0.100";
/** An address behind a router. The network's namespace acts as this router. */
const FAR = "10.88.0.2";
const POOL = "10.89.0";
const PEER6 = "fd87::2";
const FAR6 = "fd88::2";
const HOST6 = "fd87::100";
const HOST_LINK_LOCAL = "fe80::100";
const PEER_LINK_LOCAL = "fe80::2";

const lacking = missing("Linux", "root", "ip", "nft", "nsenter", "bash");
const RESOLV_CONF = `/etc/netns/${HOST}`;

describeUnless(lacking, "exceptions of an isolation, tested in network namespaces", () => {
  let peer: Dialogue;
  let peerProcess: NamespaceProcess;
  const agents: NamespaceProcess[] = [];

  beforeAll(async () => {
    mkdirSync(RESOLV_CONF, { recursive: true });
    writeFileSync(`${RESOLV_CONF}/resolv.conf`, `nameserver ${NAMES}\n`);
    for (const namespace of [HOST, NET]) {
      await mustRun(`ip netns add ${namespace}`);
      await mustRun(`ip -n ${namespace} link set lo up`);
    }
    await mustRun(`ip link add ${ID}a netns ${HOST} type veth peer name ${ID}b netns ${NET}`);
    const addresses = (namespace: string, link: string, all: string[]) =>
      all.map(
        (each) => `ip -n ${namespace} addr add ${each} dev ${link}${each.includes(":") ? " nodad" : ""}`,
      );
    for (const command of [
      ...addresses(HOST, `${ID}a`, [`${HOST_ADDRESS}/24`, `${HOST6}/64`, `${HOST_LINK_LOCAL}/64`]),
      ...addresses(
        NET,
        `${ID}b`,
        [CONTROL, PEER, PROXY, NAMES].map((each) => `${each}/24`),
      ),
      ...addresses(NET, `${ID}b`, [`${PEER6}/64`, `${PEER_LINK_LOCAL}/64`]),
      ...addresses(NET, "lo", [`${FAR}/32`, `${FAR6}/128`]),
      `ip -n ${HOST} link set ${ID}a up`,
      `ip -n ${NET} link set ${ID}b up`,
      `ip -n ${NET} route add local ${POOL}.0/24 dev lo`,
      `ip -n ${HOST} route add default via ${CONTROL}`,
      `ip -n ${HOST} route add default via ${PEER6}`,
    ])
      await mustRun(command);
    const script = new URL("./exceptions-peer.ts", import.meta.url).pathname;
    const command = [process.execPath, script, CONTROL, PROXY, NAMES, PEER, FAR, POOL];
    peerProcess = spawnIn(NET, command);
    peer = new Dialogue(peerProcess);
    await peer.hear();
  }, 30_000);

  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.kill("SIGKILL");
    for (const namespace of [HOST, NET])
      await runCommand(["ip", "netns", "exec", namespace, "nft", "flush", "ruleset"]);
    removeTemporaryDirectories();
  });

  afterAll(async () => {
    peerProcess?.kill("SIGKILL");
    for (const namespace of [HOST, NET]) await runCommand(["ip", "netns", "del", namespace]);
    rmSync(RESOLV_CONF, { recursive: true, force: true });
  });

  function startAgent(edgeUrl: string, env: Record<string, string> = {}) {
    const script = new URL("./namespace-host.ts", import.meta.url).pathname;
    const none = { HTTP_PROXY: "", http_proxy: "", ALL_PROXY: "", all_proxy: "", NO_PROXY: "", no_proxy: "" };
    const child = spawnIn(HOST, [process.execPath, script, edgeUrl, temporaryDirectory()], {
      ...none,
      ...env,
    });
    agents.push(child);
    const dialogue = new Dialogue(child);
    return (verb: string) => dialogue.say(verb) as Promise<Proof>;
  }

  async function isolated(edgeUrl = `http://${CONTROL}:8787`): Promise<(verb: string) => Promise<Proof>> {
    const agent = startAgent(edgeUrl);
    expect(await agent("apply:network")).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    return agent;
  }

  async function send(namespace: string, order: object): Promise<number> {
    const script = new URL("./exceptions-send.ts", import.meta.url).pathname;
    const net = `--net=/run/netns/${namespace}`;
    const { code, stdout, stderr } = await runCommand(
      ["nsenter", net, process.execPath, script, JSON.stringify(order)],
      "",
    );
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }

  /**
   * Sends datagrams to port 67. Returns the number of datagrams that arrived at the peer, and the number of
   * echoes that came back to port 68.
   */
  async function dhcp(to: string, { count = 30, bytes = 300, from = 68, port = 67 } = {}) {
    await peer.say("reset");
    const back = await send(HOST, { udp: { bind: HOST_ADDRESS, from, to, port, count, bytes } });
    return { arrived: await peer.say("taken"), back };
  }

  test("DHCP cannot carry data to a peer on the link or beyond it, and sends only a few packets to broadcast", async () => {
    // Without isolation, the same packets form a two-way channel. This check proves that the test can detect
    // such a channel.
    expect(await dhcp(PEER)).toEqual({ arrived: 30, back: 30 });
    expect(await dhcp(FAR)).toEqual({ arrived: 30, back: 30 });
    await isolated();
    for (const to of [PEER, FAR, CONTROL, "10.87.0.255"])
      expect([to, await dhcp(to)]).toEqual([to, { arrived: 0, back: 0 }]);
    expect(await dhcp("255.255.255.255", { bytes: 600 })).toEqual({ arrived: 0, back: 0 });
    expect(await dhcp("255.255.255.255", { from: 69 })).toEqual({ arrived: 0, back: 0 });
    const { arrived } = await dhcp("255.255.255.255", { count: 60 });
    expect(arrived).toBeGreaterThanOrEqual(10);
    expect(arrived).toBeLessThanOrEqual(12);
  }, 60_000);

  /** Returns the number of datagrams from port 67 to port 68 of the host that the host's rules accept. */
  async function dhcpIn(bind: string, count = 10): Promise<number> {
    const of = `udp sport 67 udp dport 68 ip saddr ${bind}`;
    return countedAt(HOST, of, () =>
      send(NET, { udp: { bind, from: 67, to: HOST_ADDRESS, port: 68, count, bytes: 300 } }),
    );
  }

  test("DHCP responses are accepted from the link only, up to a limit", async () => {
    expect([await dhcpIn(PEER), await dhcpIn(FAR)]).toEqual([10, 10]);
    await isolated();
    expect(await dhcpIn(FAR)).toBe(0);
    expect(await dhcpIn(PEER)).toBe(10);
    expect(await dhcpIn(PEER, 200)).toBeLessThanOrEqual(25);
  }, 60_000);

  /**
   * Runs `act` and returns the number of matching incoming packets. The counter sees only packets that the
   * isolation rules accept.
   */
  async function countedAt(namespace: string, match: string, act: () => Promise<unknown>): Promise<number> {
    const table = `table inet seen {
  counter got { }
  chain in { type filter hook input priority 10; ${match} counter name got; }
}
`;
    await mustRun(`ip netns exec ${namespace} nft -f -`, table);
    try {
      await act();
      const listed = await mustRun(`ip netns exec ${namespace} nft -j list counter inet seen got`);
      return JSON.parse(listed).nftables.find((each: { counter?: object }) => each.counter).counter.packets;
    } finally {
      await mustRun(`ip netns exec ${namespace} nft delete table inet seen`);
    }
  }

  const device = async (namespace: string, link: string): Promise<number> =>
    JSON.parse(await mustRun(`ip -n ${namespace} -j link show dev ${link}`))[0].ifindex;

  /**
   * Sends ICMPv6 packets and returns the number of packets that arrive. The kernel itself sends no packets of
   * this length, so its packets are not counted.
   */
  async function icmp6(
    way: "out" | "in",
    {
      type,
      to,
      hops = 255,
      count = 5,
      bytes = 50,
    }: { type: number; to: string; hops?: number; count?: number; bytes?: number },
  ): Promise<number> {
    const [from, at, link] = way === "out" ? [HOST, NET, `${ID}a`] : [NET, HOST, `${ID}b`];
    const match = `icmpv6 type ${type} meta length ${40 + bytes}`;
    const order = { icmp6: { type, to, hops, count, bytes, device: await device(from, link) } };
    return countedAt(at, match, () => send(from, order));
  }

  const [SOLICIT, ADVERT, ROUTER_ADVERT, MLD_QUERY, ECHO] = [135, 136, 134, 130, 128] as const;
  const ALL_NODES = "ff02::1";

  test("neighbour discovery cannot carry data beyond the link, and allows only a few small packets on it", async () => {
    for (const type of [SOLICIT, ADVERT, ECHO]) expect(await icmp6("out", { type, to: FAR6 })).toBe(5);
    await isolated();
    for (const type of [SOLICIT, ADVERT]) {
      expect([type, await icmp6("out", { type, to: FAR6 })]).toEqual([type, 0]);
      expect([type, await icmp6("out", { type, to: PEER6, hops: 64 })]).toEqual([type, 0]);
      expect([type, await icmp6("out", { type, to: PEER6, bytes: 60 })]).toEqual([type, 0]);
      expect([type, await icmp6("out", { type, to: PEER6 })]).toEqual([type, 5]);
      expect([type, await icmp6("out", { type, to: PEER_LINK_LOCAL })]).toEqual([type, 5]);
      const many = await icmp6("out", { type, to: PEER6, count: 200 });
      expect([type, many > 30 && many <= 62]).toEqual([type, true]);
    }
    // Unsolicited multicast, other ICMPv6 types, and multicast reports on a link without a router are
    // refused.
    expect(await icmp6("out", { type: SOLICIT, to: ALL_NODES })).toBe(0);
    expect(await icmp6("out", { type: ROUTER_ADVERT, to: ALL_NODES })).toBe(0);
    expect(await icmp6("out", { type: ECHO, to: PEER6 })).toBe(0);
    for (const type of [130, 131, 132, 143])
      expect([type, await icmp6("out", { type, to: PEER6, hops: 1 })]).toEqual([type, 0]);
    expect(await icmp6("out", { type: ADVERT, to: ALL_NODES, count: 1 })).toBeLessThanOrEqual(1);
  }, 60_000);

  test("neighbour discovery and multicast queries are accepted only from the link, and the host still finds its neighbours", async () => {
    await isolated();
    for (const type of [SOLICIT, ADVERT, ROUTER_ADVERT]) {
      expect([type, await icmp6("in", { type, to: HOST6 })]).toEqual([type, 5]);
      expect([type, await icmp6("in", { type, to: HOST6, hops: 254 })]).toEqual([type, 0]);
    }
    expect(await icmp6("in", { type: MLD_QUERY, to: HOST_LINK_LOCAL, hops: 1 })).toBe(5);
    expect(await icmp6("in", { type: MLD_QUERY, to: HOST_LINK_LOCAL, hops: 64 })).toBe(0);
    expect(await icmp6("in", { type: MLD_QUERY, to: HOST6, hops: 1 })).toBe(0);
    expect(await icmp6("in", { type: ECHO, to: HOST6 })).toBe(0);
  }, 60_000);

  test("the control plane stays reachable over IPv6 after both ends clear their neighbour tables", async () => {
    await isolated(`http://[${PEER6}]:8788`);
    for (const namespace of [HOST, NET]) await mustRun(`ip -n ${namespace} neigh flush all`);
    expect(await reaches(HOST, PEER6, 8788)).toBe(true);
    expect(await reaches(HOST, PEER6, 9000)).toBe(false);
  }, 60_000);

  test("a notrack rule neither cuts off the agent nor opens other connections", async () => {
    const notrack = (hook: string) => `chain ${hook} { type filter hook ${hook} priority raw; notrack; }`;
    await mustRun(
      `ip netns exec ${HOST} nft -f -`,
      `table inet host { ${notrack("prerouting")}\n${notrack("output")}\n}\n`,
    );
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
    await isolated();
    expect(await reaches(HOST, PEER, 9000)).toBe(false);
    expect(await reaches(HOST, CONTROL, 9000)).toBe(false);
  }, 60_000);

  test("an isolation with a control plane behind a VPN device fails and changes nothing", async () => {
    const ends = [
      { namespace: HOST, device: `${ID}t`, inner: "10.90.0.1", udp: [HOST_ADDRESS, "5000", PEER, "5001"] },
      { namespace: NET, device: `${ID}u`, inner: "10.90.0.9", udp: [PEER, "5001", HOST_ADDRESS, "5000"] },
    ];
    const script = new URL("./exceptions-tunnel.ts", import.meta.url).pathname;
    for (const { namespace, device, inner, udp } of ends) {
      const end = spawnIn(namespace, [process.execPath, script, device, ...udp]);
      agents.push(end);
      await new Dialogue(end).hear();
      await mustRun(`ip -n ${namespace} addr add ${inner}/24 dev ${device}`);
      await mustRun(`ip -n ${namespace} link set ${device} up`);
    }
    // The VPN works: the control plane responds through the VPN, both before and after the refused isolation.
    expect(await reaches(HOST, "10.90.0.9", 8788)).toBe(true);
    expect(await startAgent("http://10.90.0.9:8788")("apply:network")).toEqual({
      outcome: "failed",
      reason: `the control plane is reached through the VPN device ${ID}t, which mode network would block; give the host a route outside the VPN, or use mode stop-engines; nothing was changed`,
    });
    expect(await mustRun(`ip netns exec ${HOST} nft list ruleset`)).toBe("");
    expect(await reaches(HOST, "10.90.0.9", 8788)).toBe(true);
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
    // With a route outside the VPN, the isolation is applied and blocks the VPN.
    await isolated();
    expect(await reaches(HOST, "10.90.0.9", 8788)).toBe(false);
  }, 60_000);

  test("with a proxy, the proxy stays reachable and the address of the control plane itself does not", async () => {
    const url = `http://${FAR}:8788`;
    const agent = startAgent(url, { HTTP_PROXY: `http://${PROXY}:3128` });
    expect(await reaches(HOST, FAR, 8788)).toBe(true);
    expect(await agent("apply:network")).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    expect([await reaches(HOST, PROXY, 3128), await reaches(HOST, FAR, 8788)]).toEqual([true, false]);
    expect(await reaches(HOST, PEER, 9000)).toBe(false);
    expect((await agent("release:network")).outcome).toBe("applied");
    expect(await reaches(HOST, FAR, 8788)).toBe(true);
    // With NO_PROXY, the agent connects directly, so the direct address stays open.
    const direct = startAgent(url, { HTTP_PROXY: `http://${PROXY}:3128`, NO_PROXY: FAR });
    expect((await direct("apply:network")).outcome).toBe("applied");
    expect([await reaches(HOST, PROXY, 3128), await reaches(HOST, FAR, 8788)]).toEqual([false, true]);
  }, 60_000);

  test("an isolation works with a control plane whose name rotates through 60 addresses, twice in a row", async () => {
    for (let order = 0; order < 2; order++) {
      const agent = startAgent("http://control.test:8788");
      expect(await agent("apply:network")).toEqual({
        outcome: "applied",
        probes: { controlPlaneReachable: true, forbiddenBlocked: true },
      });
      for (let look = 0; look < 3; look++)
        expect(await agent("reassert:network")).toMatchObject({ outcome: "applied" });
      expect(await reaches(HOST, PEER, 9000)).toBe(false);
      expect((await agent("release:network")).outcome).toBe("applied");
    }
  }, 60_000);

  test("a name server removed from resolv.conf is blocked in the next check", async () => {
    const agent = await isolated();
    expect(await reaches(HOST, NAMES, 9000)).toBe(false);
    const rules = () => mustRun(`ip netns exec ${HOST} nft list chain inet lifecyclezero output`);
    expect(await rules()).toContain(`ip daddr ${NAMES} udp dport 53 accept`);
    // The agent has its own mount namespace. In this namespace, /etc/resolv.conf has this content.
    writeFileSync(`${RESOLV_CONF}/resolv.conf`, `nameserver ${PEER}\n`);
    try {
      await agent("reassert:network");
      expect(await rules()).toContain(`ip daddr ${PEER} udp dport 53 accept`);
      expect(await rules()).not.toContain(NAMES);
    } finally {
      writeFileSync(`${RESOLV_CONF}/resolv.conf`, `nameserver ${NAMES}\n`);
    }
  }, 60_000);
});
