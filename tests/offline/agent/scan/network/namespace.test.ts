import { afterAll, beforeAll, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { createNamespaces } from "../../../../../agent/scan/network/namespaces.ts";
import { systemReaders } from "../../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../../agent/scan/scan.ts";
import type { Engine } from "../../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { namespaceId } from "../../../../support/run/namespace-id.ts";

/*
 * Test setup: a network namespace whose only interface is loopback, as in rootless containers and sandboxes.
 * Only a process inside the namespace can connect to its listeners. A decoy server listens on the same port
 * outside the namespace, so that the test can tell which server was probed.
 */
const lacking = missing("Linux", "root", "ip", "unshare", "setpriv");

const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
});

type Started = { pid: number; ports: number[] };
const INSIDE = ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

async function spawn(command: string[]): Promise<{ pid: number; line: string }> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const { value, done } = await child.stdout.getReader().read();
  if (done) throw new Error(`${command[0]} ended before it was ready`);
  return { pid: child.pid, line: new TextDecoder().decode(value).trim() };
}

async function serve(specs: object[], prefix: string[] = []): Promise<Started> {
  const script = join(import.meta.dir, "../scan-server.ts");
  const { pid, line } = await spawn([...prefix, process.execPath, script, JSON.stringify(specs)]);
  return { pid, ports: JSON.parse(line) as number[] };
}

/**
 * Returns a command that connects and sends data. With TCP_DEFER_ACCEPT, a server has no connection until its
 * client sends data.
 */
const connect = (port: number, address = "127.0.0.1"): string[] => [
  process.execPath,
  "-e",
  `const s = await Bun.connect({ hostname: "${address}", port: ${port}, socket: { data() {} } });
   s.write("GET "); console.log("connected"); setTimeout(() => s.end(), 60_000);`,
];

const OLLAMA = { "/": { body: "Ollama is running" }, "/api/version": { body: { version: "0.12.6" } } };
const LLAMA_CPP = {
  "/v1/models": {
    body: { object: "list", data: [{ id: "m", object: "model", created: 1, owned_by: "llamacpp" }] },
  },
};

const scanner = () =>
  createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );

describeUnless(lacking, "a scan with permission to enter network namespaces", () => {
  let inside: Started;
  let tls: Started;
  let decoy: Started;
  let result: ScanResult;
  const of = (pid: number): Engine[] => result.engines.filter((engine) => engine.pid === pid);

  beforeAll(async () => {
    inside = await serve([{ kind: "http", answers: OLLAMA }], INSIDE);
    tls = await serve([{ kind: "https", address: "::1", answers: OLLAMA }], INSIDE);
    decoy = await serve([{ kind: "http", port: inside.ports[0], answers: LLAMA_CPP }]);
    result = await scanner().scan();
  }, 30_000);

  test("probes the listener on loopback inside the namespace, and not the listener on the same port outside", () => {
    expect(of(inside.pid)).toMatchObject([
      { id: "ollama", version: "0.12.6", ports: inside.ports, bind: ["127.0.0.1"] },
    ]);
    expect(of(decoy.pid)).toMatchObject([{ id: "llama-cpp", ports: inside.ports, bind: ["127.0.0.1"] }]);
  });

  test("also probes over TLS and IPv6", () => {
    expect(of(tls.pid)).toMatchObject([{ id: "ollama", ports: tls.ports, bind: ["::1"] }]);
  });

  test("assigns clients of two loopback interfaces to the right listener", async () => {
    const enter = ["nsenter", `--net=/proc/${inside.pid}/ns/net`];
    const within = await spawn([...enter, ...connect(inside.ports[0]!)]);
    const without = await spawn(connect(decoy.ports[0]!));
    result = await scanner().scan();
    const clientsOf = (pid: number) => of(pid)[0]!.clients.map((client) => client.pid);
    expect(clientsOf(inside.pid)).toEqual([within.pid]);
    expect(clientsOf(decoy.pid)).toEqual([without.pid]);
  });

  test("without permission reports how many listeners were not probed, and probes no other address instead", async () => {
    const main = new URL("../../../../../agent/main.ts", import.meta.url).pathname;
    const drop = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"];
    const command = [...drop, process.execPath, main, "scan", "--json"];
    const scan = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const blind = JSON.parse(await new Response(scan.stdout).text()) as ScanResult;
    expect(blind.engines.filter(({ pid }) => pid === inside.pid)).toEqual([]);
    expect(blind.engines.filter(({ pid }) => pid === decoy.pid)).toMatchObject([{ id: "llama-cpp" }]);
    const listeners = blind.collectors.find(({ name }) => name === "listeners")!;
    expect(listeners.status).toBe("partial");
    expect(listeners.detail).toMatch(
      /did not probe \d+ listeners in other network namespaces: .*CAP_SYS_ADMIN/,
    );
  }, 20_000);
});

describeUnless(lacking, "createNamespaces().within()", () => {
  const home = () => readlinkSync("/proc/thread-self/ns/net");
  const namespaces = createNamespaces(() => {
    throw new Error("stranded");
  });
  let other: { pid: number; name: string };

  beforeAll(async () => {
    const { pid } = await serve([], INSIDE);
    other = { pid, name: readlinkSync(`/proc/${pid}/ns/net`) };
    expect(namespaces.isAllowed()).toBe(true);
  });

  test("runs the action in the namespace and returns afterwards, even if the action throws", () => {
    const before = home();
    expect(namespaces.within(other, home)).toBe(other.name);
    expect(home()).toBe(before);
    const fail = () =>
      namespaces.within(other, () => {
        throw new Error("no");
      });
    expect(fail).toThrow("no");
    expect(home()).toBe(before);
  });

  test("does not enter the namespace of a process that reuses a pid", () => {
    let ran = false;
    const mistaken = { pid: process.pid, name: other.name };
    const attempt = () =>
      namespaces.within(mistaken, () => {
        ran = true;
      });
    expect(attempt).toThrow("the namespace has changed");
    expect(ran).toBe(false);
  });
});

describeUnless(lacking, "a scan of a host in its own namespace", () => {
  /*
   * Test setup: the agent and the engine run in their own pid and network namespaces, so they do not see
   * other processes of this machine.
   */
  const id = namespaceId();
  const [host, elsewhere] = [`${id}h`, `${id}e`];
  const must = (line: string): void => {
    const { exitCode, stderr } = Bun.spawnSync(line.split(" "));
    if (exitCode !== 0) throw new Error(`${line}: ${stderr}`);
  };

  beforeAll(() => {
    for (const name of [host, elsewhere]) must(`ip netns add ${name}`);
    must(`ip link add ${id}a netns ${host} type veth peer name ${id}b netns ${elsewhere}`);
    must(`ip -n ${host} addr add 10.79.0.1/24 dev ${id}a`);
    must(`ip -n ${elsewhere} addr add 10.79.0.2/24 dev ${id}b`);
    for (const [name, link] of [
      [host, `${id}a`],
      [elsewhere, `${id}b`],
      [host, "lo"],
    ])
      must(`ip -n ${name} link set ${link} up`);
  });
  afterAll(() => {
    for (const name of [host, elsewhere]) Bun.spawnSync(["ip", "netns", "del", name]);
  });

  test("names a client on another host by its address, and a client on this host by its process", async () => {
    const main = new URL("../../../../../agent/main.ts", import.meta.url).pathname;
    const script = join(import.meta.dir, "../scan-server.ts");
    const specs = JSON.stringify([{ kind: "http", address: "0.0.0.0", answers: OLLAMA }]);
    // This test process is also a client of the engine.
    const client = `globalThis.socket = await Bun.connect({ hostname: '127.0.0.1', port: $port, socket: { data() {} } });
      await Bun.spawn([process.execPath, '$2', 'scan', '--json'], { stdout: 'inherit' }).exited;
      process.exit();`;
    const steps = `sleep 60 | "$0" "$1" "$3" & read port; exec "$0" -e "${client}"`;
    const inner = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"];
    const child = Bun.spawn(
      ["ip", "netns", "exec", host, ...inner, steps, process.execPath, script, main, specs],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    children.push(child);
    const output = child.stdout.getReader();
    const decoder = new TextDecoder();
    const [port] = JSON.parse(decoder.decode((await output.read()).value)) as number[];
    await spawn(["ip", "netns", "exec", elsewhere, ...connect(port!, "10.79.0.1")]);
    child.stdin.write(`${port}\n`);
    await child.stdin.flush();
    let text = "";
    for (let part = await output.read(); !part.done; part = await output.read())
      text += decoder.decode(part.value, { stream: true });
    const { engines } = JSON.parse(text) as ScanResult;
    expect(engines).toMatchObject([{ id: "ollama", ports: [port] }]);
    const [here, remote] = engines[0]!.clients.toSorted((a, b) =>
      (a.remote ?? "").localeCompare(b.remote ?? ""),
    );
    expect(engines[0]!.clients).toHaveLength(2);
    expect(here).toMatchObject({ connections: 1, executable: expect.stringContaining("bun") });
    expect(remote).toEqual({ remote: "10.79.0.2", connections: 1 });
  }, 40_000);
});
