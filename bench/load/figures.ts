import { percentile } from "../../lz/platform/percentile.ts";
import type { Latency } from "./commands.ts";

/**
 * Time in ms for which the generator waits for responses after its last request. The value is an argument of
 * the process.
 */
export const ANSWER_WAIT_MS = Number(process.argv[2]);

export function latencyOf(ms: number[]): Latency {
  const ascending = Float64Array.from(ms).sort();
  const at = (share: number) => Math.round(percentile(ascending, share) * 100) / 100;
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: at(1) };
}

/** CPU time of this process since the start of a measurement, as a share of one core. */
export function cpuShare(since: NodeJS.CpuUsage, wallMs: number): number {
  const { user, system } = process.cpuUsage(since);
  return Math.round(((user + system) / 1000 / wallMs) * 1000) / 1000;
}

export function tally(statuses: Record<string, number>, status: number | undefined): void {
  const name = status === undefined ? "none" : String(status);
  statuses[name] = (statuses[name] ?? 0) + 1;
}

/** Counts requests without a response. Records the waiting time as their latency, which is a lower bound. */
export function addUnanswered(count: number, statuses: Record<string, number>, latencies: number[]): void {
  for (let i = 0; i < count; i++) {
    tally(statuses, undefined);
    latencies.push(ANSWER_WAIT_MS);
  }
}

/**
 * Makes calls at a fixed rate, regardless of responses. A late call is made immediately. Its latency counts
 * from the time at which the call was due.
 */
export async function pace(
  startMs: number,
  perSecond: number,
  total: number,
  call: (dueMs: number) => void,
): Promise<void> {
  for (let number = 0; number < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startMs) / 1000) * perSecond) + 1);
    for (; number < due; number++) call(startMs + (number * 1000) / perSecond);
    await Bun.sleep(1);
  }
}
