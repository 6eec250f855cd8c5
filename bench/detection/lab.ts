import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../shared/wire/heartbeat.ts";
import { round } from "../harness/report.ts";
import type { Scope } from "../harness/scope.ts";
import { cacheFolder, folderOf } from "./cache.ts";
import { isInstalled } from "./install.ts";
import { modelPath } from "./model.ts";
import type { AiProgram, Program } from "./program.ts";
import { endProgram, programOf } from "./program-of-process.ts";
import { record } from "./record.ts";
import { type Failed, type Running, startProgram } from "./start.ts";
import { compareWithProgram, type Verdict } from "./verdict.ts";
import { startWatcher, type Watcher } from "./watcher.ts";

export type Stray = { id: string; name: string; pid?: number; detail: string };
export type LabResult = { verdicts: Verdict[]; failed: Failed[]; strays: Stray[]; scansMs: number[] };
export type LabOptions = {
  agent: string;
  atOnce: number;
  intervalMs: number;
  appearMsMax: number;
  recordTo: string;
};

const wantedOf = (program: Program): readonly string[] => (program as Partial<AiProgram>).wanted ?? [];

/** Starts the programs, several at a time. Then runs scans and compares the findings with each program. */
export async function runLab(
  scope: Scope,
  programs: readonly Program[],
  options: LabOptions,
): Promise<LabResult> {
  const result: LabResult = { verdicts: [], failed: [], strays: [], scansMs: [] };
  for (let at = 0; at < programs.length; at += options.atOnce)
    await runBatch(scope, programs.slice(at, at + options.atOnce), options, result);
  // Start failed programs again, one at a time, because some programs time out while the CPUs are busy.
  const again = result.failed.splice(0).map(({ program }) => program);
  for (const program of again) await runBatch(scope, [program], options, result);
  return result;
}

/**
 * Starts and ends the programs without a scan. This is for held-out programs, which must not be scanned
 * before the final measurement.
 */
export async function tryAll(
  scope: Scope,
  programs: readonly Program[],
  atOnce: number,
): Promise<{ up: string[]; failed: Failed[] }> {
  const up: string[] = [];
  const failed: Failed[] = [];
  for (let at = 0; at < programs.length; at += atOnce) {
    const batch = programs.slice(at, at + atOnce);
    const outcomes = await Promise.all(batch.map((program) => tryToStart(scope, program)));
    failed.push(...outcomes.filter((one) => "reason" in one));
    up.push(...outcomes.filter((one) => "ports" in one).map(({ program }) => program.name));
    await endAll(batch);
  }
  return { up, failed };
}

async function endAll(batch: readonly Program[]): Promise<void> {
  for (const { name } of batch) {
    const left = await endProgram(name);
    if (left.length > 0) console.error(`${name} still has running processes: ${left.join(", ")}`);
    rmSync(homeOf(name), { recursive: true, force: true });
  }
}

async function runBatch(
  scope: Scope,
  batch: readonly Program[],
  options: LabOptions,
  result: LabResult,
): Promise<void> {
  const watcher = startWatcher(scope, options.intervalMs);
  const outcomes = await Promise.all(batch.map((program) => tryToStart(scope, program)));
  const running = outcomes.filter((one) => "ports" in one);
  result.failed.push(...outcomes.filter((one) => "reason" in one));
  await appear(running, watcher, options.appearMsMax);
  await watcher.stop();

  const { engines, durationMs } = await scan(options.agent);
  result.scansMs.push(round(durationMs, 0));
  const owners = new Map<Engine, string | undefined>(
    engines.map((engine) => [engine, engine.pid === undefined ? undefined : programOf(engine.pid)]),
  );
  for (const one of running) {
    const wanted = wantedOf(one.program);
    const verdict = compareWithProgram(
      one,
      engines.filter((engine) => owners.get(engine) === one.program.name),
    );
    const firstAt = watcher.firstAt(one.program.name, wanted);
    const appearedMs = firstAt === undefined ? undefined : round(Math.max(0, firstAt - one.readyAtMs), 0);
    result.verdicts.push({ ...verdict, ...(appearedMs !== undefined && { appearedMs }) });
    if (options.recordTo) await record(options.recordTo, one, wanted);
  }
  const names = new Set(running.map(({ program }) => program.name));
  for (const [{ id, name, pid, evidence }, owner] of owners)
    if (owner === undefined || !names.has(owner))
      result.strays.push({
        id,
        name: owner ?? name,
        ...(pid !== undefined && { pid }),
        detail: evidence[0]?.detail ?? "",
      });
  await endAll(batch);
}

/**
 * Home folder of a program. The path is short, because the path of a unix socket has at most 107 bytes, and
 * some programs create their socket below their home folder.
 */
const homeOf = (name: string): string => join(cacheFolder(), "r", name);

async function tryToStart(scope: Scope, program: Program): Promise<Running | Failed> {
  if (!isInstalled(program.source)) return { program, reason: "not installed" };
  const home = homeOf(program.name);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  scope.keep(() => rmSync(home, { recursive: true, force: true }));
  try {
    return await startProgram(scope, program, {
      folder: folderOf(program.source),
      home,
      gguf: program.model ? modelPath() : "",
    });
  } catch (error) {
    return { program, reason: error instanceof Error ? error.message : String(error) };
  }
}

const LOOK_EVERY_MS = 250;

/** Waits until the watcher has reported all AI programs, at most for the time set by `--appear`. */
async function appear(running: readonly Running[], watcher: Watcher, msMax: number): Promise<void> {
  const deadline = performance.now() + msMax;
  const isNamed = ({ program }: Running) =>
    wantedOf(program).length === 0 || watcher.firstAt(program.name, wantedOf(program)) !== undefined;
  while (performance.now() < deadline && !running.every(isNamed)) await Bun.sleep(LOOK_EVERY_MS);
}

async function scan(agent: string): Promise<{ engines: Engine[]; durationMs: number }> {
  const child = Bun.spawn([agent, "scan", "--json", "--allow-partial"], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return JSON.parse(text);
}
