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
  /** The daemon that runs on the state directory now and has made its first heartbeat: its pid. */
  daemon: () => number | undefined;
};

export type Outcome = { ok: true } | { ok: false; reason: string };

/** How long a daemon may take from its start to its first heartbeat, on a machine that has other things to do. */
export const COME_UP_MS = 45_000;
const POLL_MS = 200;
/** A daemon that is still there after this did not just pass by. */
const STAYS_MS = 1000;
const RETRY_MS = 500;

/**
 * Puts the binary `from` in its place, installs the service, and waits for its daemon. One that was there before is
 * replaced in one step; if the new daemon does not come up, it is put back and started again, and where there was
 * none nothing is left behind. Never rejects for what a disk or a system may refuse.
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
    return { ok: false, reason: `${reason}; ${await goBack()}` };
  } catch (cause) {
    const reason = `cannot write ${options.executable} or its service (${codeOf(cause)})`;
    return { ok: false, reason: undo ? `${reason}; ${await goBack()}` : reason };
  }

  async function goBack(): Promise<string> {
    const quiet = { ...deps, print: () => {} };
    if (!hadOne) {
      await carryOut(kind.uninstall(), quiet);
      attempt(undo!);
      return "nothing of it was left behind";
    }
    const failed = deps.daemon();
    if (!attempt(undo!)) return "and the one before could not be put back";
    await carryOut({ ...plan, files: [] }, quiet);
    const reason = await comesUp(failed, quiet, comeUpMs);
    return reason === undefined
      ? "the one before runs again"
      : "the one before was put back but does not run";
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

/** Undefined when a daemon other than the one before came up and stays. */
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
  return `the new daemon made no heartbeat within ${withinMs / 1000} s`;
}

export type Replaced = {
  hadOne: boolean;
  /** Puts the old one back, or takes the new one away where there was none. */
  restore: () => void;
  /** Lets go of the old one. */
  settle: () => void;
};

/**
 * Gives `to` the content of `from`, whole or not at all. A daemon that runs at the moment keeps the file it was
 * started from, which only loses its name: on Windows, too, a running program may be renamed but not overwritten.
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
    restore: () => (hadOne ? giveBack(old, to) : void removeIfThere(to)),
    // On Windows the old daemon may still be ending; the next installation takes the file away.
    settle: () => void attempt(() => removeIfThere(old)),
  };
}

/**
 * Gives a file a second name, or on Windows, where the first of two names could not be given to another file while
 * the program runs, another one. False when there is no such file.
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

/** On Windows what runs there now must give up the name first. */
function giveBack(old: string, to: string): void {
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

/** Does what a plan says, and tells. Ends at the first thing that must be done and cannot. */
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
    return { ok: false, reason: `cannot write (${codeOf(cause)})` };
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
