import { sleep } from "../../shared/time/sleep.ts";
import type { ScannerOptions, ScanReport, ScanResult, ScanSettings } from "../scan/scan.ts";

export type WholeScan = ScanReport & Pick<ScanResult, "waiting">;

const SCANS_MAX = 8;
const WHOLE_MS_MAX = 10_000;
/** Timeout in milliseconds with `--complete`. */
export const COMPLETE_MS_MAX = 120_000;
/**
 * Time limits in milliseconds for the expensive work in one scan. Hashing an executable of 1 GB takes most of
 * `hashMs`.
 */
export const WHOLE: ScannerOptions = { hashMs: 3000, storesMs: 3000 };
/** Pause in milliseconds before the next scan probes servers again that did not respond in time. */
const PAUSE_MS = 100;

/**
 * Scans until two consecutive scans have the same result and no work is left for a later scan. The daemon
 * spreads such work over several scans: package owners, signers, hashes, slow servers, and work that a busy
 * host had no time for. If no work is left but results still differ, this function ends after {@link
 * SCANS_MAX} scans. `durationMs` in the result covers all scans. `waiting` names the work that was unfinished
 * after `limitMs`.
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
    const isSettled = findingsOf(next) === findingsOf(result) && next.waiting.length === 0;
    result = next;
    if (isSettled) break;
  }
  return { ...result, durationMs };
}

/**
 * Findings to compare. Collectors with status `ok` are left out, because their details contain counts that
 * change with every process.
 */
const findingsOf = ({ engines, stores, collectors }: ScanReport): string =>
  JSON.stringify([engines, stores, collectors.filter(({ status }) => status !== "ok")]);
