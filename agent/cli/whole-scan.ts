import type { ScannerOptions, ScanReport, ScanSettings } from "../scan.ts";
import { sleep } from "../sleep.ts";

const SCANS_MAX = 8;
const WHOLE_MS_MAX = 10_000;
/** Of a single look: an executable of a gigabyte takes most of it. */
export const WHOLE: ScannerOptions = { hashMs: 3000, storesMs: 3000 };
/** A server that did not answer in time is given this long before it is asked again. */
const PAUSE_MS = 100;

/**
 * Scans until two scans in a row say the same: what the daemon puts off to its next scan (owners of packages,
 * signers, hashes, what a busy host left no time for) is in a single look too. At most {@link SCANS_MAX} scans and
 * {@link WHOLE_MS_MAX}; `durationMs` is that of all.
 */
export async function scanWhole(
  scanner: { scan: (signal: AbortSignal, settings?: ScanSettings) => Promise<ScanReport> },
  stopping: AbortSignal,
  settings?: ScanSettings,
): Promise<ScanReport> {
  let result = await scanner.scan(stopping, settings);
  let { durationMs } = result;
  for (let scans = 1; scans < SCANS_MAX && durationMs < WHOLE_MS_MAX && !stopping.aborted; scans += 1) {
    await sleep(PAUSE_MS, stopping);
    const next = await scanner.scan(stopping, settings);
    durationMs += PAUSE_MS + next.durationMs;
    const isSettled = saidBy(next) === saidBy(result);
    result = next;
    if (isSettled) break;
  }
  return { ...result, durationMs };
}

/** What a collector that found everything tells of it are counts that change with every process of the host. */
const saidBy = ({ engines, stores, collectors }: ScanReport): string =>
  JSON.stringify([engines, stores, collectors.filter(({ status }) => status !== "ok")]);
