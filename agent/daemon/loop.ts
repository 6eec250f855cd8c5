import { messageOf } from "../../shared/observability/error-message.ts";
import type { AgentSettings } from "../../shared/wire/agent-settings.ts";
import type { ContainmentReport, Heartbeat } from "../../shared/wire/heartbeat.ts";
import type { HostState } from "../../shared/wire/state.ts";
import type { DirectiveHandler } from "../contain/apply-directive.ts";
import type { Sequence } from "../identity/device-identity.ts";
import type { ControlClock } from "../network/control-clock.ts";
import type { Log } from "../platform/log.ts";
import { createComposer, keepValid, withCollector } from "../report/compose-heartbeat.ts";
import { REVOKED_RETRY_MS, type Sender } from "../report/heartbeat-sender.ts";
import type { Spool } from "../report/spool.ts";
import type { ScanReport, ScanSettings } from "../scan/scan.ts";

/**
 * Maximum random change of each pause, as a share of the interval. The pause becomes shorter or longer by
 * this share, which spreads the heartbeats of a fleet over time.
 */
const JITTER = 0.1;
const SCAN_TIMEOUT_MS = 20_000;
/**
 * Interval in milliseconds at which an unchanged state is put into the spool while the edge is unreachable. A
 * changed state is always put into the spool.
 */
export const UNCHANGED_KEPT_EVERY_MS = 60_000;
/**
 * Interval in milliseconds between checks that restore a modified isolation. A check does not start during a
 * scan.
 */
const REASSERT_EVERY_MS = 4000;
/**
 * Pause in milliseconds before an early scan, which looks for engines that were started again after a
 * termination.
 */
const EARLY_SCAN_MS = 2000;

export type LoopDeps = {
  scan: (signal: AbortSignal, settings: ScanSettings) => Promise<ScanReport>;
  /** Version of the catalogue that the next scan uses. */
  catalogue: () => string;
  facts: Pick<Heartbeat, "host"> & { version: string; run?: string };
  settings: () => AgentSettings;
  sequence: Sequence;
  spool: Spool;
  sender: Sender;
  directives: Pick<DirectiveHandler, "resume" | "reassert">;
  /** The newest containment report, signed with the device key. */
  report: () => Promise<ContainmentReport>;
  clock: Pick<ControlClock, "now" | "mark">;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
  /** Called after each scan. It updates the status for `lz-agent status`. */
  onBeat: (state: HostState) => void;
};

/**
 * A scan with the version of the catalogue that it used. This version is stored, because the catalogue can be
 * updated during a scan.
 */
type DatedScan = ScanReport & { catalogue: string };

export type Loop = {
  /** Scans and reports until aborted. After that, all unsent heartbeats are in the spool. */
  run: (signal: AbortSignal) => Promise<void>;
  /** Sends the next heartbeat immediately. */
  reportNow: () => void;
  /** Starts the next scan within two seconds, and then checks the isolation. */
  scanSoon: () => void;
};

/** State of the loop between two heartbeats. Times are milliseconds from `LoopDeps.elapsed`. */
type LoopState = {
  deps: LoopDeps;
  composer: ReturnType<typeof createComposer>;
  lastScan: DatedScan | undefined;
  lastMadeAtMs: number;
  lastReassertAtMs: number;
  /** True after a call of `reportNow`. The pause then ends, and the next heartbeat repeats the last scan. */
  isReportDue: boolean;
  /** True after a call of `scanSoon`. The pause before the next scan is then short. */
  isScanDue: boolean;
  /** Ends the current pause. Undefined if the loop is not pausing. */
  interrupt: (() => void) | undefined;
};

/**
 * The main loop of the daemon. It scans, composes a heartbeat and passes it to the sender, at the tenant's
 * interval. A new containment report is sent immediately.
 */
export function createLoop(deps: LoopDeps): Loop {
  const state: LoopState = {
    deps,
    composer: createComposer({ clock: deps.clock, nextSequence: deps.sequence.next }),
    lastScan: undefined,
    lastMadeAtMs: Number.NEGATIVE_INFINITY,
    lastReassertAtMs: deps.elapsed(),
    isReportDue: false,
    isScanDue: false,
    interrupt: undefined,
  };
  return {
    run: async (signal) => {
      await deps.directives.resume(signal);
      await Promise.all([beatUntil(state, signal), deps.sender.run(signal)]);
      deps.sequence.close();
    },
    reportNow: () => {
      state.isReportDue = true;
      state.interrupt?.();
    },
    scanSoon: () => {
      state.isScanDue = true;
    },
  };
}

async function beatUntil(state: LoopState, signal: AbortSignal): Promise<void> {
  const { deps } = state;
  let isReport = false;
  while (!signal.aborted) {
    const startedAtMs = deps.elapsed();
    await beat(state, signal, isReport);
    await checkIsolation(state, signal, isReport);
    const intervalMs = deps.settings().heartbeatIntervalMs * (1 + JITTER * (2 * deps.random() - 1));
    const spentMs = Math.min(deps.elapsed() - startedAtMs, intervalMs / 2);
    if (!signal.aborted) isReport = await pauseWithChecks(state, intervalMs - spentMs, signal);
  }
}

/**
 * Composes a heartbeat and passes it to the sender.
 *
 * @param isReport true if a new containment report must be sent
 */
async function beat(state: LoopState, signal: AbortSignal, isReport: boolean): Promise<void> {
  const { deps, composer } = state;
  const hostState = await hostStateNow(state, signal, isReport);
  if (signal.aborted) return;
  deps.onBeat(hostState);
  const sinceLastMs = deps.elapsed() - state.lastMadeAtMs;
  const isSkipped =
    !deps.sender.isKeepingUp() && composer.isUnchanged(hostState) && sinceLastMs < UNCHANGED_KEPT_EVERY_MS;
  if (isSkipped || (deps.sender.isRevoked() && sinceLastMs < REVOKED_RETRY_MS)) return;
  state.lastMadeAtMs = deps.elapsed();
  const made = composer.compose(hostState, { waiting: deps.spool.waiting(), dropped: deps.spool.dropped() });
  deps.sender.offer({ sequence: made.sequence, body: JSON.stringify(made) });
}

/** Returns the state of the host. With `isReport`, the last scan is used again if it is recent enough. */
async function hostStateNow(state: LoopState, signal: AbortSignal, isReport: boolean): Promise<HostState> {
  const { deps } = state;
  const settings = deps.settings();
  const scan = (isReport && state.lastScan) || (await scanOrLast(state, signal, settings));
  return keepValid({
    agent: {
      version: deps.facts.version,
      catalogue: scan.catalogue,
      intervalMs: settings.heartbeatIntervalMs,
      ...(deps.facts.run !== undefined && { run: deps.facts.run }),
    },
    host: deps.facts.host,
    engines: scan.engines,
    ...(scan.stores && { stores: scan.stores }),
    collectors: scan.collectors,
    containment: await deps.report(),
  });
}

/**
 * Scans the host. If the scan fails, reports the engines of the last successful scan, because the host would
 * otherwise seem to have no engines.
 */
async function scanOrLast(state: LoopState, signal: AbortSignal, settings: ScanSettings): Promise<DatedScan> {
  const { deps } = state;
  const catalogue = deps.catalogue();
  try {
    const result = await withinTime(signal, (bounded) => deps.scan(bounded, settings));
    state.lastScan = { ...result, catalogue };
    return state.lastScan;
  } catch (cause) {
    if (!signal.aborted) deps.log("error", "scan.failed", { reason: messageOf(cause) });
    const last = state.lastScan ?? { engines: [], collectors: [], catalogue };
    const failed = {
      name: "scan",
      status: "failed",
      detail: "the engines are those of the last successful scan",
    } as const;
    return { ...last, collectors: withCollector(last.collectors, failed), durationMs: 0 };
  }
}

/** Checks the isolation if the last check is old enough, or after an early scan. */
async function checkIsolation(state: LoopState, signal: AbortSignal, isReport: boolean): Promise<void> {
  const isEarly = state.isScanDue && !isReport;
  if (!isEarly && state.deps.elapsed() - state.lastReassertAtMs < REASSERT_EVERY_MS) return;
  if (isEarly) state.isScanDue = false;
  await reassert(state, signal);
}

function reassert(state: LoopState, signal: AbortSignal): Promise<void> {
  state.lastReassertAtMs = state.deps.elapsed();
  return state.deps.directives.reassert(signal);
}

/**
 * Pauses, and checks the isolation during the pause, because a tenant's interval can be several minutes.
 * Returns the same value as {@link pause}.
 */
async function pauseWithChecks(state: LoopState, ms: number, signal: AbortSignal): Promise<boolean> {
  const { elapsed } = state.deps;
  for (let leftMs = ms; ; ) {
    const isLast = state.isScanDue || leftMs <= 1.5 * REASSERT_EVERY_MS;
    const startedAtMs = elapsed();
    const isReport = await pause(state, isLast ? Math.max(leftMs, 0) : REASSERT_EVERY_MS, signal);
    if (isLast || isReport || signal.aborted) return isReport;
    await reassert(state, signal);
    leftMs -= Math.min(Math.max(elapsed() - startedAtMs, REASSERT_EVERY_MS), 2 * REASSERT_EVERY_MS);
  }
}

/** Returns true if the pause ended early because a new containment report must be sent. */
async function pause(state: LoopState, ms: number, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  const stop = (): void => waiting.abort();
  signal.addEventListener("abort", stop, { once: true });
  state.interrupt = stop;
  if (!state.isReportDue)
    await state.deps.sleep(state.isScanDue ? Math.min(ms, EARLY_SCAN_MS) : ms, waiting.signal);
  state.interrupt = undefined;
  signal.removeEventListener("abort", stop);
  const isReport = state.isReportDue;
  state.isReportDue = false;
  return isReport;
}

/** Applies a timeout to a scan. Aborts the scan at the timeout, and stops waiting for it at 1.5 times the timeout. */
async function withinTime<T>(signal: AbortSignal, work: (bounded: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  signal.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(stop, SCAN_TIMEOUT_MS);
  let tooLate: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      work(controller.signal),
      new Promise<never>((_, reject) => {
        tooLate = setTimeout(() => reject(new Error("the scan did not end in time")), SCAN_TIMEOUT_MS * 1.5);
        controller.signal.addEventListener("abort", () => signal.aborted && reject(new Error("stopping")), {
          once: true,
        });
      }),
    ]);
  } finally {
    clearTimeout(timer);
    clearTimeout(tooLate);
    signal.removeEventListener("abort", stop);
  }
}
