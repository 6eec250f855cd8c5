import { type Clock, timestamp } from "../../../shared/time/clock.ts";
import type { Directive } from "../../../shared/wire/directive.ts";
import type { ContainmentReport } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import type { Moment } from "../../network/control-clock.ts";
import type { Log } from "../../platform/log.ts";
import { StateFault } from "../../platform/state-files.ts";
import { uncontained } from "../../report/compose-heartbeat.ts";
import { modeOfRemains } from "../engines/remains.ts";
import type { Proof } from "../modes/enforcer.ts";
import { containmentFile, type Stored } from "./containment-file.ts";
import { type Saved, savedIn } from "./twin-file.ts";

/** The members of a directive that the agent carries out. */
export type ContainmentOrder = Pick<Directive, "generation" | "action" | "mode" | "notice" | "stopEnginesBy">;

const REASON_CHARACTERS_MAX = 240;

export type StoreDeps = {
  directory: string;
  /** Current time of the control plane, as estimated by the agent. */
  clock: Clock;
  /** The moment from which this agent was able to apply directives. */
  since: Moment;
  log: Log;
};

/** The containment state of this host, in memory and in its two files. A failed write does not change the state. */
export class ContainmentStore {
  readonly #deps: StoreDeps;
  readonly #saved: Saved<Stored>;
  #state: Stored;

  constructor(deps: StoreDeps) {
    this.#deps = deps;
    this.#saved = savedIn(containmentFile(deps.directory), "the containment state", deps.log);
    this.#state = load(deps);
  }

  get state(): Stored {
    return this.#state;
  }

  /**
   * The report for the next heartbeat. Before the first directive, its time follows the clock, which may
   * still be corrected.
   */
  report(): ContainmentReport {
    const { report } = this.#state;
    return report.generation === 0 ? uncontained(timestamp(this.#deps.since())) : report;
  }

  /** Changes the given members of the state and writes both files. */
  update(change: Partial<Stored>): void {
    this.#state = { ...this.#state, ...change };
    this.#saved.save(this.#state);
  }

  /** Writes the files again if they were removed or modified. No-op before the first order. */
  restoreFiles(): void {
    if (this.#state.report.generation > 0 || this.#state.traces) this.#saved.restore(this.#state);
  }

  /** Records the start of an order, so that the next start of the agent carries out the order after a crash. */
  begin(order: ContainmentOrder): void {
    const { generation, action, mode } = order;
    const at = this.#nextStamp();
    this.update({
      report: { generation, action, mode, ...methodOf(order), outcome: "none", at },
      underway: true,
      repairs: undefined,
    });
  }

  /** Records the result of an order in a new report. */
  finish(order: ContainmentOrder, { outcome, reason, probes }: Proof): void {
    const { generation, action, mode } = order;
    this.update({
      report: {
        generation,
        action,
        mode,
        ...methodOf(order),
        outcome,
        at: this.#nextStamp(),
        ...(reason === undefined ? {} : { reason: tidy(reason, REASON_CHARACTERS_MAX) }),
        ...(probes === undefined ? {} : { probes }),
      },
      underway: false,
    });
  }

  /**
   * True if the containment state was lost and other files show an isolation. The agent keeps this isolation
   * in force, but has no directive to report on. The control plane sends its newest directive to a host that
   * reports generation 0.
   */
  isRecovered(): boolean {
    return this.#state.report.generation === 0 && this.#state.traces !== null;
  }

  /**
   * Whether the agent keeps the isolation in force. It keeps a failed isolation if its rules were once in
   * force, because the next check may succeed. It also keeps a failed `stop-engines` isolation, because some
   * of its actions may have succeeded. It does not keep a `network` isolation that was rolled back, because a
   * second failure would not be rolled back.
   */
  isLasting(): boolean {
    const { report, traces, underway } = this.#state;
    if (this.isRecovered()) return true;
    if (report.action !== "isolate" || report.mode === "observe" || underway) return false;
    if (report.outcome === "applied") return true;
    return traces?.mode === report.mode && (traces.wasInForce || traces.mode === "stop-engines");
  }

  /** Reports are distinguished by their time, so the time increases even when the clock is set back. */
  #nextStamp(): string {
    const { report } = this.#state;
    const after = report.generation > 0 ? Date.parse(report.at) + 1 : 0;
    return timestamp(Math.max(this.#deps.clock(), after));
  }
}

/** The member `stopEnginesBy` of the report as an object. An empty object if the report does not have this member. */
export const methodOf = (order: Pick<ContainmentReport, "stopEnginesBy"> | null) =>
  order?.stopEnginesBy === undefined ? {} : { stopEnginesBy: order.stopEnginesBy };

/** The order that a report is about. */
export const orderOf = (report: ContainmentReport): ContainmentOrder => ({
  generation: report.generation,
  action: report.action === "release" ? "release" : "isolate",
  mode: report.mode,
  ...methodOf(report),
});

/**
 * Reads the saved containment state. The daemon starts even if this state is lost, and keeps an isolation in
 * force if other files show one. The control plane repeats its directive while heartbeats report an older
 * generation.
 */
function load(deps: StoreDeps): Stored {
  let fault: string | undefined;
  try {
    const found = containmentFile(deps.directory).read();
    if (found) return found;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    fault = cause.message;
  }
  const mode = modeOfRemains(deps.directory);
  if (mode !== undefined) {
    const reason = fault ?? "its file is missing";
    deps.log("error", "containment.state-recovered", { mode, reason });
  } else if (fault !== undefined) deps.log("error", "containment.state-lost", { reason: fault });
  const report = uncontained(timestamp(deps.since()));
  const traces = mode === undefined ? null : { mode, wasInForce: true };
  return { report, underway: false, traces, usedCodes: [] };
}
