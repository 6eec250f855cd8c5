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
/** Error codes if a file system is full, over its quota, or read-only after a disk fault. */
const NOT_WRITABLE: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"]);

/**
 * `birth` distinguishes a process from a later process with the same pid, for example after a reboot or in a
 * container.
 */
const holder = z.object({ pid: z.int().min(1), birth: z.string() });
export type Holder = z.infer<typeof holder>;

export type LockDeps = {
  pid: number;
  /** A value unique to the process with this pid. Undefined if there is no such process. */
  birthOf: (pid: number) => string | undefined;
  sleep: (ms: number) => Promise<void>;
};

export type Lock = { ok: true; release: () => void } | { ok: false; holder: Holder };

/**
 * Locks a state directory for one daemon. Takes over the lock of a process that has ended. Throws
 * {@link StateFault} if the directory cannot be written.
 */
export async function acquireLock(directory: string, deps: LockDeps): Promise<Lock> {
  const path = join(directory, FILE);
  const self: Holder = { pid: deps.pid, birth: deps.birthOf(deps.pid) ?? "" };
  const release = (): void => {
    // If the lock cannot be removed, it contains the pid of an ended process, so the next start takes it
    // over.
    if (lockHolder(directory, deps)?.pid === self.pid) removeIfPossible(path);
  };
  const claim = `${path}.${self.pid}`;
  try {
    writeFileSync(claim, JSON.stringify(self), { mode: 0o600 });
  } catch (cause) {
    const living = lockHolder(directory, deps);
    if (living && living.pid !== self.pid) return { ok: false, holder: living };
    // On a full or broken disk, the daemon runs without a lock, because the host must still be scanned.
    if (NOT_WRITABLE.has(codeOf(cause))) {
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
  // Two processes can take over the lock at the same time. The last rename wins, and the other process sees
  // this after the pause.
  renameSync(claim, path);
  await deps.sleep(SETTLE_MS);
  const winner = lockHolder(directory, deps);
  if (winner && winner.pid !== self.pid) return { ok: false, holder: winner };
  return { ok: true, release };
}

/** The running process that holds the lock. Undefined if no process holds it. */
export function lockHolder(directory: string, deps: Pick<LockDeps, "birthOf">): Holder | undefined {
  const content = readIfThere(join(directory, FILE));
  if (content === undefined) return undefined;
  const parsed = holder.safeParse(parseOrUndefined(content));
  if (!parsed.success) return undefined;
  return deps.birthOf(parsed.data.pid) === parsed.data.birth ? parsed.data : undefined;
}

/** Links the claim to the path of the lock in one step (link(2)). Returns false if the path exists. */
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
 * The start time of a process. Together with its pid, it is unique while the host is up. Undefined if no
 * process has this pid. If the system does not report start times, the value is `alive`. In this case, a
 * later process with the same pid blocks the daemon until a person removes the lock file.
 */
export function processBirth(pid: number, platform: NodeJS.Platform): string | undefined {
  if (platform === "linux") return birthOnLinux(pid);
  if (!isAlive(pid)) return undefined;
  if (platform === "darwin") return birthOnDarwin(pid) ?? "alive";
  if (platform === "win32") return birthOnWindows(pid) ?? "alive";
  return "alive";
}

/** Boot id, and start time in ticks (proc_pid_stat(5), field 22). */
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

/** Start time (`lstart`) from ps(1), in a fixed language and time zone. */
function birthOnDarwin(pid: number): string | undefined {
  const { stdout } = spawnSync("/bin/ps", ["-o", "lstart=", "-p", String(pid)], {
    env: { LC_ALL: "C", TZ: "UTC0" },
    encoding: "utf8",
    timeout: 5000,
  });
  return stdout?.trim() || undefined;
}

const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;

/** Creation time in units of 100 ns. Source: learn.microsoft.com, GetProcessTimes. */
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
    const isKnown = symbols.GetProcessTimes(handle, ...addresses) !== 0;
    symbols.CloseHandle(handle);
    return isKnown ? String(birth[0]) : undefined;
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
