import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { engine } from "../../../../shared/wire/heartbeat.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { randomLlama } from "../../../support/programs/random-llama.ts";
import { linesOf } from "../../../support/run/lines.ts";
import { ROOT } from "../../../support/stack.ts";
import { ggufFile } from "./scan-gguf.ts";

const directory = mkdtempSync(join(tmpdir(), "scan-unix-"));
const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

async function start(command: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    cwd: directory,
    env: { ...process.env, ...env },
  });
  children.push(child);
  const lines = linesOf(child.stdout);
  const rest: string[] = [];
  await new Promise<void>((resolve, reject) => {
    lines.once("close", () => reject(new Error(`${command.join(" ")} ended before it was ready`)));
    lines.once("line", () => {
      lines.on("line", (line) => rest.push(line));
      resolve();
    });
  });
  const heard = async (): Promise<string[]> => {
    const closed = new Promise((resolve) => lines.once("close", resolve));
    child.stdin.end();
    await closed;
    return rest;
  };
  return { pid: child.pid, heard };
}

const serve = (spec: object, prefix: string[] = []) =>
  start([...prefix, "python3", join(import.meta.dir, "unix-server.py"), JSON.stringify(spec)]);

async function scanned(): Promise<ScanResult> {
  const scanner = createScanner(
    systemReaders({
      platform: process.platform,
      procRoot: "/proc",
      selfPid: process.pid,
      homes: () => [directory],
      clock: Date.now,
      elapsed: () => performance.now(),
    }),
  );
  let result = await scanner.scan();
  for (let scans = 1; scans < 8 && result.waiting.length > 0; scans += 1) result = await scanner.scan();
  return result;
}
const of = ({ engines }: ScanResult, pid: number) => engines.filter((one) => one.pid === pid);

const OLLAMA = {
  "/": [200, "Ollama is running"],
  "/api/version": [200, { version: "0.12.6" }],
  "/api/tags": [200, { models: [] }],
};
const weights = join(directory, "model.bin");
writeFileSync(weights, ggufFile({ "general.architecture": "llama" }, { "token_embd.weight": [64, 64] }));

describeUnless(missing("Linux", "python3"), "a scan of unix sockets", () => {
  test("identifies servers at a path and at an abstract name, which have no port and no address", async () => {
    const byPath = await serve({ path: join(directory, "a.sock"), answers: OLLAMA, maps: weights });
    const abstract = `lz-${process.pid}.sock`;
    const byName = await serve({ abstract, answers: OLLAMA, maps: weights });
    const result = await scanned();
    for (const [{ pid }, name] of [
      [byPath, "a.sock"],
      [byName, `@${abstract}`],
    ] as const) {
      const [found] = of(result, pid);
      expect(engine.parse(found)).toMatchObject({ id: "ollama", version: "0.12.6", ports: [], bind: [] });
      expect(found!.evidence[0]).toMatchObject({
        signal: "http",
        weight: 90,
        detail: expect.stringContaining(`on unix socket ${name}: `),
      });
      // The evidence must not contain the directory of the socket.
      expect(JSON.stringify(found!.evidence)).not.toContain(directory);
      expect(result.targets.certain.map((one) => one.pid)).toContain(pid);
    }
    expect(result.collectors.find(({ name }) => name === "unix-sockets")).toMatchObject({ status: "ok" });
  }, 30_000);

  test("sends nothing to the socket of a process without other signs of an engine", async () => {
    const { pid, heard } = await serve({ path: join(directory, "b.sock"), answers: OLLAMA });
    expect(of(await scanned(), pid)).toEqual([]);
    expect(await heard()).toEqual([]);
  }, 30_000);

  test("rejects a response of a process that has replaced the socket of another process", async () => {
    const path = join(directory, "c.sock");
    const victim = await serve({ path, maps: weights });
    rmSync(path);
    const stranger = await serve({ path, answers: OLLAMA });
    const result = await scanned();
    expect(of(result, victim.pid).map(({ id }) => id)).toEqual(["unknown-weights"]);
    expect(of(result, stranger.pid)).toEqual([]);
    expect(await stranger.heard()).toEqual([]);
  }, 30_000);
});

describeUnless(missing("Linux", "python3", "root", "unshare"), "a scan of another network namespace", () => {
  test("probes an abstract name there, and also a path", async () => {
    const inside = ["unshare", "--net", "--"];
    const abstract = `inner-${process.pid}.sock`;
    const byName = await serve({ abstract, answers: OLLAMA, maps: weights }, inside);
    const byPath = await serve({ path: join(directory, "d.sock"), answers: OLLAMA, maps: weights }, inside);
    const result = await scanned();
    expect(of(result, byName.pid).map(({ id }) => id)).toEqual(["ollama"]);
    expect(of(result, byPath.pid).map(({ id }) => id)).toEqual(["ollama"]);
  }, 30_000);
});

const server = process.env.LZ_LLAMA_SERVER;
const llama = [...missing("Linux"), ...(server ? [] : ["a command in LZ_LLAMA_SERVER: docs/rules.md"])];

describeUnless(llama, "a scan of llama.cpp's own server", () => {
  const model = join(directory, "random.gguf");
  writeFileSync(model, randomLlama());
  const command = () =>
    server!.split(" ").map((word) => (/^\.?[\w.-]+\//.test(word) ? join(ROOT, word) : word));
  const common = ["--model", model, "--ctx-size", "256", "--threads", "1"];

  test("identifies it on a unix socket with a relative path", async () => {
    const { pid } = await start([...command(), ...common, "--host", "llama.sock"]);
    const [found] = of(await scanned(), pid);
    expect(found).toMatchObject({ id: "llama-cpp", auth: "open", ports: [], bind: [] });
    expect(found!.models).toMatchObject([{ name: "random.gguf", loaded: true }]);
    expect(found!.evidence.map(({ detail }) => detail)).toContain(
      "GET /props on unix socket llama.sock: llama.cpp's server properties",
    );
  }, 60_000);

  test("learns its models and that it is open, behind the path prefix of its command line", async () => {
    const { pid } = await start([...command(), ...common, "--host", "127.0.0.1", "--api-prefix", "/of/ada"]);
    const [found] = of(await scanned(), pid);
    expect(found).toMatchObject({ id: "llama-cpp", auth: "open", bind: ["127.0.0.1"] });
    expect(found!.evidence.map(({ detail }) => detail)).toContain(
      `GET /props on http port ${found!.ports[0]} behind its path prefix: llama.cpp's server properties`,
    );
    // The path prefix is part of the command line. The command line never leaves the host.
    expect(JSON.stringify(found)).not.toContain("/of/ada");
  }, 60_000);
});

const python = process.env.LZ_PYTHON ?? "python3";
const hasUvicorn = Bun.spawnSync([python, "-c", "import uvicorn"], { stderr: "ignore" }).exitCode === 0;
const uvicorn = [...missing("Linux"), ...(hasUvicorn ? [] : ["uvicorn of PyPI, in the Python of LZ_PYTHON"])];

describeUnless(uvicorn, "a scan of uvicorn", () => {
  test("identifies its application with --uds and --root-path", async () => {
    const app = [
      "asgi_model:app",
      "--app-dir",
      join(ROOT, "tests/support/programs"),
      "--uds",
      join(directory, "served"),
    ];
    // uvicorn prints its first line to standard error. The script therefore prints a line to standard output.
    const script = "import sys, uvicorn; print('ready', flush=True); sys.exit(uvicorn.main())";
    const command = [python, "-c", script, ...app, "--root-path", "/v", "--log-level", "critical"];
    const { pid } = await start(command, { MODEL: weights });
    let found = of(await scanned(), pid)[0];
    // The script prints its line before the server listens, so the test repeats the scan.
    for (let scans = 0; scans < 10 && found?.id !== "vllm"; scans += 1) found = of(await scanned(), pid)[0];
    expect(found).toMatchObject({ id: "vllm", ports: [], bind: [], auth: "open", models: [{ name: "m" }] });
    expect(found!.evidence[0]!.detail).toContain("on unix socket served");
  }, 60_000);
});
