import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { RunCommand } from "../platform/run-command.ts";
import { codeOf, isCode, removeIfThere } from "../platform/state-files.ts";
import type { Plan, ServiceKind, ServiceOptions, Step } from "./plan.ts";

export type InstallDeps = {
  platform: NodeJS.Platform;
  run: RunCommand;
  sleep: (ms: number) => Promise<void>;
  print: (line: string) => void;
  /**
   * Pid of the daemon that uses the state directory and has composed its first heartbeat. Undefined without such
   * a daemon.
   */
  daemon: () => number | undefined;
};

export type Outcome = { ok: true } | { ok: false; reason: string };

/**
 * Timeout in milliseconds from the start of a daemon to its first heartbeat. It is long enough for a busy
 * machine.
 */
const COME_UP_MS = 45_000;
const POLL_MS = 200;
/** Time in milliseconds after which a new daemon must still be running. */
const STAYS_MS = 1000;
const RETRY_MS = 500;

/**
 * Copies the binary `from` to its installation path, installs the service, and waits for its daemon. An
 * installed version is replaced in one step. If the new daemon does not start, the previous version is
 * restored and started. If there was no previous version, everything is removed. Errors of the disk or the
 * system are returned as a reason, and the promise never rejects.
 */
export async function installService(
  kind: ServiceKind,
  options: ServiceOptions,
  from: string,
  deps: InstallDeps,
  comeUpMs = COME_UP_MS,
): Promise<Outcome> {
  const plan = kind.install(options);
  const before = deps.daemon();
  let undo: (() => void) | undefined;
  let hadOne = false;
  try {
    const files = plan.files.map(({ path }) => ({ path, content: readBytes(path) }));
    const binary = replaceBinary(from, options.executable, deps.platform);
    const hadFile =
      plan.files.length > 0 ? files.some(({ content }) => content !== undefined) : binary.hadOne;
    hadOne = before !== undefined || hadFile;
    undo = () => {
      binary.restore();
      for (const { path, content } of files)
        if (content === undefined) removeIfThere(path);
        else writeFileSync(path, content);
    };
    const done = await carryOut(plan, deps);
    const reason = done.ok ? await comesUp(before, deps, comeUpMs) : done.reason;
    if (reason === undefined) {
      binary.settle();
      return { ok: true };
    }
    return { ok: false, reason: `${reason}; ${await rollBack()}` };
  } catch (cause) {
    const reason = `cannot write ${options.executable} or its service (${codeOf(cause)})`;
    return { ok: false, reason: undo ? `${reason}; ${await rollBack()}` : reason };
  }

  async function rollBack(): Promise<string> {
    const quiet = { ...deps, print: () => {} };
    if (!hadOne) {
      await carryOut(kind.uninstall(), quiet);
      attempt(undo!);
      return "everything was removed again";
    }
    const failed = deps.daemon();
    if (!attempt(undo!)) return "the previous version could not be restored";
    await carryOut({ ...plan, files: [] }, quiet);
    const reason = await comesUp(failed, quiet, comeUpMs);
    return reason === undefined
      ? "the previous version was restored and is running"
      : "the previous version was restored but is not running";
  }
}

function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

/** Waits for a new daemon. Returns a reason if no daemon starts, or if the daemon stops again. */
async function comesUp(
  before: number | undefined,
  { daemon, sleep }: InstallDeps,
  withinMs: number,
): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < withinMs; waitedMs += POLL_MS) {
    const pid = daemon();
    if (pid !== undefined && pid !== before) {
      await sleep(STAYS_MS);
      if (daemon() === pid) return undefined;
    }
    await sleep(POLL_MS);
  }
  return `the new daemon composed no heartbeat within ${withinMs / 1000} s`;
}

export type Replaced = {
  hadOne: boolean;
  /** Restores the old binary, or deletes the new one if there was no old binary. */
  restore: () => void;
  /** Deletes the old binary. */
  settle: () => void;
};

/**
 * Replaces the binary `to` with `from` in one step. A running daemon keeps its own file, which is renamed or
 * unlinked. Windows allows renaming a running program, but not overwriting it.
 */
export function replaceBinary(from: string, to: string, platform: NodeJS.Platform): Replaced {
  const [fresh, old] = [`${to}.new`, `${to}.old`];
  if (from === to) return { hadOne: true, restore: () => {}, settle: () => {} };
  mkdirSync(dirname(to), { recursive: true });
  try {
    copyFileSync(from, fresh, constants.COPYFILE_FICLONE);
    chmodSync(fresh, 0o755);
    sync(fresh);
  } catch (cause) {
    removeIfThere(fresh);
    throw cause;
  }
  let hadOne = false;
  try {
    hadOne = keepUnder(to, old, platform);
    renameSync(fresh, to);
  } catch (cause) {
    if (hadOne && !existsSync(to)) attempt(() => renameSync(old, to));
    attempt(() => removeIfThere(old));
    removeIfThere(fresh);
    throw cause;
  }
  return {
    hadOne,
    restore: () => (hadOne ? restoreBinary(old, to) : void removeIfThere(to)),
    // On Windows, the deletion fails while the old daemon still runs. The next installation then deletes the
    // file.
    settle: () => void attempt(() => removeIfThere(old)),
  };
}

/**
 * Keeps a file under a second name, as a hard link. On Windows, renames the file instead, because Windows
 * cannot replace a running program that has two names. Returns false if the file does not exist.
 */
function keepUnder(path: string, second: string, platform: NodeJS.Platform): boolean {
  attempt(() => removeIfThere(second));
  try {
    if (platform === "win32") renameSync(path, second);
    else linkSync(path, second);
    return true;
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return false;
    throw cause;
  }
}

/** Moves the old binary back. On Windows, first renames the new binary if it is running. */
function restoreBinary(old: string, to: string): void {
  const failed = `${to}.failed`;
  try {
    renameSync(old, to);
  } catch {
    attempt(() => removeIfThere(failed));
    renameSync(to, failed);
    renameSync(old, to);
  }
  attempt(() => removeIfThere(failed));
}

function sync(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readBytes(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return undefined;
    throw cause;
  }
}

/** Carries out a plan and prints each step. Stops when a step fails, unless the step is allowed to fail. */
export async function carryOut(
  plan: Plan,
  deps: Pick<InstallDeps, "run" | "print" | "sleep">,
): Promise<Outcome> {
  try {
    for (const directory of plan.directories) mkdirSync(directory, { recursive: true });
    for (const { path, content, mode, encoding } of plan.files) {
      writeFileSync(path, content, { encoding, mode });
      chmodSync(path, mode);
      deps.print(`wrote ${path}`);
    }
  } catch (cause) {
    return { ok: false, reason: `cannot write the service files (${codeOf(cause)})` };
  }
  for (const step of plan.commands) {
    const failure = await take(step, deps);
    if (failure !== undefined && !step.mayFail) return { ok: false, reason: failure };
  }
  for (const path of plan.removals) if (removeIfThere(path)) deps.print(`removed ${path}`);
  return { ok: true };
}

async function take(
  { command, tries = 1 }: Step,
  { run, print, sleep }: Pick<InstallDeps, "run" | "print" | "sleep">,
): Promise<string | undefined> {
  let failure: string | undefined;
  for (let count = 0; count < tries; count += 1) {
    if (count > 0) await sleep(RETRY_MS);
    const { code, stdout, stderr } = await run(command);
    if (code === 0) {
      print(`ran ${command.join(" ")}`);
      return undefined;
    }
    failure = `${command.join(" ")} failed: ${firstLine(stderr || stdout) || `code ${code}`}`;
  }
  return failure;
}

const firstLine = (text: string): string => text.trim().split("\n")[0]?.trim() ?? "";
