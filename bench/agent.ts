import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMPILE_FLAGS } from "../agent/build.ts";
import { catalogue } from "../agent/catalog/list.ts";
import { beAlone } from "./alone.ts";
import { readArguments } from "./arguments.ts";
import { cpuSeconds, finish, median, round } from "./report.ts";
import { inScope, type Scope } from "./scope.ts";

/*
 * What the scanner costs a host with this many processes and engines: the time of the first and of a repeated
 * scan, the CPU share at the daemon's interval and the resident memory, of a binary compiled as the agent is.
 * Every engine is a process of its own that answers as a product of the catalogue does; all must be found.
 */

const { json, wholes } = readArguments(
  "agent",
  "One scan, and what scanning costs at the daemon's interval.",
  {
    processes: {
      min: 1,
      max: 4000,
      default: 400,
      says: "processes on the host, filled up with sleeping ones",
    },
    engines: { min: 1, max: 60, default: 20, says: "engines, each a server of its own" },
    interval: { min: 100, max: 60_000, default: 5000, says: "milliseconds between scans" },
    scans: { min: 2, max: 1000, default: 20, says: "scans after the first; the first ones also compile" },
  },
);

if (!(await beAlone())) console.log("no namespace to be had: the figures are of this host as it is");

type Scan = { durationMs: number; engines: { pid: number; id: string }[] };

const here = import.meta.dir;

/** Starts a program and gives its lines; the pipe is read until it ends. */
function start(scope: Scope, command: string[]) {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  scope.keep(() => child.kill());
  return { pid: child.pid, lines: linesOf(child.stdout) };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

async function startEngines(scope: Scope): Promise<Map<number, string>> {
  const served = catalogue.filter(({ fixtures }) => fixtures.positive.some(({ answers }) => answers));
  const expected = new Map<number, string>();
  for (const { id } of served.slice(0, wholes.engines)) {
    const { pid, lines } = start(scope, [process.execPath, join(here, "load/engine.ts"), id]);
    await lines.next();
    expected.set(pid, id);
  }
  return expected;
}

function fillUp(scope: Scope): number {
  const count = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
  for (let missing = wholes.processes - count(); missing > 0; missing -= 1) {
    const child = Bun.spawn(["sleep", "600"], { stdio: ["ignore", "ignore", "ignore"] });
    scope.keep(() => child.kill());
  }
  return count();
}

/** `RssAnon` is the process's own, `RssFile` unchanged pages of files (proc_pid_status(5)); `VmRSS` is all. */
const residentMb = (pid: number, field: "VmRSS" | "RssAnon" | "RssFile"): number => {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return round(Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / 1024, 1);
};

async function bench(scope: Scope) {
  if (process.platform !== "linux") throw new Error("this bench reads /proc and runs on Linux only");
  const directory = mkdtempSync(join(tmpdir(), "bench-agent-"));
  scope.keep(() => rmSync(directory, { recursive: true, force: true }));
  const binary = join(directory, "scan-loop");
  const compile = [
    process.execPath,
    "build",
    ...COMPILE_FLAGS,
    join(here, "load/scan-loop.ts"),
    "--outfile",
    binary,
  ];
  const compiled = Bun.spawnSync(compile, { stdout: "ignore", stderr: "inherit" });
  if (!compiled.success) throw new Error("the scanner did not compile");

  const expected = await startEngines(scope);
  const processes = fillUp(scope);
  const scanner = start(scope, [binary, String(wholes.interval)]);
  const next = async (): Promise<Scan> => JSON.parse((await scanner.lines.next()).value!) as Scan;
  const first = await next();
  const found = first.engines.filter(({ pid, id }) => expected.get(pid) === id).length;

  const rssFirstMb = residentMb(scanner.pid, "VmRSS");
  const cpuBefore = cpuSeconds(scanner.pid)!;
  const startedAtMs = performance.now();
  const repeats: number[] = [];
  for (let scan = 0; scan < wholes.scans; scan += 1) repeats.push((await next()).durationMs);
  const wallSeconds = (performance.now() - startedAtMs) / 1000;
  return {
    processes,
    engines: expected.size,
    found,
    firstScanMs: round(first.durationMs, 1),
    repeatScanMs: round(median(repeats), 1),
    firstCpuMs: round(cpuBefore * 1000),
    cpuPercent: round(((cpuSeconds(scanner.pid)! - cpuBefore) / wallSeconds) * 100, 3),
    rssMb: residentMb(scanner.pid, "VmRSS"),
    rssOwnMb: residentMb(scanner.pid, "RssAnon"),
    rssFileMb: residentMb(scanner.pid, "RssFile"),
    rssFirstMb,
  };
}

const result = await inScope(60 + (wholes.scans * wholes.interval) / 1000, bench);
console.log(`${result.processes} processes, ${result.found} of ${result.engines} engines found`);
console.log(`first scan ${result.firstScanMs} ms, repeated scan ${result.repeatScanMs} ms`);
console.log(`${result.firstCpuMs} ms of processor time to start and for the first scan`);
console.log(`${result.cpuPercent} % of a core at ${wholes.interval} ms`);
console.log(
  `${result.rssMb} MB resident: ${result.rssOwnMb} its own, ${result.rssFileMb} of files; ${result.rssFirstMb} after the first scan`,
);
finish(json, result);
process.exit(0);
