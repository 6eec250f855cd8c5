import type { LinuxProcess } from "../system/linux-process.ts";

/** Budget for reading the maps of new and changed processes in the first scan, in milliseconds of processor time. */
const FIRST_MS_MAX = 400;
/** Budget for reading maps in later scans, in milliseconds of processor time. */
const CHANGED_MS_MAX = 4;
/**
 * Larger budget in milliseconds for later scans while some processes were never read. One of them may be an
 * undetected engine.
 */
const NEW_MS_MAX = 20;
/**
 * Additional budget in milliseconds for each scan that the oldest process has waited, up to a maximum. It
 * ensures that every process is read at some time.
 */
const OVERDUE_MS = 4;
const OVERDUE_MS_MAX = 40;
/** Number of scans after which a waiting process is read before all others. */
const OVERDUE_SCANS = 2;

type Waiting = { process: LinuxProcess; since: number };

/** Facts from the last read of a process. */
export type LastRead = { virtualBytes: number; denied: boolean };

/** Processes whose memory maps have to be read. Determines the order and the budget of the reads. */
export class MapsQueue {
  readonly #waiting = new Map<number, Waiting>();
  readonly #lastRead: ReadonlyMap<number, LastRead>;
  #scans = 0;

  /** @param lastRead facts from the last read of each process, by pid. The queue does not modify this map. */
  constructor(lastRead: ReadonlyMap<number, LastRead>) {
    this.#lastRead = lastRead;
  }

  /** Starts a scan and adds the changed processes. A process that already waits keeps its position. */
  begin(changed: readonly LinuxProcess[], selfPid: number): void {
    this.#scans += 1;
    for (const process of changed) {
      const since = this.#waiting.get(process.pid)?.since ?? this.#scans;
      if (process.pid !== selfPid) this.#waiting.set(process.pid, { process, since });
    }
  }

  delete(pid: number): void {
    this.#waiting.delete(pid);
  }

  forgetGone(processes: ReadonlyMap<number, LinuxProcess>): void {
    for (const pid of this.#waiting.keys()) if (!processes.has(pid)) this.#waiting.delete(pid);
  }

  /** Budget of this scan in milliseconds of processor time. */
  budgetMs(): number {
    if (this.#lastRead.size === 0) return FIRST_MS_MAX;
    const oldest = Math.min(this.#scans, ...[...this.#waiting.values()].map(({ since }) => since));
    const overdueMs = Math.min(OVERDUE_MS * (this.#scans - oldest), OVERDUE_MS_MAX);
    return (this.unreadCount() > 0 ? NEW_MS_MAX : CHANGED_MS_MAX) + overdueMs;
  }

  /**
   * Returns the processes in the order in which they are read. Overdue processes come first, by waiting time.
   * New processes follow, largest first. All others are last, by the size of their change.
   */
  inOrder(): LinuxProcess[] {
    return [...this.#waiting.values()]
      .map((one) => ({ process: one.process, rank: this.#rankOf(one) }))
      .sort((a, b) => compare(a.rank, b.rank))
      .map(({ process }) => process);
  }

  /**
   * Number of bytes by which the address space has grown or shrunk since the last read. 0 if the maps are not
   * readable.
   */
  changeOf({ pid, virtualBytes }: LinuxProcess): number {
    const before = this.#lastRead.get(pid);
    if (!before) return Number.MAX_SAFE_INTEGER;
    return before.denied ? 0 : Math.abs(virtualBytes - before.virtualBytes);
  }

  count(): number {
    return this.#waiting.size;
  }

  /** Number of waiting processes that were never read. */
  unreadCount(): number {
    return [...this.#waiting.keys()].filter((pid) => !this.#lastRead.has(pid)).length;
  }

  #rankOf({ process, since }: Waiting): number[] {
    const isOverdue = since <= this.#scans - OVERDUE_SCANS;
    const isKnown = this.#lastRead.has(process.pid);
    const size = isKnown ? this.changeOf(process) : process.virtualBytes;
    return [isOverdue ? since - this.#scans : 0, isKnown ? 1 : 0, -size];
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return 0;
}
