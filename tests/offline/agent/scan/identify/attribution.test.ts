import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { isCertain } from "../../../../../agent/scan/identify/candidate.ts";
import { findCandidates } from "../../../../../agent/scan/identify/find-candidates.ts";
import { createClaimsOf } from "../../../../../agent/scan/identify/process-claims.ts";
import { createPortForwarders } from "../../../../../agent/scan/network/port-forwarders.ts";
import { systemReaders } from "../../../../../agent/scan/platform/system-readers.ts";
import type { Heard } from "../../../../../agent/scan/probe/probe-listeners.ts";
import { createScanner, type ScanResult } from "../../../../../agent/scan/scan.ts";
import type { FileFacts, Files } from "../../../../../agent/scan/system/files.ts";
import type { Forward, Listener, ProcessFacts, Snapshot } from "../../../../../agent/scan/system/host.ts";
import { createMounts } from "../../../../../agent/scan/system/mounts.ts";
import { missing } from "../../../../support/missing.ts";
import { ROOT } from "../../../../support/stack.ts";
import { ggufFile } from "../scan-gguf.ts";

/*
 * Tests for each row of the attribution table in docs/detection.md. They check whether another local user can
 * forge the attribute. If the kernel enforces the rule, the tests use real processes of two users.
 */

const NOBODY = 65_534;
const PYTHON = "/usr/bin/python3";
const SERVER = readFileSync(join(import.meta.dir, "attribution-server.py"), "utf8");
const UNIX_SERVER = readFileSync(join(import.meta.dir, "../unix-server.py"), "utf8");
const OLLAMA = JSON.stringify({
  "/": ["text/plain", "Ollama is running"],
  "/api/version": ["application/json", '{"version":"0.12.6"}'],
});

const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
});

type Started = { pid: number; port: number; child?: number };

async function start(command: readonly string[], as?: number): Promise<Started> {
  const user = as === undefined ? [] : ["setpriv", `--reuid=${as}`, `--regid=${as}`, "--clear-groups"];
  const spawned = Bun.spawn([...user, ...command], { stdin: "pipe", stdout: "pipe", cwd: "/" });
  children.push(spawned);
  const { value, done } = await spawned.stdout.getReader().read();
  if (done) throw new Error(`${command[0]} ended before it was ready`);
  return JSON.parse(new TextDecoder().decode(value)) as Started;
}

const scan = (): Promise<ScanResult> =>
  createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  ).scan();

const idsOf = ({ engines }: ScanResult, pid: number | undefined): string[] =>
  engines.filter((engine) => engine.pid === pid).map(({ id }) => id);

const byId = new Map(catalogue.map((entry) => [entry.id, entry]));
const claimsOf = createClaimsOf(catalogue);

/** Runs the detection on a host with these processes. Each listener responds like Ollama. */
function find(processes: ProcessFacts[], listeners: Listener[], more: Partial<Snapshot> = {}) {
  const trait = { path: "/", weight: "identity", says: "it names itself" } as const;
  const heard = listeners.map((listener): Heard => {
    const target = { address: "127.0.0.1", port: listener.port, tls: false };
    const judgement = { winner: { entry: byId.get("ollama")!, traits: [trait] }, runnersUp: [], hints: [] };
    return { listener, fingerprint: { target, judgement, auth: "open", models: [], settled: true } };
  });
  const snapshot: Snapshot = {
    processes: new Map(processes.map((one) => [one.pid, one])),
    listeners,
    weights: new Map(),
    libraries: new Map(),
    gpu: new Map(),
    collectors: [],
    ...more,
  };
  const claims = new Map(processes.map((one) => [one.pid, claimsOf(one, [])]));
  return findCandidates({ snapshot, catalogue: byId, heard, claims, selfPid: 1 });
}

const program = (pid: number, more: Partial<ProcessFacts> = {}): ProcessFacts => ({
  pid,
  parentPid: 1,
  key: `${pid}`,
  name: "app",
  argv: ["app"],
  executable: "/opt/app",
  uid: 1000,
  ...more,
});
const socket = (pid: number | undefined, more: Partial<Listener> = {}): Listener => ({
  key: `s${pid}${more.port ?? ""}`,
  address: "0.0.0.0",
  port: 8000,
  reachableAt: "127.0.0.1",
  uid: 1000,
  ...(pid !== undefined && { pid }),
  ...more,
});
const told = (candidates: ReturnType<typeof find>): string[] =>
  candidates.map((one) => `${one.id}@${one.root.pid}${isCertain(one) ? "" : " unsure"}`).sort();

/**
 * A fake `/proc/80` with the executable of a docker-proxy. The options override values that dockerd would
 * have set.
 */
function forwarderOf(other: {
  files?: Record<string, Partial<FileFacts>>;
  uids?: string;
  user?: string;
  mounted?: string;
}) {
  const root = { isFile: false, isDirectory: true, sizeBytes: 1, modifiedMs: 0, ownerUid: 0, mode: 0o755 };
  const file = { ...root, isFile: true, isDirectory: false, identity: "8:7" };
  const facts: Record<string, FileFacts> = {
    "/proc/80/exe": file,
    "/usr/bin/docker-proxy": file,
    "/usr/bin": { ...root, identity: "8:3" },
    "/usr": { ...root, identity: "8:2" },
    "/": { ...root, identity: "8:1" },
  };
  const files = {
    facts: (path: string) => ({ ...facts[path]!, ...other.files?.[path] }),
    text: (path: string) =>
      path.endsWith("/mountinfo")
        ? `22 1 8:1 / / rw - ${other.mounted ?? "ext4"} x rw\n`
        : `Name:\tdocker-proxy\nUid:\t${other.uids ?? "0\t0\t0\t0"}\n`,
    link: (path: string) => (path.startsWith("/proc/80/ns/user") ? (other.user ?? "own") : "own"),
  } as unknown as Files;
  const argv = ["docker-proxy", "-container-ip", "172.17.0.2", "-container-port", "80"];
  const proxy = program(80, { executable: "/usr/bin/docker-proxy", argv, uid: 0 });
  const processes = new Map([[80, proxy]]);
  return createPortForwarders({
    files,
    procRoot: "/proc",
    mounts: createMounts({ files, procRoot: "/proc" }),
  })
    .read([socket(80)], processes)
    .get(80);
}

const BRIDGED = { network: "net:[2]", reachableAt: "172.17.0.2", port: 80 };
const DOCKER: Forward = { address: "172.17.0.2", port: 80 };

/** Starts a server on a unix socket. If `as` is given, the server runs as this user. */
async function startUnix(spec: object, as?: number): Promise<number> {
  const user = as === undefined ? [] : ["setpriv", `--reuid=${as}`, `--regid=${as}`, "--clear-groups"];
  const command = [...user, PYTHON, "-c", UNIX_SERVER, JSON.stringify(spec)];
  const spawned = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", cwd: "/" });
  children.push(spawned);
  const { done } = await spawned.stdout.getReader().read();
  if (done) throw new Error("the server ended before it was ready");
  return spawned.pid;
}

/** The tests, keyed by the first column of the table. */
const ROWS: Record<string, () => void | Promise<void>> = {
  "answers at a socket": async () => {
    const victim = await start([PYTHON, "-c", SERVER, "{}"]);
    const proxy = ["-container-ip", "127.0.0.1", "-container-port", String(victim.port)];
    const named = ["bash", "-c", 'exec -a /usr/bin/docker-proxy "$0" "$@"', PYTHON];
    const attacker = await start(
      [...named, "-c", `import sys; argv = sys.argv; sys.argv = argv[:2]\n${SERVER}`, OLLAMA, ...proxy],
      NOBODY,
    );
    const result = await scan();
    expect([idsOf(result, victim.pid), idsOf(result, attacker.pid)]).toEqual([[], ["ollama"]]);
    expect(result.targets.certain.some(({ pid }) => pid === victim.pid)).toBe(false);
  },
  "answers at a socket that several processes hold": async () => {
    const heir = [PYTHON, "-c", SERVER, OLLAMA];
    const server = await start([PYTHON, "-c", SERVER, "--as", String(NOBODY), ...heir]);
    const worker = await start([PYTHON, "-c", SERVER, "--as", "0", ...heir]);
    const result = await scan();
    // If a process of another user holds the same socket and runs the same program, it is a worker of the
    // server, as with nginx.
    expect([idsOf(result, server.pid), idsOf(result, server.child)]).toEqual([["ollama"], []]);
    expect([idsOf(result, worker.pid), idsOf(result, worker.child)]).toEqual([["ollama"], []]);
    const other = ["/bin/sh", "-c", 'exec 5<&"$LISTEN_ON"; echo; cat >/dev/null', OLLAMA];
    const stranger = await start([PYTHON, "-c", SERVER, "--as", String(NOBODY), ...other]);
    const { listeners } = await readers().observe();
    expect(listeners.find(({ port }) => port === stranger.port)?.pid).toBe(stranger.child);
  },
  "answers at a unix socket": async () => {
    const open = mkdtempSync(join(tmpdir(), "attribution-"));
    try {
      chmodSync(open, 0o777);
      const maps = join(open, "model.bin");
      writeFileSync(maps, ggufFile({ "general.architecture": "llama" }));
      const answers = { "/": [200, "Ollama is running"], "/api/version": [200, { version: "0.12.6" }] };
      const honest = await startUnix({ path: join(open, "a.sock"), answers, maps });
      const path = join(open, "b.sock");
      const victim = await startUnix({ path, maps });
      rmSync(path);
      await startUnix({ path, answers, maps }, NOBODY);
      const result = await scan();
      expect([idsOf(result, honest), idsOf(result, victim)]).toEqual([["ollama"], ["unknown-weights"]]);
      const certain = result.targets.certain.map(({ pid }) => pid);
      expect([certain.includes(honest), certain.includes(victim)]).toEqual([true, false]);
    } finally {
      rmSync(open, { recursive: true });
    }
  },
  "a port forwarder of Docker": () => {
    expect(forwarderOf({})).toEqual(DOCKER);
    const forged: Parameters<typeof forwarderOf>[0][] = [
      { files: { "/proc/80/exe": { ownerUid: 1000 } } },
      { files: { "/proc/80/exe": { mode: 0o775 } } },
      { files: { "/proc/80/exe": { identity: "9:9" } } },
      { files: { "/usr/bin": { mode: 0o1777 } } },
      { files: { "/usr": { ownerUid: 1000 } } },
      { uids: "1000\t0\t0\t0" },
      { uids: "1000\t1000\t1000\t1000" },
      { user: "user:[2]" },
      { mounted: "fuse.sshfs" },
    ];
    expect(forged.map(forwarderOf)).toEqual(forged.map(() => undefined));
    const proxy = program(80, { uid: 0 });
    const forwards = new Map([[80, DOCKER]]);
    const found = find([proxy, program(81)], [socket(80, { port: 8080 }), socket(81, BRIDGED)], { forwards });
    expect(told(found)).toEqual(["ollama@81 unsure"]);
  },
  "answers at the address of a container": () => {
    expect(told(find([program(81)], [socket(81, BRIDGED)]))).toEqual(["ollama@81 unsure"]);
    const shows = program(81, { executable: "/usr/bin/ollama", argv: ["/usr/bin/ollama", "serve"] });
    expect(told(find([shows], [socket(81, BRIDGED)]))).toEqual(["ollama@81"]);
  },
  "answers inside an entered network": () => {
    const inside = { network: "net:[2]", inside: { pid: 81, name: "net:[2]" } };
    expect(told(find([program(81)], [socket(81, inside)]))).toEqual(["ollama@81"]);
  },
  "answers at a socket without a readable owner": () => {
    const { executable: _unreadable, ...namesake } = program(90, {
      name: "ollama",
      argv: ["ollama", "serve"],
    });
    expect(told(find([namesake], [socket(undefined)]))).toEqual(["ollama@0 unsure"]);
  },
  "a child process": () => {
    const parent = program(100, { name: "ollama", executable: "/usr/bin/ollama", uid: 0 });
    const child = program(101, { parentPid: 100, name: "ollama", executable: "/tmp/ollama" });
    expect(told(find([parent, child], [socket(101)]))).toEqual(["ollama@101"]);
    expect(told(find([{ ...parent, uid: 1000 }, child], [socket(100, { port: 1 }), socket(101)]))).toEqual([
      "ollama@100",
    ]);
    const jan = program(100, { executable: "/usr/bin/Jan", name: "Jan", uid: 0 });
    const engine = program(101, {
      parentPid: 100,
      executable: "/home/a/.local/share/Jan/data/llamacpp/backends/b/llama-server",
    });
    expect(told(find([jan, engine], [socket(101)])).some((one) => one.includes("@100"))).toBe(false);
  },
  "name, command line and path": async () => {
    const named = ["bash", "-c", 'exec -a /usr/local/bin/ollama "$0" "$@"', PYTHON];
    const liar = await start([...named, "-c", SERVER, "{}"], NOBODY);
    const result = await scan();
    for (const { pid, user } of result.engines.filter((one) => one.pid === liar.pid))
      expect([pid, user]).toEqual([liar.pid, "nobody"]);
    // If a shell is between application and engine, the shell is the parent. The name of a child is not
    // evidence about its parent.
    expect(
      told(
        find(
          [program(1000, { uid: 0 }), program(1001, { parentPid: 1000, executable: "/usr/bin/ollama" })],
          [],
        ),
      ),
    ).toEqual([]);
  },
  "weights, libraries and GPU memory": () => {
    const path = "/home/eve/notes.txt";
    const weights = new Map([[70, [{ path, format: "gguf", sizeBytes: 9, how: "mapped" } as const]]]);
    const indexer = program(70, { uid: 0, executable: "/usr/bin/updatedb" });
    expect(told(find([indexer], [], { weights }))).toEqual(["unknown-weights@70 unsure"]);
    const gpu = new Map([[70, { bytes: 1e9 }]]);
    expect(told(find([indexer], [], { weights, gpu }))).toEqual(["unknown-weights@70"]);
  },
  "weights concluded from amounts of memory": () => {
    // A service that uses ONNX Runtime and has received a large file from another user.
    const service = program(71, { uid: 0, executable: "/srv/app/server" });
    const libraries = new Map([[71, ["/srv/app/libonnxruntime.so.1"]]]);
    const amounts = { heldBytes: 2 ** 29, readBytes: 2 ** 29, mapsGpu: true, earlier: [], nearby: [] };
    const anonymous = new Map([[71, amounts]]);
    expect(told(find([service], [], { libraries, anonymous }))).toEqual(["unknown-weights@71 unsure"]);
  },
  clients: async () => {
    const engine = await start([PYTHON, "-c", SERVER, OLLAMA]);
    const connecting = `import socket,sys,json,os
s = socket.create_connection(("127.0.0.1", ${engine.port})); print(json.dumps({"pid": os.getpid(), "port": 0}), flush=True); sys.stdin.read()`;
    const named = ["bash", "-c", 'exec -a /usr/bin/cursor "$0" "$@"', PYTHON];
    const client = await start([...named, "-c", connecting], NOBODY);
    const one = (await scan()).engines.find(({ pid }) => pid === engine.pid);
    expect(one?.clients.map(({ pid }) => pid)).toEqual([client.pid]);
  },
};

const readers = () =>
  systemReaders({
    platform: process.platform,
    procRoot: "/proc",
    selfPid: process.pid,
    homes: () => [],
    clock: Date.now,
    elapsed: () => performance.now(),
  }).host;

describe.skipIf(missing("Linux", "root", "setpriv", PYTHON).length > 0)(
  "who can forge an attribution:",
  () => {
    test.each(Object.keys(ROWS))("%s", async (row) => ROWS[row]!(), 30_000);
  },
);

test("each row of the table in docs/detection.md has its test", () => {
  const page = readFileSync(join(ROOT, "docs/detection.md"), "utf8");
  const section = page.split(/^## /m).find((part) => part.startsWith("Attribution")) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  const names = rows.slice(2).map((row) => row.split("|")[1]!.trim());
  expect(names).toEqual(Object.keys(ROWS));
});
