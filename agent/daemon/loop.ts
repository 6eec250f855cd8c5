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

/** ± share of the interval by which heartbeats are spread, so that a fleet does not beat in step. */
const JITTER = 0.1;
const SCAN_TIMEOUT_MS = 20_000;
/** While the edge is away one heartbeat a minute is kept of a state that does not change; of changes, each. */
export const UNCHANGED_KEPT_EVERY_MS = 60_000;
/** How long an altered isolation stays altered, unless a scan takes longer. */
const REASSERT_EVERY_MS = 4000;
/** Between two scans while terminated engines may be started again. */
const LOOK_SOON_MS = 2000;

export type LoopDeps = {
  scan: (signal: AbortSignal, settings: ScanSettings) => Promise<ScanReport>;
  /** Version of the catalogue a scan that began now would look with. */
  catalogue: () => string;
  facts: Pick<Heartbeat, "host"> & { version: string; run?: string };
  settings: () => AgentSettings;
  sequence: Sequence;
  spool: Spool;
  sender: Sender;
  directives: Pick<DirectiveHandler, "resume" | "reassert">;
  /** The newest report, signed with the device key. */
  report: () => Promise<ContainmentReport>;
  clock: Pick<ControlClock, "now" | "mark">;
  /** Milliseconds that this process ran, by a monotonic clock. */
  elapsed: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
  /** For `lz-agent status`; called after each scan. */
  onBeat: (state: HostState) => void;
};

/** What was found, and with which catalogue: a newer one may come while it is being looked for. */
type DatedScan = ScanReport & { catalogue: string };

export type Loop = {
  /** Scans and reports until aborted; then everything unsent is in the spool. */
  run: (signal: AbortSignal) => Promise<void>;
  /** Makes the next heartbeat now. */
  reportNow: () => void;
  /** Makes the next scan, and the look at the containment after it, within two seconds. */
  scanSoon: () => void;
};

/** The daemon: scan → heartbeat → sender, at the interval the tenant set, and at once when there is news. */
export function createLoop(deps: LoopDeps): Loop {
  const composer = createComposer({ clock: deps.clock, nextSequence: deps.sequence.next });
  let lastScan: DatedScan | undefined;
  let lastMadeAtMs = Number.NEGATIVE_INFINITY;
  let lastReassertAtMs = deps.elapsed();
  let hurried = false;
  let isSoon = false;
  let interrupt: (() => void) | undefined;

  /** @param isNews a report is waiting: what the last scan found is new enough to go with it */
  async function stateNow(signal: AbortSignal, isNews: boolean): Promise<HostState> {
    const settings = deps.settings();
    const scan = (isNews && lastScan) || (await scanOrLast(signal, settings));
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

  /** A scan that failed is reported as such beside what the last good one found: silence is not innocence. */
  async function scanOrLast(signal: AbortSignal, settings: ScanSettings): Promise<DatedScan> {
    const catalogue = deps.catalogue();
    try {
      const result = await withinTime(signal, (bounded) => deps.scan(bounded, settings));
      lastScan = { ...result, catalogue };
      return lastScan;
    } catch (cause) {
      const reason = messageOf(cause);
      if (!signal.aborted) deps.log("error", "scan.failed", { reason });
      const last = lastScan ?? { engines: [], collectors: [], catalogue };
      const failed = {
        name: "scan",
        status: "failed",
        detail: "the engines are those of the last good scan",
      } as const;
      return { ...last, collectors: withCollector(last.collectors, failed), durationMs: 0 };
    }
  }

  async function beat(signal: AbortSignal, isNews: boolean): Promise<void> {
    const state = await stateNow(signal, isNews);
    if (signal.aborted) return;
    deps.onBeat(state);
    const sinceLastMs = deps.elapsed() - lastMadeAtMs;
    const isThin =
      !deps.sender.isKeepingUp() && composer.isUnchanged(state) && sinceLastMs < UNCHANGED_KEPT_EVERY_MS;
    if (isThin || (deps.sender.isRevoked() && sinceLastMs < REVOKED_RETRY_MS)) return;
    lastMadeAtMs = deps.elapsed();
    const made = composer.compose(state, { waiting: deps.spool.waiting(), dropped: deps.spool.dropped() });
    deps.sender.offer({ sequence: made.sequence, body: JSON.stringify(made) });
  }

  async function guard(signal: AbortSignal, isNews: boolean): Promise<void> {
    const isHastened = isSoon && !isNews;
    if (!isHastened && deps.elapsed() - lastReassertAtMs < REASSERT_EVERY_MS) return;
    if (isHastened) isSoon = false;
    await reassert(signal);
  }

  function reassert(signal: AbortSignal): Promise<void> {
    lastReassertAtMs = deps.elapsed();
    return deps.directives.reassert(signal);
  }

  /** True when it was cut short: there is news. */
  async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
    const waiting = new AbortController();
    const stop = (): void => waiting.abort();
    signal.addEventListener("abort", stop, { once: true });
    interrupt = stop;
    if (!hurried) await deps.sleep(isSoon ? Math.min(ms, LOOK_SOON_MS) : ms, waiting.signal);
    interrupt = undefined;
    signal.removeEventListener("abort", stop);
    const isNews = hurried;
    hurried = false;
    return isNews;
  }

  /** As {@link pause}. Of a long one, the isolation is looked at in between: a tenant may want a heartbeat every ten minutes. */
  async function pauseGuarded(ms: number, signal: AbortSignal): Promise<boolean> {
    for (let leftMs = ms; ; ) {
      const isLast = isSoon || leftMs <= 1.5 * REASSERT_EVERY_MS;
      const startedAtMs = deps.elapsed();
      const isNews = await pause(isLast ? Math.max(leftMs, 0) : REASSERT_EVERY_MS, signal);
      if (isLast || isNews || signal.aborted) return isNews;
      await reassert(signal);
      leftMs -= Math.min(Math.max(deps.elapsed() - startedAtMs, REASSERT_EVERY_MS), 2 * REASSERT_EVERY_MS);
    }
  }

  async function beatUntil(signal: AbortSignal): Promise<void> {
    let isNews = false;
    while (!signal.aborted) {
      const startedAtMs = deps.elapsed();
      await beat(signal, isNews);
      await guard(signal, isNews);
      const intervalMs = deps.settings().heartbeatIntervalMs * (1 + JITTER * (2 * deps.random() - 1));
      const spentMs = Math.min(deps.elapsed() - startedAtMs, intervalMs / 2);
      if (!signal.aborted) isNews = await pauseGuarded(intervalMs - spentMs, signal);
    }
  }

  return {
    run: async (signal) => {
      await deps.directives.resume(signal);
      await Promise.all([beatUntil(signal), deps.sender.run(signal)]);
      deps.sequence.close();
    },
    reportNow: () => {
      hurried = true;
      interrupt?.();
    },
    scanSoon: () => {
      isSoon = true;
    },
  };
}

/** Bounds the scan twice: it is asked to end, and if it does not listen, it is no longer waited for. */
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
