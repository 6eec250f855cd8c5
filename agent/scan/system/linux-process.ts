import type { ProcessFacts } from "./host.ts";

const PF_KTHREAD = 0x00200000;

/** Number of fields that follow the name in `/proc/PID/stat`, up to and including the resident pages. */
const STAT_FIELDS = 22;

/** Fields of `/proc/PID/stat` that a scan uses (proc_pid_stat(5)). */
export type Stat = {
  pid: number;
  name: string;
  state: string;
  parentPid: number;
  kernelThread: boolean;
  /** Start time in clock ticks after boot. */
  startTicks: number;
  threads: number;
  virtualBytes: number;
  residentPages: number;
};

/**
 * Parses a line of `/proc/PID/stat`. The process name is in parentheses and can itself contain spaces and
 * parentheses.
 */
export function parseStat(text: string): Stat | undefined {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(" ", STAT_FIELDS);
  const startTicks = Number(fields[19]);
  if (!Number.isFinite(startTicks)) return undefined;
  return {
    pid: Number(text.slice(0, open - 1)),
    name: text.slice(open + 1, close),
    state: fields[0]!,
    parentPid: Number(fields[1]),
    kernelThread: (Number(fields[6]) & PF_KTHREAD) !== 0,
    startTicks,
    threads: Number(fields[17]),
    virtualBytes: Number(fields[20]),
    residentPages: Number(fields[21]),
  };
}

/** A process with facts that only Linux collectors use. */
export type LinuxProcess = ProcessFacts & {
  /** Directory in procfs: `/proc/PID`, or the directory of a live thread if the first thread has ended. */
  directory: string;
  /** Inode of the process's network namespace. Absent if it cannot be read. */
  network?: string;
  virtualBytes: number;
  residentBytes: number;
  /** True if the agent has no permission to read the link to the executable. */
  hidden: boolean;
};
