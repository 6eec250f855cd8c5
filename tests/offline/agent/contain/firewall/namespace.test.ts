import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { Proof } from "../../../../../agent/contain/modes/enforcer.ts";
import { hostProcesses } from "../../../../../agent/contain/platform/linux.ts";
import { KEPT_RULES_FILE } from "../../../../../agent/contain/state/persisted-rules.ts";
import { containedUnit } from "../../../../../agent/install/systemd.ts";
import { runCommand } from "../../../../../agent/platform/run-command.ts";
import { timestamp } from "../../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { namespaceId } from "../../../../support/run/namespace-id.ts";
import { removeTemporaryDirectories, TOKEN, temporaryDirectory, until } from "../../report/send-edge.ts";
import { Dialogue, mustRun, type NamespaceProcess, reaches, spawnIn } from "./namespaces.ts";

/*
 * Four network namespaces: the host with the agent, a container behind the host, a bridged guest behind the
 * host, and a network with a control plane and a peer. The test changes nothing outside these namespaces.
 */
const ID = namespaceId();
const CONTAINER = `${ID}c`;
const HOST = `${ID}h`;
const GUEST = `${ID}g`;
const NET = `${ID}n`;
const CONTROL = "10.77.0.1";
const CONTROL6 = "fd77::1";
const PEER = "10.77.0.2";
const PEER6 = "fd77::2";
const HOST_ADDRESS = "10.77.0.100";
const HOST_ADDRESS6 = "fd77::100";
/**
 * Address on the other side of the host's bridge. The bridge is like the bridges for virtual machines. The
 * guest is behind the bridge.
 */
const BRIDGED = "10.79.0.2";
const BRIDGED_GUEST = "10.79.0.50";

const lacking = missing("Linux", "root", "ip", "nft", "nsenter", "setpriv", "bash", "python3");

const spawned: NamespaceProcess[] = [];

function started(namespace: string, command: readonly string[]): NamespaceProcess {
  const child = spawnIn(namespace, command);
  spawned.push(child);
  return child;
}

const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return ""; // The process had already ended.
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process had already ended.
  }
}

const rulesOf = async (): Promise<string> => mustRun(`ip netns exec ${HOST} nft --stateless list ruleset`);

/**
 * Starts the real enforcers inside the host. If a directory is given, the enforcers continue with the state
 * of an earlier agent.
 */
function startAgent(edgeUrl: string, engine: string[] = [], directory = temporaryDirectory()) {
  const script = new URL("./namespace-host.ts", import.meta.url).pathname;
  const command = [process.execPath, script, edgeUrl, directory, ...engine];
  const dialogue = new Dialogue(started(HOST, command));
  return {
    end: () => dialogue.end(),
    say: (line: string) => dialogue.say(line),
    prove: (line: string) => dialogue.say(line) as Promise<Proof>,
  };
}

describeUnless(lacking, "enforcement in network namespaces", () => {
  beforeAll(async () => {
    for (const namespace of [CONTAINER, GUEST, HOST, NET]) await mustRun(`ip netns add ${namespace}`);
    const commands = [
      `ip link add ${ID}a netns ${HOST} type veth peer name ${ID}b netns ${NET}`,
      `ip link add ${ID}d netns ${CONTAINER} type veth peer name ${ID}e netns ${HOST}`,
      ...[CONTAINER, HOST, NET].map((namespace) => `ip -n ${namespace} link set lo up`),
      `ip -n ${HOST} addr add ${HOST_ADDRESS}/24 dev ${ID}a`,
      `ip -n ${HOST} addr add ${HOST_ADDRESS6}/64 dev ${ID}a nodad`,
      `ip -n ${HOST} addr add 10.78.0.1/24 dev ${ID}e`,
      ...[`${CONTROL}/24`, `${PEER}/24`].map((address) => `ip -n ${NET} addr add ${address} dev ${ID}b`),
      ...[`${CONTROL6}/64`, `${PEER6}/64`].map(
        (address) => `ip -n ${NET} addr add ${address} dev ${ID}b nodad`,
      ),
      `ip -n ${CONTAINER} addr add 10.78.0.2/24 dev ${ID}d`,
      `ip -n ${HOST} link set ${ID}a up`,
      `ip -n ${HOST} link set ${ID}e up`,
      `ip -n ${NET} link set ${ID}b up`,
      `ip -n ${CONTAINER} link set ${ID}d up`,
      `ip -n ${CONTAINER} route add default via 10.78.0.1`,
      `ip -n ${NET} route add 10.78.0.0/24 via ${HOST_ADDRESS}`,
      `ip -n ${HOST} route add default via ${CONTROL}`,
      `ip -n ${HOST} addr add fd78::1/64 dev ${ID}e nodad`,
      `ip -n ${CONTAINER} addr add fd78::2/64 dev ${ID}d nodad`,
      `ip -n ${CONTAINER} route add default via fd78::1`,
      `ip -n ${NET} route add fd78::/64 via fd77::100`,
      `ip link add ${ID}p netns ${HOST} type veth peer name ${ID}q netns ${NET}`,
      `ip link add ${ID}r netns ${HOST} type veth peer name ${ID}s netns ${GUEST}`,
      `ip -n ${HOST} link add ${ID}br type bridge`,
      ...[`${ID}p`, `${ID}r`].map((link) => `ip -n ${HOST} link set ${link} master ${ID}br`),
      ...[`${ID}p`, `${ID}r`, `${ID}br`].map((link) => `ip -n ${HOST} link set ${link} up`),
      `ip -n ${NET} addr add ${BRIDGED}/24 dev ${ID}q`,
      `ip -n ${GUEST} addr add ${BRIDGED_GUEST}/24 dev ${ID}s`,
      `ip -n ${NET} link set ${ID}q up`,
      `ip -n ${GUEST} link set ${ID}s up`,
      `ip netns exec ${HOST} sysctl -q -w net.ipv4.ip_forward=1`,
      `ip netns exec ${HOST} sysctl -q -w net.ipv6.conf.all.forwarding=1`,
    ];
    for (const command of commands) await mustRun(command);
    const script = new URL("./namespace-peer.ts", import.meta.url).pathname;
    const peer = spawnIn(NET, [process.execPath, script, CONTROL, CONTROL6, PEER, PEER6, BRIDGED]);
    spawned.push(peer);
    await peer.stdout.getReader().read();
  }, 30_000);

  afterEach(async () => {
    const [peer, ...agents] = spawned.splice(0);
    for (const child of agents) {
      const below = hostProcesses().filter(({ parent }) => parent === child.pid);
      for (const { pid } of [{ pid: child.pid }, ...below]) killIfThere(pid);
    }
    if (peer) spawned.push(peer);
    await runCommand(["ip", "netns", "exec", HOST, "nft", "flush", "ruleset"]);
    removeTemporaryDirectories();
  });

  afterAll(async () => {
    for (const child of spawned) child.kill("SIGKILL");
    for (const namespace of [CONTAINER, GUEST, HOST, NET])
      await runCommand(["ip", "netns", "del", namespace]);
  });

  test("network: blocks everything except the control plane, cuts open connections and containers, and leaves no trace after the release", async () => {
    const agent = startAgent(`http://${CONTROL}:8787`);
    // The host's own firewall accepts everything. Packets that the agent's rules drop must still be dropped.
    await mustRun(
      `ip netns exec ${HOST} nft -f -`,
      "table inet own { chain out { type filter hook output priority 0; policy accept; accept\n}\n}\n",
    );
    const before = await rulesOf();
    const listener = spawnIn(HOST, [
      process.execPath,
      "-e",
      `Bun.listen({hostname:"::",port:7000,socket:{data(){}}})`,
    ]);
    spawned.push(listener);
    const lookAround = async () => {
      const [
        control,
        controlOfAnybody,
        controlOtherPort,
        peer,
        peer6,
        fromOutside,
        fromOutside6,
        fromContainer,
        fromContainer6,
        loopback,
      ] = await Promise.all([
        reaches(HOST, CONTROL, 8787),
        reaches(HOST, CONTROL, 8787, NOBODY),
        reaches(HOST, CONTROL, 9000),
        reaches(HOST, PEER, 9000),
        reaches(HOST, PEER6, 9000),
        reaches(NET, HOST_ADDRESS, 7000),
        reaches(NET, HOST_ADDRESS6, 7000),
        reaches(CONTAINER, PEER, 9000),
        reaches(CONTAINER, PEER6, 9000),
        reaches(HOST, "127.0.0.1", 7000),
      ]);
      return {
        ...{ control, controlOfAnybody, controlOtherPort, peer, peer6, fromOutside, fromOutside6 },
        ...{ fromContainer, fromContainer6, loopback },
      };
    };
    const free = {
      control: true,
      controlOfAnybody: true,
      controlOtherPort: false,
      peer: true,
      peer6: true,
      fromOutside: true,
      fromOutside6: true,
      fromContainer: true,
      fromContainer6: true,
      loopback: true,
    };
    await untilReached(NET, HOST_ADDRESS, 7000);
    expect(await lookAround()).toEqual(free);
    for (const address of [PEER, PEER6]) {
      expect(await agent.say(`open ${address}`)).toBe(true);
      expect(await agent.say(`echo ${address}`)).toBe(true);
    }

    const proof = await agent.prove("apply:network");
    expect(proof).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    for (const address of [PEER, PEER6]) expect(await agent.say(`echo ${address}`)).toBe(false);
    expect(await lookAround()).toEqual({
      control: true,
      controlOfAnybody: false,
      controlOtherPort: false,
      peer: false,
      peer6: false,
      fromOutside: false,
      fromOutside6: false,
      fromContainer: false,
      fromContainer6: false,
      loopback: true,
    });

    const released = await agent.prove("release:network");
    expect(released).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: null },
    });
    expect(await rulesOf()).toBe(before);
    expect(await lookAround()).toEqual(free);
  }, 60_000);

  test("network: restores rules that were deleted, flushed or extended, even after a restart of the agent", async () => {
    const agent = startAgent(`http://[${CONTROL6}]:8787`);
    await agent.prove("apply:network");
    const whole = await rulesOf();
    const rules = whole.split("\n").filter((line) => /^\t\t(?!type)/.test(line));
    const output = /chain output \{\n([^}]*)/.exec(whole)![1]!.split("\n").length - 2;
    expect(rules.length).toBeGreaterThan(30);
    const tampers: [string, string][] = [
      ["delete table inet lifecyclezero", "table inet lifecyclezero was removed"],
      ["flush chain inet lifecyclezero output", `rules removed: ${output}`],
      ["insert rule inet lifecyclezero output accept", "rules added: 1"],
      [`insert rule inet lifecyclezero output ip daddr ${PEER} tcp dport 9000 accept`, "rules added: 1"],
      ["chain inet lifecyclezero output { policy accept; }", "rules removed: 1, rules added: 1"],
      ["add chain inet lifecyclezero other", "chains or sets added or removed: 1"],
      ["add table inet lifecyclezero { flags dormant; }", "rules added: 1"],
    ];
    for (const [tamper, said] of tampers) {
      await mustRun(`ip netns exec ${HOST} nft -f -`, `${tamper}\n`);
      const repaired = `the isolation rules were modified (${said})`;
      const probes = { controlPlaneReachable: true, forbiddenBlocked: true };
      expect(await agent.prove("reassert:network")).toEqual({ outcome: "applied", probes, repaired });
      expect(await rulesOf()).toBe(whole);
      expect(await agent.prove("reassert:network")).toEqual({ outcome: "applied", probes });

      // A restarted agent cannot detect earlier changes of the rules, but the agent sends its own rules
      // again.
      await mustRun(`ip netns exec ${HOST} nft -f -`, `${tamper}\n`);
      const restarted = startAgent(`http://[${CONTROL6}]:8787`);
      expect(await restarted.prove("reassert:network")).toEqual({ outcome: "applied", probes });
      expect(await rulesOf()).toBe(whole);
      await restarted.end();
      expect({ tamper, reached: await reaches(HOST, PEER, 9000) }).toEqual({ tamper, reached: false });
      expect(await reaches(HOST, PEER6, 9000)).toBe(false);
    }
  }, 60_000);

  test("network: reports rules that were deleted and restored between two checks", async () => {
    const agent = startAgent(`http://${CONTROL}:8787`);
    const proof = await agent.prove("apply:network");
    expect(await agent.prove("reassert:network")).toEqual(proof);
    const rules = await mustRun(`ip netns exec ${HOST} nft --stateless list ruleset`);
    for (const again of [
      rules,
      await mustRun(`ip netns exec ${HOST} nft -s list table inet lifecyclezero`),
    ]) {
      const table = again === rules ? "flush ruleset\n" : "delete table inet lifecyclezero\n";
      await mustRun(`ip netns exec ${HOST} nft -f -`, table + again);
      const repaired = "the isolation rules were removed and restored between two checks";
      expect(await agent.prove("reassert:network")).toEqual({ ...proof, repaired });
      expect(await agent.prove("reassert:network")).toEqual(proof);
    }
  }, 60_000);

  test("network: cuts off a guest on a bridge of the host until the release, and leaves no trace afterwards", async () => {
    // Simulates a host without br_netfilter. That module passes bridged packets to the rules for IP.
    for (const rules of ["iptables", "ip6tables", "arptables"])
      await runCommand(`ip netns exec ${HOST} sysctl -q -w net.bridge.bridge-nf-call-${rules}=0`.split(" "));
    expect(await reaches(GUEST, BRIDGED, 9000)).toBe(true);
    const before = await rulesOf();
    const agent = startAgent(`http://${CONTROL}:8787`);
    await agent.prove("apply:network");
    expect(await reaches(GUEST, BRIDGED, 9000)).toBe(false);

    await mustRun(`ip netns exec ${HOST} nft delete table bridge lifecyclezero`);
    expect(await reaches(GUEST, BRIDGED, 9000)).toBe(true);
    const proof = await agent.prove("reassert:network");
    expect(proof.probes).toEqual({ controlPlaneReachable: true, forbiddenBlocked: true });
    expect(await reaches(GUEST, BRIDGED, 9000)).toBe(false);

    expect((await agent.prove("release:network")).outcome).toBe("applied");
    expect(await rulesOf()).toBe(before);
    expect(await reaches(GUEST, BRIDGED, 9000)).toBe(true);
  }, 60_000);

  test("network: is in force after a boot before the network and the agent start, but not after a release", async () => {
    const directory = temporaryDirectory();
    const kept = `${directory}/${KEPT_RULES_FILE}`;
    const agent = startAgent(`http://${CONTROL}:8787`, [], directory);
    await agent.prove("apply:network");
    const [, command] = /^ExecStart=(.+)$/m.exec(
      containedUnit({ executable: "", stateDirectory: directory }),
    )!;
    expect(command).toBe(`nft -f ${kept}`);

    // Simulates a boot. The kernel has no rules, and no link is up. The unit loads the rules first. Then the
    // links and routes are added.
    spawned.at(-1)!.kill("SIGKILL");
    await mustRun(`ip -n ${HOST} link set ${ID}a down`);
    await mustRun(`ip netns exec ${HOST} nft flush ruleset`);
    await mustRun(`ip netns exec ${HOST} ${command}`);
    await bringUp();
    expect(await reaches(HOST, PEER, 9000)).toBe(false);
    expect(await reaches(HOST, PEER6, 9000)).toBe(false);
    expect(await reaches(CONTAINER, PEER, 9000)).toBe(false);
    expect(await reaches(HOST, CONTROL, 8787)).toBe(true);

    const restarted = startAgent(`http://${CONTROL}:8787`, [], directory);
    expect((await restarted.prove("reassert:network")).probes).toEqual({
      controlPlaneReachable: true,
      forbiddenBlocked: true,
    });
    expect((await restarted.prove("release:network")).outcome).toBe("applied");
    expect(existsSync(kept)).toBe(false);
    expect(await rulesOf()).toBe("");
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
  }, 60_000);

  test("network: is rolled back if the control plane is unreachable immediately after the isolation", async () => {
    const agent = startAgent("http://10.77.0.9:8787");
    const proof = await agent.prove("apply:network");
    expect(proof).toEqual({
      outcome: "failed",
      reason:
        "the control plane was unreachable right after the rules were applied; the rules were rolled back",
    });
    expect(await rulesOf()).toBe("");
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
  }, 60_000);

  test("network: stays in force during a later outage of the control plane", async () => {
    const agent = startAgent(`http://${CONTROL}:8787`);
    await agent.prove("apply:network");
    const outage =
      "table inet outage { chain in { type filter hook input priority 0; tcp dport 8787 drop\n}\n}\n";
    await mustRun(`ip netns exec ${NET} nft -f -`, outage);
    try {
      const proof = await agent.prove("reassert:network");
      expect(proof.outcome).toBe("applied");
      expect(await reaches(HOST, CONTROL, 8787)).toBe(false);
      expect(await reaches(HOST, PEER, 9000)).toBe(false);
    } finally {
      await mustRun(`ip netns exec ${NET} nft delete table inet outage`);
    }
  }, 60_000);

  test("stop-engines: suspends the engine and its children, refuses its port, and resumes them at the release", async () => {
    const code = `Bun.spawn(["sleep","600"]); Bun.listen({hostname:"0.0.0.0",port:11434,socket:{data(){}}})`;
    const engine = spawnIn(HOST, [process.execPath, "-e", code]);
    spawned.push(engine);
    await untilReached(HOST, "127.0.0.1", 11434);
    const family = (): { isStopped: boolean }[] =>
      hostProcesses().filter(({ pid, parent }) => pid === engine.pid || parent === engine.pid);
    expect(family().map(({ isStopped }) => isStopped)).toEqual([false, false]);

    const agent = startAgent(`http://${CONTROL}:8787`, [String(engine.pid), "11434"]);
    const proof = await agent.prove("apply:stop-engines");
    expect(proof).toEqual({
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    expect(family().map(({ isStopped }) => isStopped)).toEqual([true, true]);
    expect(await reaches(HOST, "127.0.0.1", 11434)).toBe(false);
    expect(await reaches(NET, HOST_ADDRESS, 11434)).toBe(false);
    expect(await reaches(HOST, PEER, 9000)).toBe(true);

    // An attacker resumes the engine and opens its port. The next check reverts both changes.
    process.kill(engine.pid, "SIGCONT");
    await mustRun(`ip netns exec ${HOST} nft -f -`, "delete table inet lifecyclezero\n");
    const repaired = `processes ${engine.pid} were resumed`;
    expect(await agent.prove("reassert:stop-engines")).toEqual({ ...proof, repaired });
    expect(await agent.prove("reassert:stop-engines")).toEqual(proof);
    expect(family().map(({ isStopped }) => isStopped)).toEqual([true, true]);

    expect((await agent.prove("release:stop-engines")).outcome).toBe("applied");
    expect(family().map(({ isStopped }) => isStopped)).toEqual([false, false]);
    expect(await reaches(HOST, "127.0.0.1", 11434)).toBe(true);
    expect(await rulesOf()).toBe("");
    for (const { pid } of hostProcesses().filter(({ parent }) => parent === engine.pid))
      process.kill(pid, "SIGKILL");
  }, 60_000);

  test("stop-engines: finds an engine that keeps replacing its process by its listening socket", async () => {
    const script = new URL("./hopping-engine.py", import.meta.url).pathname;
    const hopper = spawnIn(HOST, ["python3", script, "11436"]);
    spawned.push(hopper);
    const said = new TextDecoder().decode((await hopper.stdout.getReader().read()).value);
    const first = hostProcesses().find(({ pid }) => pid === Number(said))!;
    const startedAt = timestamp(first.startedAtMs!);
    await hopper.exited;
    const running = () => hostProcesses().filter(({ pid }) => commandOf(pid).includes(script));
    const agent = startAgent(`http://${CONTROL}:8787`, [String(first.pid), "11436", startedAt]);
    try {
      expect(await agent.prove("apply:stop-engines")).toEqual({
        outcome: "applied",
        probes: { controlPlaneReachable: true, forbiddenBlocked: true },
      });
      const stopped = running();
      expect(stopped.length).toBeGreaterThan(0);
      expect(stopped.every(({ isStopped }) => isStopped)).toBe(true);
      await Bun.sleep(1000); // This time would be enough for three hops if the process still ran.
      expect(running().map(({ pid }) => pid)).toEqual(stopped.map(({ pid }) => pid));
      expect((await agent.prove("reassert:stop-engines")).outcome).toBe("applied");
      expect((await agent.prove("release:stop-engines")).outcome).toBe("applied");
      await until("it hops again", () => !running().some(({ pid }) => pid === stopped[0]!.pid));
    } finally {
      for (const { pid } of running()) killIfThere(pid);
    }
  }, 60_000);

  test("stop-engines with the method terminate: terminates the engine and its children, and refuses its port until the release", async () => {
    const code = `process.on("SIGTERM",()=>{}); Bun.spawn(["sleep","600"]); Bun.listen({hostname:"0.0.0.0",port:11435,socket:{data(){}}})`;
    const engine = spawnIn(HOST, [process.execPath, "-e", code]);
    spawned.push(engine);
    await untilReached(HOST, "127.0.0.1", 11435);
    const family = hostProcesses().filter(({ pid, parent }) => pid === engine.pid || parent === engine.pid);
    expect(family).toHaveLength(2);

    const agent = startAgent(`http://${CONTROL}:8787`, [String(engine.pid), "11435"]);
    expect(await agent.prove("apply:terminate")).toEqual({
      outcome: "applied",
      reason: "2 processes were terminated",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    const left = hostProcesses();
    expect(
      family.filter((one) => left.some(({ pid, birth }) => pid === one.pid && birth === one.birth)),
    ).toEqual([]);

    // Starts the engine again. Its port is already refused before a scan names the engine.
    const again = spawnIn(HOST, [process.execPath, "-e", code]);
    spawned.push(again);
    await until("it runs again", () => hostProcesses().some(({ parent }) => parent === again.pid));
    expect(await reaches(HOST, "127.0.0.1", 11435)).toBe(false);

    expect((await agent.prove("release:terminate")).outcome).toBe("applied");
    await untilReached(HOST, "127.0.0.1", 11435);
    expect(await rulesOf()).toBe("");
    for (const { pid } of hostProcesses().filter(({ parent }) => parent === again.pid))
      process.kill(pid, "SIGKILL");
    process.kill(again.pid, "SIGKILL");
  }, 60_000);

  test("daemon: applies a directive, reports its proof through its own rules, survives SIGKILL, and is released", async () => {
    const edge = new Dialogue(
      started(NET, [process.execPath, new URL("./namespace-edge.ts", import.meta.url).pathname, CONTROL]),
    );
    const url = (await edge.hear()) as string;
    const state = `${temporaryDirectory()}/state`;
    const main = new URL("../../../../../agent/main.ts", import.meta.url).pathname;
    const agent = `ip netns exec ${HOST} ${process.execPath} ${main}`;
    await mustRun(
      `${agent} enroll --url ${url} --allow-http --token ${TOKEN} --employee ada --state ${state}`,
    );
    const run = () => {
      const daemon = spawnIn(HOST, [process.execPath, main, "run", "--state", state, "--interval", "1000"]);
      spawned.push(daemon);
      return daemon;
    };
    const first = run();
    const order = async (claims: object) =>
      (await edge.say(JSON.stringify(claims))) as { report: ContainmentReport };
    const isolated = await order({ generation: 1, action: "isolate", mode: "network" });
    expect(isolated.report).toMatchObject({
      action: "isolate",
      mode: "network",
      outcome: "applied",
      probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    });
    expect(await reaches(HOST, PEER, 9000)).toBe(false);

    first.kill("SIGKILL");
    await first.exited;
    await mustRun(`ip netns exec ${HOST} nft -f -`, "delete table inet lifecyclezero\n");
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
    run();
    await until(
      "the restarted agent has put the rules back",
      async () => !(await reaches(HOST, PEER, 9000)),
      15_000,
    );

    const released = await order({ generation: 2, action: "release", mode: "network" });
    expect(released.report).toMatchObject({ action: "release", outcome: "applied" });
    expect(await reaches(HOST, PEER, 9000)).toBe(true);
    expect(await rulesOf()).toBe("");
  }, 60_000);

  /** Brings up the link to the network. Restores the address and the route that were lost when the link went down. */
  async function bringUp(): Promise<void> {
    await mustRun(`ip -n ${HOST} link set ${ID}a up`);
    await runCommand(`ip -n ${HOST} addr add ${HOST_ADDRESS6}/64 dev ${ID}a nodad`.split(" "));
    await runCommand(`ip -n ${HOST} route add default via ${CONTROL}`.split(" "));
    await until("the control plane answers", () => reaches(HOST, CONTROL, 8787), 15_000);
  }

  async function untilReached(namespace: string, address: string, port: number): Promise<void> {
    await until(`${address}:${port} listens`, () => reaches(namespace, address, port), 15_000);
  }
});
