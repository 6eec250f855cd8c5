import { readFileSync } from "node:fs";
import { cpuSeconds } from "./report.ts";

/**
 * Ids of a process and its running children, such as the agent's reader process. Source:
 * proc_pid_task_children(5).
 */
function treeOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return [pid, ...(children === "" ? [] : children.split(" ").map(Number))];
}

/**
 * Proportional set size of a process and its children, in MB (proc_pid_smaps(5)). The size of a shared page
 * is divided by the number of processes that share it, so a child of the same binary does not count twice.
 */
export function treePssMb(pid: number): number {
  let kilobytes = 0;
  for (const one of treeOf(pid)) {
    const rollup = readOrGone(`/proc/${one}/smaps_rollup`);
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return kilobytes / 1024;
}

/**
 * CPU time of a process and its children in seconds, including children that have ended (`cutime`, `cstime`;
 * proc_pid_stat(5)).
 */
export function treeCpuSeconds(pid: number): number {
  const [, ...children] = treeOf(pid);
  const living = children.map((child) => cpuSeconds(child) ?? 0);
  return (cpuSeconds(pid, "withEnded") ?? Number.NaN) + living.reduce((sum, one) => sum + one, 0);
}

function readOrGone(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
