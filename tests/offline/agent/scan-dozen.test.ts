import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, linkSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue } from "../../../agent/catalog/list.ts";
import type { ScanResult } from "../../../agent/scan.ts";

/*
 * A host as a person would find it: a dozen products on ports that are not theirs, some under another name, some
 * behind TLS, some behind a token, beside servers that are none. Every server is a process of its own, and what it
 * answers is a fixture of the catalogue (its source is named there). The agent runs as a process too.
 */

const onLinux = process.platform === "linux" ? describe : describe.skip;

type Case = {
  id: string;
  /** Which positive fixture; those with a token answer 401. */
  fixture?: number;
  tls?: boolean;
  address?: string;
  /** Name of the executable; without one the server runs as bun does. */
  as?: string;
};

const DOZEN: readonly Case[] = [
  { id: "ollama", as: "postgres" },
  { id: "ollama", tls: true, address: "::1" },
  { id: "llama-cpp", as: "holiday-photos" },
  { id: "llama-cpp", fixture: 1 },
  { id: "vllm", fixture: 1, as: "nginx" },
  { id: "koboldcpp", tls: true },
  { id: "sglang", fixture: 1, tls: true },
  { id: "litellm", fixture: 1, address: "0.0.0.0" },
  { id: "localai", fixture: 1 },
  { id: "tabbyapi", tls: true, as: "backup" },
  { id: "comfyui" },
  { id: "open-webui" },
  { id: "tgi", address: "::1" },
  { id: "lm-studio" },
];

const page = (body: string) => ({ "*": { body } });
const ORDINARY: readonly { as?: string; spec: object }[] = [
  { as: "llama-backup", spec: { kind: "http", answers: { "/health": { body: { status: "ok" } } } } },
  { as: "ollama", spec: { kind: "http", answers: page("<!doctype html><title>Notes</title>") } },
  { spec: { kind: "http", answers: { "*": { status: 401, body: { error: "Unauthorized" } } } } },
  {
    spec: {
      kind: "https",
      answers: { "/": { headers: { server: "nginx/1.27.0" }, body: "Welcome to nginx!" } },
    },
  },
  { spec: { kind: "http", answers: { "/metrics": { body: "# HELP prometheus_build_info x\n" } } } },
  { as: "postgres", spec: { kind: "banner" } },
  { spec: { kind: "mute" } },
];

const directory = mkdtempSync(join(tmpdir(), "scan-dozen-"));
const children: { kill(): void }[] = [];

afterAll(() => {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
});

/** Bun under another name, in a directory of its own: a hard link where the file system allows it. */
function executable(name: string | undefined): string {
  if (name === undefined) return process.execPath;
  const path = join(mkdtempSync(join(directory, "bin-")), name);
  try {
    linkSync(realpathSync(process.execPath), path);
  } catch {
    copyFileSync(realpathSync(process.execPath), path);
  }
  return path;
}

async function serve(as: string | undefined, spec: object): Promise<{ pid: number; port: number }> {
  const script = join(import.meta.dir, "scan-server.ts");
  const command = [executable(as), script, JSON.stringify([spec])];
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit", cwd: directory });
  children.push(child);
  const { value, done } = await child.stdout.getReader().read();
  if (done) throw new Error(`${as ?? "the server"} ended before it was ready`);
  return { pid: child.pid, port: (JSON.parse(new TextDecoder().decode(value)) as number[])[0]! };
}

function specOf({ id, fixture = 0, tls, address }: Case): object {
  const { answers } = catalogue.find((entry) => entry.id === id)!.fixtures.positive[fixture]!;
  return { kind: tls ? "https" : "http", ...(address && { address }), answers };
}

onLinux("lz-agent scan --json", () => {
  const engines: { wanted: Case; pid: number; port: number }[] = [];
  const ordinary: number[] = [];
  let result: ScanResult;

  beforeAll(async () => {
    const started = DOZEN.map(async (wanted) => {
      engines.push({ wanted, ...(await serve(wanted.as, specOf(wanted))) });
    });
    const others = ORDINARY.map(async ({ as, spec }) => void ordinary.push((await serve(as, spec)).pid));
    await Promise.all([...started, ...others]);
    const main = new URL("../../../agent/main.ts", import.meta.url).pathname;
    const scan = Bun.spawn([process.execPath, main, "scan", "--json"], { stdout: "pipe", stderr: "inherit" });
    result = JSON.parse(await new Response(scan.stdout).text()) as ScanResult;
  }, 60_000);

  test("names each of a dozen engines on random ports: renamed, behind TLS, behind a token", () => {
    const ofPid = (pid: number) => result.engines.filter((one) => one.pid === pid);
    const found = engines.map(({ pid }) => ofPid(pid).map(({ id, ports }) => ({ id, ports })));
    expect(found).toEqual(engines.map(({ wanted, port }) => [{ id: wanted.id, ports: [port] }]));
    for (const { wanted, pid } of engines) {
      const [engine] = ofPid(pid);
      expect(engine!.confidence).toBeGreaterThanOrEqual(60);
      if (wanted.as !== undefined) expect(engine).toMatchObject({ renamed: true });
      if (wanted.fixture === 1) expect(engine).toMatchObject({ auth: "required" });
      if (wanted.tls) expect(engine!.evidence.some(({ detail }) => detail.includes("https"))).toBe(true);
    }
  });

  test("names nothing else of the processes beside them, nor itself", () => {
    const mine = new Set([...engines.map(({ pid }) => pid), ...ordinary]);
    const named = result.engines
      .filter(({ pid }) => pid !== undefined && mine.has(pid))
      .map(({ pid }) => pid);
    expect(named.toSorted()).toEqual(engines.map(({ pid }) => pid).toSorted());
  });
});
