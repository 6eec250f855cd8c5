import { sleep } from "../platform/sleep.ts";
import type { ScannerOptions, ScanReport, ScanResult, ScanSettings } from "../scan/scan.ts";

export type WholeScan = ScanReport & Pick<ScanResult, "waiting">;

const SCANS_MAX = 8;
const WHOLE_MS_MAX = 10_000;
/** With `--complete`. */
export const COMPLETE_MS_MAX = 120_000;
/** Of a single look: an executable of a gigabyte takes most of it. */
export const WHOLE: ScannerOptions = { hashMs: 3000, storesMs: 3000 };
/** A server that did not answer in time is given this long before it is asked again. */
const PAUSE_MS = 100;

/**
 * Scans until two scans in a row say the same and nothing waits for a later one: what the daemon puts off to its next
 * scan (owners of packages, signers, hashes, what a busy host left no time for, slow servers) is in a single look too.
 * Without anything that waits, at most {@link SCANS_MAX} scans. `durationMs` of the result is that of all scans; what
 * still waits after `limitMs` is named in its `waiting`.
 */
export async function scanWhole(
  scanner: { scan: (signal: AbortSignal, settings?: ScanSettings) => Promise<WholeScan> },
  stopping: AbortSignal,
  settings?: ScanSettings,
  limitMs: number = WHOLE_MS_MAX,
): Promise<WholeScan> {
  let result = await scanner.scan(stopping, settings);
  let { durationMs } = result;
  for (let scans = 1; durationMs < limitMs && !stopping.aborted; scans += 1) {
    if (scans >= SCANS_MAX && result.waiting.length === 0) break;
    await sleep(PAUSE_MS, stopping);
    const next = await scanner.scan(stopping, settings);
    durationMs += PAUSE_MS + next.durationMs;
    const isSettled = saidBy(next) === saidBy(result) && next.waiting.length === 0;
    result = next;
    if (isSettled) break;
  }
  return { ...result, durationMs };
}

/** What a collector that found everything tells of it are counts that change with every process of the host. */
const saidBy = ({ engines, stores, collectors }: ScanReport): string =>
  JSON.stringify([engines, stores, collectors.filter(({ status }) => status !== "ok")]);
