import type { Pointer } from "bun:ffi";
import { spawnSync } from "node:child_process";
import { linkSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  codeOf,
  isCode,
  readIfThere,
  remedyOf,
  removeIfPossible,
  removeIfThere,
  StateFault,
} from "../platform/state-files.ts";

const FILE = "lock";
const SETTLE_MS = 50;
/** A file system that is full, over its quota, or was made read-only after a fault of its disk. */
const TAKES_NOTHING: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"]);

/** `birth` tells a process from a later one with the same pid (after a reboot or in a container). */
const holder = z.object({ pid: z.int().min(1), birth: z.string() });
export type Holder = z.infer<typeof holder>;

export type LockDeps = {
  pid: number;
  /** Something only this very process has, undefined when there is no such process. */
  birthOf: (pid: number) => string | undefined;
  sleep: (ms: number) => Promise<void>;
};

export type Lock = { ok: true; release: () => void } | { ok: false; holder: Holder };

/** Lets one daemon at a time use a state directory. What a dead one left behind is taken over. */
export async function acquireLock(directory: string, deps: LockDeps): Promise<Lock> {
  const path = join(directory, FILE);
  const self: Holder = { pid: deps.pid, birth: deps.birthOf(deps.pid) ?? "" };
  const release = (): void => {
    // One that cannot be removed, on a disk that became read-only, names a dead process: the next start takes it over.
    if (lockHolder(directory, deps)?.pid === self.pid) removeIfPossible(path);
  };
  const claim = `${path}.${self.pid}`;
  try {
    writeFileSync(claim, JSON.stringify(self), { mode: 0o600 });
  } catch (cause) {
    const living = lockHolder(directory, deps);
    if (living && living.pid !== self.pid) return { ok: false, holder: living };
    // A disk that is full or broken must not blind a host: one daemon without a lock is better than none.
    if (TAKES_NOTHING.has(codeOf(cause))) {
      removeIfPossible(claim);
      return { ok: true, release: () => {} };
    }
    throw new StateFault(`cannot write to ${directory} (${codeOf(cause)}): ${remedyOf(codeOf(cause))}`, {
      cause,
    });
  }
  if (link(claim, path)) return { ok: true, release };
  const current = lockHolder(directory, deps);
  if (current && current.pid !== self.pid) {
    removeIfThere(claim);
    return { ok: false, holder: current };
  }
  // Two may take over at once: the rename that came last stands, and the other sees it after the pause.
  renameSync(claim, path);
  await deps.sleep(SETTLE_MS);
  const winner = lockHolder(directory, deps);
  if (winner && winner.pid !== self.pid) return { ok: false, holder: winner };
  return { ok: true, release };
}

/** The living process that holds the directory, if any. */
export function lockHolder(directory: string, deps: Pick<LockDeps, "birthOf">): Holder | undefined {
  const content = readIfThere(join(directory, FILE));
  if (content === undefined) return undefined;
  const parsed = holder.safeParse(parseOrUndefined(content));
  if (!parsed.success) return undefined;
  return deps.birthOf(parsed.data.pid) === parsed.data.birth ? parsed.data : undefined;
}

/** Gives the claim its public name, content and all, unless that name is taken (link(2)). */
function link(claim: string, path: string): boolean {
  try {
    linkSync(claim, path);
    removeIfThere(claim);
    return true;
  } catch (cause) {
    if (isCode(cause, "EEXIST")) return false;
    throw cause;
  }
}

function parseOrUndefined(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

/**
 * Something that only this process has while the host is up: when it was started. Undefined when there is no such
 * process. Where the system does not say, whether the pid lives: then one that was given to another program keeps
 * the lock until someone removes the file.
 */
export function processBirth(pid: number, platform: NodeJS.Platform): string | undefined {
  if (platform === "linux") return birthOnLinux(pid);
  if (!isAlive(pid)) return undefined;
  if (platform === "darwin") return birthOnDarwin(pid) ?? "alive";
  if (platform === "win32") return birthOnWindows(pid) ?? "alive";
  return "alive";
}

/** Boot id and start time in ticks (proc_pid_stat(5), field 22). */
function birthOnLinux(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}.${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** ps(1), `lstart`; the same words whatever the language and the time zone of who asks. */
function birthOnDarwin(pid: number): string | undefined {
  const { stdout } = spawnSync("/bin/ps", ["-o", "lstart=", "-p", String(pid)], {
    env: { LC_ALL: "C", TZ: "UTC0" },
    encoding: "utf8",
    timeout: 5000,
  });
  return stdout?.trim() || undefined;
}

const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;

/** GetProcessTimes (learn.microsoft.com): creation time, in units of 100 ns. */
function birthOnWindows(pid: number): string | undefined {
  const { dlopen, ptr } = require("bun:ffi") as typeof import("bun:ffi");
  const { symbols, close } = dlopen("kernel32.dll", {
    OpenProcess: { args: ["u32", "i32", "u32"], returns: "ptr" },
    GetProcessTimes: { args: ["ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
    CloseHandle: { args: ["ptr"], returns: "i32" },
  });
  try {
    const handle = symbols.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid);
    if (handle === null) return undefined;
    const [birth, ...others] = [1, 2, 3, 4].map(() => new BigUint64Array(1)) as [BigUint64Array];
    const addresses = [birth, ...others].map((field) => ptr(field)) as [Pointer, Pointer, Pointer, Pointer];
    const isTold = symbols.GetProcessTimes(handle, ...addresses) !== 0;
    symbols.CloseHandle(handle);
    return isTold ? String(birth[0]) : undefined;
  } finally {
    close();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return isCode(cause, "EPERM");
  }
}
