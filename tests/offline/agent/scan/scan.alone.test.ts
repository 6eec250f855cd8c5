import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { collector, type Engine, engine } from "../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

/*
 * Test setup: real processes with real sockets and mappings. Other processes of this machine may also be
 * engines, so each test checks only the processes that it started.
 */

const children: { kill(): void; stdin?: unknown }[] = [];
const directory = mkdtempSync(join(tmpdir(), "scan-"));

afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

const newScanner = () =>
  createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );

async function start(command: string[]): Promise<{ pid: number; line: string }> {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit", cwd: directory });
  children.push(child);
  // The test does not release the reader of the output stream, because a closed pipe would end some of the
  // processes.
  const { value, done } = await child.stdout.getReader().read();
  if (done) throw new Error(`${command[0]} ended before it was ready`);
  return { pid: child.pid, line: new TextDecoder().decode(value).trim() };
}

async function serve(specs: object[]): Promise<{ pid: number; ports: number[] }> {
  const script = join(import.meta.dir, "scan-server.ts");
  const { pid, line } = await start([process.execPath, script, JSON.stringify(specs)]);
  return { pid, ports: JSON.parse(line) as number[] };
}

const of = (result: ScanResult, pid: number): Engine[] => result.engines.filter((one) => one.pid === pid);

const tags = { name: "llama3:8b", digest: "a".repeat(64), size: 4_661_224_676 };
const details = {
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameter_size: "8.0B",
  quantization_level: "Q4_0",
};
const OLLAMA = {
  "/": { body: "Ollama is running" },
  "/api/version": { body: { version: "0.12.6" } },
  "/api/tags": {
    body: {
      models: [
        { ...tags, details },
        { ...tags, name: "phi:latest", details },
      ],
    },
  },
  "/api/ps": { body: { models: [{ ...tags, details, size_vram: 0 }] } },
};
const openaiList = (owner: string) => ({
  body: { object: "list", data: [{ id: "m", object: "model", created: 1, owned_by: owner }] },
});

describeUnless(missing("Linux"), "createScanner().scan()", () => {
  let result: ScanResult;
  const started = new Map<string, { pid: number; ports: number[] }>();

  beforeAll(async () => {
    const specs: Record<string, object[]> = {
      ollama: [{ kind: "http", answers: OLLAMA }],
      "ollama over TLS": [{ kind: "https", answers: OLLAMA }],
      "llama.cpp on IPv6": [
        { kind: "http", address: "::1", answers: { "/v1/models": openaiList("llamacpp") } },
      ],
      "vLLM with a token": [
        {
          kind: "http",
          answers: {
            "/v1/models": { status: 401, body: { error: "Unauthorized" } },
            "/metrics": { body: "# HELP vllm:num_requests_running n\n" },
          },
        },
      ],
      koboldcpp: [
        {
          kind: "http",
          answers: {
            ...OLLAMA,
            "/v1/models": openaiList("koboldcpp"),
            "/api/extra/version": { body: { result: "KoboldCpp", version: "1.98" } },
          },
        },
      ],
      "any address": [
        { kind: "http", address: "0.0.0.0", answers: { "/v1/models": openaiList("somebody") } },
      ],
      ordinary: [
        { kind: "http", answers: { "/health": { body: { status: "ok" } }, "/": { body: "Hello World!" } } },
        {
          kind: "http",
          answers: { "/": { headers: { server: "nginx/1.27.0" }, body: "<title>Welcome to nginx!</title>" } },
        },
        {
          kind: "http",
          answers: {
            "/": { status: 302, headers: { location: "/login" }, body: '<a href="/login">Found</a>.' },
            "/api/health": { body: { commit: "abc", database: "ok", version: "12.0.0" } },
            "/metrics": { body: "# HELP grafana_info x\ngrafana_info 1\n" },
          },
        },
        {
          kind: "http",
          answers: {
            "/": { status: 302, headers: { server: "TornadoServer/6.5", location: "/lab" } },
            "/api": { body: { version: "2.17.0" } },
            "/api/status": { status: 403, body: { message: "Forbidden" } },
          },
        },
        {
          kind: "http",
          answers: {
            "/": { status: 302, headers: { location: "/query" } },
            "/metrics": { body: "# HELP prometheus_build_info x\nprometheus_build_info 1\n" },
            "/-/healthy": { body: "Prometheus Server is Healthy.\n" },
          },
        },
        { kind: "http", answers: { "*": { body: "<!doctype html><title>My app</title>" } } },
        { kind: "http", answers: { "*": { status: 401, body: { error: "Unauthorized" } } } },
        {
          kind: "http",
          answers: { "*": { body: { status: "ok", version: "1.2.3", models: [], data: [] } } },
        },
        { kind: "mute" },
        { kind: "banner" },
      ],
    };
    for (const [name, spec] of Object.entries(specs)) started.set(name, await serve(spec));
    result = await newScanner().scan();
  });

  const found = (name: string): Engine[] => of(result, started.get(name)!.pid);
  const portOf = (name: string): number => started.get(name)!.ports[0]!;

  test("finds a server with Ollama's API on another port, with models on disk and loaded ones", () => {
    const [one, ...others] = found("ollama");
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      id: "ollama",
      kind: "inference-engine",
      version: "0.12.6",
      ports: [portOf("ollama")],
      bind: ["127.0.0.1"],
      auth: "open",
    });
    // Bun runs a script that responds like Ollama. An interpreter does not count as renamed.
    expect(one!.renamed).toBeUndefined();
    expect(one!.confidence).toBeGreaterThanOrEqual(90);
    const llama = {
      name: "llama3:8b",
      loaded: true,
      quantisation: "Q4_0",
      parameters: "8.0B",
      architecture: "llama",
    };
    expect(one!.models).toMatchObject([llama, { name: "phi:latest", loaded: false }]);
  });

  test("finds the server behind a self-signed certificate", () => {
    expect(found("ollama over TLS")).toMatchObject([{ id: "ollama", ports: [portOf("ollama over TLS")] }]);
  });

  test("finds a server that listens on IPv6 only", () => {
    expect(found("llama.cpp on IPv6")).toMatchObject([{ id: "llama-cpp", bind: ["::1"] }]);
  });

  test("accepts a 401 response as evidence: the engine is found and requires a credential", () => {
    expect(found("vLLM with a token")).toMatchObject([{ id: "vllm", auth: "required" }]);
  });

  test("reports KoboldCpp, which also offers Ollama's API, as KoboldCpp, with Ollama as evidence of weight 0", () => {
    const [one, ...others] = found("koboldcpp");
    expect(others).toEqual([]);
    expect(one!.id).toBe("koboldcpp");
    const noted = one!.evidence.filter(({ detail }) => detail.includes("also responds like Ollama"));
    expect(noted).toMatchObject([{ signal: "http", weight: 0 }]);
  });

  test("reports an unknown server with OpenAI's API as generic, bound to all addresses", () => {
    expect(found("any address")).toMatchObject([
      { id: "openai-compatible", kind: "generic", bind: ["0.0.0.0"], auth: "open", models: [{ name: "m" }] },
    ]);
  });

  test("reports nothing for ordinary servers, a silent socket and a port that is not HTTP", () => {
    expect(found("ordinary")).toEqual([]);
  });

  test("returns engines that pass the wire schema, with evidence that adds up to the confidence", () => {
    expect(z.array(engine).safeParse(result.engines).error).toBeUndefined();
    expect(z.array(collector).safeParse(result.collectors).error).toBeUndefined();
    for (const { evidence, confidence } of result.engines) {
      expect(
        Math.min(
          100,
          evidence.reduce((sum, { weight }) => sum + weight, 0),
        ),
      ).toBe(confidence);
    }
  });

  test("reports a listener that did not respond", () => {
    expect(result.collectors.find(({ name }) => name === "http")).toMatchObject({ status: "partial" });
  });

  test("names the local process that is connected to an engine, with its directory only if the setting allows it", async () => {
    const { port } = { port: portOf("ollama") };
    const program = `const s = await Bun.connect({ hostname: "127.0.0.1", port: ${port}, socket: { data() {} } });
      console.log("connected"); setTimeout(() => s.end(), 60_000);`;
    const { pid } = await start([process.execPath, "-e", program]);
    const scanner = newScanner();
    const quiet = of(await scanner.scan(), started.get("ollama")!.pid)[0]!.clients;
    expect(quiet.filter((client) => client.pid === pid)).toMatchObject([{ connections: 1 }]);
    expect(quiet.some((client) => "directory" in client)).toBe(false);
    const asked = of(
      await scanner.scan(undefined, { clientDirectories: true }),
      started.get("ollama")!.pid,
    )[0]!;
    expect(asked.clients.find((client) => client.pid === pid)?.directory).toBe("~");
  });

  test("does not probe an unchanged listener again", async () => {
    const { pid } = started.get("any address")!;
    const readers = systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [],
      clock: Date.now,
      elapsed: () => performance.now(),
    });
    let asked = 0;
    const scanner = createScanner({
      ...readers,
      probe: (target, ...rest) => {
        if (
          target.port === portOf("any address") ||
          started.get("ordinary")!.ports.slice(0, 8).includes(target.port)
        ) {
          asked += 1;
        }
        return readers.probe(target, ...rest);
      },
    });
    expect(of(await scanner.scan(), pid)).toHaveLength(1);
    const first = asked;
    expect(first).toBeGreaterThan(8);
    expect(of(await scanner.scan(), pid)).toHaveLength(1);
    expect(asked).toBe(first);
  });
});

describeUnless(missing("Linux"), "createScanner().scan() without any port", () => {
  const MAPPER = `import mmap, sys
f = open(sys.argv[1], "rb")
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
f.close()
print("ready", flush=True)
sys.stdin.read()
`;
  const bunMapper = (path: string) => `globalThis.m = Bun.mmap(${JSON.stringify(path)}, { shared: true });
    console.log("ready"); for await (const _ of process.stdin) {}`;

  async function map(path: string): Promise<number> {
    const python = Bun.which("python3");
    const command = python ? [python, "-c", MAPPER, path] : [process.execPath, "-e", bunMapper(path)];
    return (await start(command)).pid;
  }

  test("finds a GGUF named holiday-photos.dat mapped by an unrelated process and reads its header", async () => {
    const path = join(directory, "holiday-photos.dat");
    writeFileSync(
      path,
      ggufFile({ ...HOLIDAY_PHOTOS, "tokenizer.ggml.tokens": ["a"] }, { "blk.0": [2048, 32] }),
    );
    const pid = await map(path);
    const [one, ...others] = of(await newScanner().scan(), pid);
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      id: "unknown-weights",
      kind: "weights",
      name: "Program that reads model files",
      confidence: 55,
      ports: [],
      models: [
        {
          name: "TinyLlama 1.1B Chat",
          loaded: true,
          format: "gguf",
          architecture: "llama",
          parameters: "1.1B",
          quantisation: "Q4_K_M",
          licence: "apache-2.0",
        },
      ],
    });
    expect(one!.evidence[0]).toMatchObject({ signal: "weights" });
    expect(one!.renamed).toBeUndefined();
  });

  test("finds weights within two scans after a known process has mapped them", async () => {
    const path = join(directory, "later.bin");
    writeFileSync(path, ggufFile({ "general.architecture": "qwen2" }));
    const script = `import mmap, sys
print("ready", flush=True)
sys.stdin.readline()
f = open(sys.argv[1], "rb")
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
print("mapped", flush=True)
sys.stdin.read()
`;
    const python = Bun.which("python3");
    if (!python) throw new Error("this test needs python3 on the PATH");
    const child = Bun.spawn([python, "-c", script, path], { stdin: "pipe", stdout: "pipe" });
    children.push(child);
    const output = child.stdout.getReader();
    await output.read();
    const scanner = newScanner();
    expect(of(await scanner.scan(), child.pid)).toEqual([]);
    child.stdin.write("\n");
    child.stdin.flush();
    await output.read();
    await scanner.scan();
    expect(of(await scanner.scan(), child.pid)).toMatchObject([{ id: "unknown-weights" }]);
  });

  test("finds weights whose file was deleted after mapping, and ignores a file that is GGUF by name only", async () => {
    const gone = join(directory, "gone.tmp");
    const text = join(directory, "notes.gguf");
    writeFileSync(gone, ggufFile({ "general.architecture": "gemma3" }));
    writeFileSync(text, "these are only notes\n".repeat(400));
    const deleted = await map(gone);
    const notes = await map(text);
    rmSync(gone);
    const result = await newScanner().scan();
    expect(of(result, notes)).toEqual([]);
    const mappings = result.collectors.find(({ name }) => name === "weights");
    // map_files needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE. Without these capabilities, the scan has to
    // report that the file is not readable.
    if (process.getuid?.() === 0) expect(of(result, deleted)).toMatchObject([{ id: "unknown-weights" }]);
    else expect(mappings?.status).toBe("partial");
  });

  test("reports nothing for a service named llama-backup or an idle process named ollama", async () => {
    const pids: number[] = [];
    for (const name of ["llama-backup", "ollama", "jan"]) {
      const path = join(directory, name);
      copyFileSync(Bun.which("sleep")!, path);
      const child = Bun.spawn([path, "60"], { stdin: "ignore", stdout: "ignore" });
      children.push(child);
      pids.push(child.pid);
    }
    const result = await newScanner().scan();
    expect(result.engines.filter(({ pid }) => pid !== undefined && pids.includes(pid))).toEqual([]);
  });
});

test("a platform without collectors reports `unsupported`", async () => {
  const readers = systemReaders({
    platform: "plan9",
    procRoot: "/proc",
    selfPid: process.pid,
    homes: () => [],
    clock: Date.now,
    elapsed: () => performance.now(),
  });
  const { engines, collectors } = await createScanner(readers).scan();
  expect(engines).toEqual([]);
  expect(collectors.filter(({ status }) => status === "unsupported").length).toBeGreaterThan(0);
});

test("systemReaders().homes() lists home directories again after ten minutes, longest path first", () => {
  let now = 0;
  let people = ["/home/example.com", "/root"];
  const { homes } = systemReaders({
    platform: "plan9",
    procRoot: "/none",
    selfPid: process.pid,
    homes: () => people,
    clock: Date.now,
    elapsed: () => now,
  });
  const before = homes();
  expect(before).toEqual(["/home/example.com", "/root"]);
  people = ["/root", "/home/example.com", "/home/example.com/ada", "/root"];
  now = 599_999;
  expect(homes()).toBe(before);
  now = 600_000;
  const after = homes();
  expect(after).toEqual(["/home/example.com/ada", "/home/example.com", "/root"]);
  people = people.toReversed();
  now = 1_200_000;
  expect(homes()).toBe(after);
});
