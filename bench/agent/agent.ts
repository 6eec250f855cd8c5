import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../agent/catalogue/engines/list.ts";
import { freePort } from "../../local/free-port.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { COMPILE_FLAGS } from "../../tools/build-agent.ts";
import { readArguments } from "../harness/arguments.ts";
import { root, runProgram, scratchFolder, showFaults } from "../harness/backends.ts";
import { callAdmin, startAgent } from "../harness/enrolled-agent.ts";
import { enterOwnNamespaces } from "../harness/own-namespaces.ts";
import { treeCpuSeconds, treePssMb } from "../harness/process-tree.ts";
import { cpuSeconds, finish, median, round } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { answersOf } from "../load/engine-answers.ts";

/*
 * Measures the cost of the agent on a host with a number of processes and engines. The bench uses compiled
 * binaries.
 *
 * First, the bench measures the scanner alone: the duration of the first scan and of repeated scans. Then it
 * measures the whole daemon with a real edge. The daemon scans, signs, sends heartbeats and keeps a long poll
 * open. For the scanner and the daemon, the bench measures CPU share and resident memory, including the child
 * process that reads files.
 *
 * Every engine is a process that responds like a product of the catalogue. The bench reports how many engines
 * were found. At the end, one scan runs next to hostile servers that return dense JSON on every path, to
 * measure the scan's peak memory.
 */

const { json, numbers } = readArguments(
  "agent",
  "The cost of one scan, of the scanner and of the whole daemon.",
  {
    processes: {
      min: 1,
      max: 4000,
      default: 400,
      says: "number of processes on the host, including added sleeping processes",
    },
    engines: { min: 1, max: 60, default: 20, says: "number of engines, each a separate server" },
    interval: { min: 100, max: 60_000, default: 5000, says: "milliseconds between scans" },
    scans: {
      min: 2,
      max: 1000,
      default: 20,
      says: "number of scans after the first scan; early scans also compile code",
    },
  },
);

if (!(await enterOwnNamespaces()))
  console.log("cannot create namespaces: the figures include the processes of this host");

type Scan = { durationMs: number; engines: { pid: number; id: string }[] };

const loadFolder = join(root, "bench/load");

/** Starts a program and returns its output lines. Reads the output until the program closes it. */
function start(scope: Scope, command: string[]) {
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  scope.keep(() => child.kill());
  return { pid: child.pid, lines: linesOf(child.stdout), stop: () => child.kill() };
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
  const served = catalogue.filter((entry) => answersOf(entry));
  const expected = new Map<number, string>();
  for (const { id } of served.slice(0, numbers.engines)) {
    const { pid, lines } = start(scope, [process.execPath, join(loadFolder, "engine-server.ts"), id]);
    await lines.next();
    expected.set(pid, id);
  }
  return expected;
}

function fillUp(scope: Scope): number {
  const count = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
  for (let missing = numbers.processes - count(); missing > 0; missing -= 1) {
    const child = Bun.spawn(["sleep", "600"], { stdio: ["ignore", "ignore", "ignore"] });
    scope.keep(() => child.kill());
  }
  return count();
}

/**
 * Memory of a process in MB, by field of proc_pid_status(5). `RssAnon` is the process's own memory, `RssFile`
 * is unchanged pages of files, `VmRSS` is all resident memory, and `VmHWM` is the peak of `VmRSS`.
 */
const residentMb = (pid: number, field: "VmRSS" | "RssAnon" | "RssFile" | "VmHWM"): number => {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return round(Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? Number.NaN) / 1024, 1);
};

async function compile(scope: Scope, entry: string, binary: string): Promise<string> {
  const command = [process.execPath, "build", ...COMPILE_FLAGS, join(root, entry), "--outfile", binary];
  await runProgram(scope, `compiling ${entry}`, command);
  return binary;
}

/** CPU share of a process and its children during some work, in percent of a core. */
async function cpuPercentOver(pid: number, work: () => Promise<unknown>): Promise<number> {
  const before = treeCpuSeconds(pid);
  const startedAtMs = performance.now();
  await work();
  const wallSeconds = (performance.now() - startedAtMs) / 1000;
  return round(((treeCpuSeconds(pid) - before) / wallSeconds) * 100, 3);
}

const PSS_EVERY_MS = 250;

/** Memory of a process and its children during some work, in MB: median and maximum. */
async function pssDuring(pid: number, work: () => Promise<unknown>) {
  const seen: number[] = [];
  const timer = setInterval(() => seen.push(treePssMb(pid)), PSS_EVERY_MS);
  await work().finally(() => clearInterval(timer));
  return { pssMb: round(median(seen), 1), pssMaxMb: round(Math.max(...seen), 1) };
}

const memoryOf = (pid: number) => ({
  rssMb: residentMb(pid, "VmRSS"),
  rssOwnMb: residentMb(pid, "RssAnon"),
  rssFileMb: residentMb(pid, "RssFile"),
});

async function measureScanner(scope: Scope, binary: string, expected: ReadonlyMap<number, string>) {
  const scanner = start(scope, [binary, String(numbers.interval)]);
  const next = async (): Promise<Scan> => JSON.parse((await scanner.lines.next()).value!) as Scan;
  const first = await next();
  const found = first.engines.filter(({ pid, id }) => expected.get(pid) === id).length;

  const firstCpuMs = round(cpuSeconds(scanner.pid)! * 1000);
  const repeats: number[] = [];
  const cpuPercent = await cpuPercentOver(scanner.pid, async () => {
    for (let scan = 0; scan < numbers.scans; scan += 1) repeats.push((await next()).durationMs);
  });
  const measured = {
    found,
    firstScanMs: round(first.durationMs, 1),
    repeatScanMs: round(median(repeats), 1),
    firstCpuMs,
    scanner: { cpuPercent, ...memoryOf(scanner.pid) },
  };
  scanner.stop();
  return measured;
}

/** Measures the daemon. The stack runs on the same host, so the scan includes its processes. */
async function measureDaemon(scope: Scope, binary: string, stack: Stack) {
  const { stage, assetId } = await startAgent(scope, {
    stack,
    command: [binary],
    folder: scratchFolder(scope),
    edgeUrl: stack.edgeUrl,
    intervalMs: numbers.interval,
  });
  await Bun.sleep(2 * numbers.interval);
  const cpuPercent = await cpuPercentOver(stage.pid, () => Bun.sleep(numbers.scans * numbers.interval));
  // CPU and memory are measured separately, because reading the memory costs CPU time.
  const pss = await pssDuring(stage.pid, () => Bun.sleep(2 * numbers.interval));
  const { presence } = (await callAdmin(stack, `/v1/assets/${assetId}`)) as {
    presence: { engines: unknown[] };
  };
  return { cpuPercent, ...memoryOf(stage.pid), ...pss, reported: presence.engines.length };
}

/** Peak memory of one scan next to hostile servers, in MB. */
async function measureHostile(scope: Scope, binary: string): Promise<number> {
  const servers = start(scope, [process.execPath, join(loadFolder, "hostile-servers.ts")]);
  await servers.lines.next();
  const scan = Bun.spawn([binary, "scan", "--json"], { stdout: "ignore", stderr: "inherit" });
  scope.keep(() => scan.kill());
  let peakMb = 0;
  while (scan.exitCode === null) {
    // The scan can end at any time, so its peak memory (`VmHWM`, proc_pid_status(5)) is read repeatedly.
    peakMb = Math.max(peakMb, readableMb(scan.pid, "VmHWM"));
    await Bun.sleep(50);
  }
  servers.stop();
  return peakMb;
}

const readableMb = (pid: number, field: "VmHWM"): number => {
  try {
    return residentMb(pid, field) || 0;
  } catch {
    return 0;
  }
};

async function bench(scope: Scope) {
  if (process.platform !== "linux") throw new Error("this bench reads /proc and runs on Linux only");
  const folder = scratchFolder(scope);
  const scanLoop = await compile(scope, "bench/load/scan-loop.ts", join(folder, "scan-loop"));
  const agent = await compile(scope, "agent/main.ts", join(folder, "lz-agent"));
  const port = await freePort();
  const where = { root, folder: join(folder, "stack"), port, runtime: "bun" } as const;
  const stack = await scope.start(
    () => startStack({ ...where, onLine: showFaults, onStep: () => {} }),
    ({ stop }) => stop(),
  );
  const expected = await startEngines(scope);
  const processes = fillUp(scope);
  const scanned = await measureScanner(scope, scanLoop, expected);
  const daemon = await measureDaemon(scope, agent, stack);
  const peakHostileMb = await measureHostile(scope, agent);
  return { processes, engines: expected.size, ...scanned, ...daemon, peakHostileMb };
}

const result = await inScope(120 + (2 * (numbers.scans + 3) * numbers.interval) / 1000, bench);
const { scanner } = result;
console.log(
  `${result.processes} processes, ${result.found} of ${result.engines} engines found, ${result.reported} reported`,
);
console.log(`first scan ${result.firstScanMs} ms, repeated scan ${result.repeatScanMs} ms`);
console.log(`${result.firstCpuMs} ms of CPU time for start and first scan`);
for (const [name, one] of Object.entries({ scanner, daemon: result })) {
  console.log(
    `${name}: ${one.cpuPercent} % of a core at ${numbers.interval} ms; ` +
      `${one.rssMb} MB resident: ${one.rssOwnMb} its own, ${one.rssFileMb} of files`,
  );
}
console.log(
  `daemon with its reader process: ${result.pssMb} MB, ${result.pssMaxMb} MB at most (proportional set size)`,
);
console.log(`${result.peakHostileMb} MB at most in a scan next to hostile servers`);
finish(json, result);
process.exit(0);
