import { linkSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { isCode, readIfThere, removeIfThere } from "./disk.ts";

const FILE = "lock";
const SETTLE_MS = 50;

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
    if (lockHolder(directory, deps)?.pid === self.pid) removeIfThere(path);
  };
  const claim = `${path}.${self.pid}`;
  try {
    writeFileSync(claim, JSON.stringify(self), { mode: 0o600 });
  } catch (cause) {
    removeIfThere(claim);
    const living = lockHolder(directory, deps);
    if (living && living.pid !== self.pid) return { ok: false, holder: living };
    // A full disk must not blind a host: one daemon without a lock is better than none.
    if (isCode(cause, "ENOSPC") || isCode(cause, "EDQUOT")) return { ok: true, release };
    throw cause;
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
 * Linux: boot id and start time in ticks (proc_pid_stat(5), field 22). Elsewhere only whether the pid lives, so
 * a pid that was given to another program keeps the lock until someone removes the file.
 */
export function processBirth(pid: number, platform: NodeJS.Platform): string | undefined {
  if (platform === "linux") {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      return `${boot}.${fields[19]}`;
    } catch {
      return undefined;
    }
  }
  try {
    process.kill(pid, 0);
    return "alive";
  } catch (cause) {
    return isCode(cause, "EPERM") ? "alive" : undefined;
  }
}
