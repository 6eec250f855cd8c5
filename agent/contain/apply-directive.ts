import { isNewDirective } from "../../shared/containment/containment-state.ts";
import { messageOf } from "../../shared/observability/error-message.ts";
import { type Clock, timestamp } from "../../shared/time/clock.ts";
import { type Directive, verifyDirective } from "../../shared/wire/directive.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import type { ContainmentReport, Mode } from "../../shared/wire/heartbeat.ts";
import { verifyReleaseCode } from "../../shared/wire/release-code.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { Identity } from "../identity/device-identity.ts";
import type { Moment } from "../network/control-clock.ts";
import type { Log } from "../platform/log.ts";
import { StateFault } from "../platform/state-files.ts";
import { uncontained } from "../report/compose-heartbeat.ts";
import { modeOfRemains } from "./engines/remains.ts";
import type { Enforcer, Proof } from "./modes/enforcer.ts";
import { noticeText } from "./notify-user.ts";
import { answerCode, takeCode } from "./release-code.ts";
import { containmentFile, type Stored } from "./state/containment-file.ts";
import { createRepairHistory, describeOne, describeRepeated, isRepeated } from "./state/repairs.ts";
import { savedIn } from "./state/twin-file.ts";

/** By more than this no clock is corrected that keeps time. */
const AWAY_MS_MIN = 2000;

type Wish = Pick<Directive, "generation" | "action" | "mode" | "notice" | "stopEnginesBy">;

export type DirectiveDeps = {
  directory: string;
  self: () => Pick<Identity, "tenantId" | "assetId" | "jwks">;
  /** Fingerprint of this machine. */
  hardware?: Hardware | undefined;
  /** A directive for another machine came: somebody else uses this identity too. */
  onForeign?: (() => void) | undefined;
  enforcers: Readonly<Record<Mode, Enforcer>>;
  /** Time of the control plane as far as it is known. */
  clock: Clock;
  /** When this agent began to be able to obey. */
  since: Moment;
  /** Milliseconds that this process ran, by a monotonic clock. */
  elapsed: () => number;
  log: Log;
  /** There is something new to report: the next heartbeat should not wait for its turn. */
  onReport: () => void;
  /** The isolation had been altered and was put back. */
  onRepair?: (() => void) | undefined;
  /** Tells whoever sits at this host; what becomes of it changes nothing. */
  notifyUsers?: ((text: string) => Promise<void>) | undefined;
};

export type DirectiveHandler = {
  report: () => ContainmentReport;
  /** Obeys a directive if it is genuine, for this asset, in time and newer than the last one obeyed. */
  handle: (jws: string, signal: AbortSignal) => Promise<void>;
  /** After a start: finishes what a crash cut short, puts a lasting isolation back in force. */
  resume: (signal: AbortSignal) => Promise<void>;
  /** While isolated: puts back what somebody altered. `isQuick`: one of several looks a second. */
  reassert: (signal: AbortSignal, options?: { isQuick: boolean }) => Promise<void>;
};

/** The only way anything on this host gets contained or freed. */
export function createDirectiveHandler(deps: DirectiveDeps): DirectiveHandler {
  const file = containmentFile(deps.directory);
  const saved = savedIn(file, "the containment state", deps.log);
  let state = load(deps);
  /** Every answer repeats the directive until it is proven: look at each genuine one once. */
  let considered: string | undefined;
  /** The newest that was refused, told once. It is looked at again: clocks are set right, and keys rotate. */
  let refused: string | undefined;
  let turn: Promise<void> = Promise.resolve();
  let leadMs = leadNow();
  const repairs = createRepairHistory(state.repairs, deps.elapsed);

  /** One order at a time, in the order they came. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    turn = turn.then(work).catch((cause: unknown) => {
      deps.log("error", "containment.failed", { reason: reasonOf(cause) });
    });
    return turn;
  }

  function keep(next: Stored): void {
    state = next;
    saved.save(next);
  }

  /** Before the first order there is nothing to keep. */
  function restoreFiles(): void {
    if (state.report.generation > 0 || state.traces) saved.restore(state);
  }

  /** Reports are told apart by their time, so it grows, also when the clock is set back. */
  function nextStamp(): string {
    const { report } = state;
    const after = report.generation > 0 ? Date.parse(report.at) + 1 : 0;
    return timestamp(Math.max(deps.clock(), after));
  }

  /** By how many milliseconds the clock is ahead of the time that this process ran: always as many, while it runs. */
  function leadNow(): number {
    return deps.clock() - deps.elapsed();
  }

  /**
   * Whether time went by in which this process did not run: the machine slept, or was put back to a snapshot. What was
   * proven before says nothing of now, and may be older than what the control plane has heard since.
   */
  function wasAway(): boolean {
    const beforeMs = leadMs;
    leadMs = leadNow();
    return leadMs - beforeMs > AWAY_MS_MIN;
  }

  async function carryOut(order: Wish, signal: AbortSignal): Promise<void> {
    const { generation, action, mode } = order;
    const begun = {
      generation,
      action,
      mode,
      ...howOf(order),
      outcome: "none",
      at: nextStamp(),
    } as const;
    const undone = state.traces;
    repairs.clear();
    keep({ ...state, report: begun, underway: true, repairs: undefined });
    const carried = action === "isolate" ? isolate(order, signal) : release(order, signal);
    const proof = await carried.catch((cause: unknown): Proof | undefined =>
      signal.aborted ? undefined : { outcome: "failed", reason: reasonOf(cause) },
    );
    // Told to stop in the middle of it: it is still under way, and the next start carries it out.
    if (!proof) return;
    settle(order, proof);
    const words =
      proof.outcome === "applied"
        ? noticeText(action === "release" ? { ...order, ...howOf(undone) } : order)
        : undefined;
    if (words !== undefined) void notify(words);
    const isApplied = proof.outcome === "applied";
    deps.log(isApplied ? "info" : "error", isApplied ? "directive.applied" : "directive.failed", {
      action,
      generation,
      mode,
      reason: proof.reason,
    });
  }

  async function notify(words: string): Promise<void> {
    await deps.notifyUsers?.(words).catch((cause: unknown) => {
      deps.log("warn", "notice.not-shown", { reason: reasonOf(cause) });
    });
  }

  async function isolate(order: Wish, signal: AbortSignal): Promise<Proof> {
    const { generation, mode } = order;
    const how = howOf(order);
    if (state.traces && state.traces.mode !== mode) {
      const undone = await undo(generation, state.traces, signal);
      if (undone.outcome === "failed") return undone;
    }
    keep({ ...state, traces: { mode, wasInForce: true, ...how } });
    const proof = await deps.enforcers[mode].apply({ generation, mode, wasInForce: true, ...how }, signal);
    if (proof.outcome === "failed") keep({ ...state, traces: { mode, wasInForce: false, ...how } });
    return proof;
  }

  /** Undoes the mode that is in force, whatever mode the release names. */
  const release = ({ generation, mode }: Wish, signal: AbortSignal): Promise<Proof> =>
    undo(generation, state.traces ?? { mode, wasInForce: false }, signal);

  async function undo(
    generation: number,
    traces: NonNullable<Stored["traces"]>,
    signal: AbortSignal,
  ): Promise<Proof> {
    const proof = await deps.enforcers[traces.mode].release({ generation, ...traces }, signal);
    if (proof.outcome === "applied") keep({ ...state, traces: null });
    return proof;
  }

  function settle(order: Wish, proof: Proof): void {
    const { generation, action, mode } = order;
    const { outcome, reason, probes } = proof;
    keep({
      ...state,
      report: {
        generation,
        action,
        mode,
        ...howOf(order),
        outcome,
        at: nextStamp(),
        ...(reason === undefined ? {} : { reason: tidy(reason, 240) }),
        ...(probes === undefined ? {} : { probes }),
      },
      underway: false,
    });
    deps.onReport();
  }

  async function verify(jws: string): Promise<Directive | undefined> {
    try {
      const self = deps.self();
      return await verifyDirective(jws, self.jwks, self, deps.clock());
    } catch (cause) {
      if (jws !== refused) deps.log("warn", "directive.refused", { reason: reasonOf(cause) });
      refused = jws;
      return undefined;
    }
  }

  /** The mainboards are known and differ. An unknown one is no reason to leave a host uncontained. */
  const isForAnotherMachine = ({ hardware }: Directive): boolean =>
    hardware !== undefined && deps.hardware?.strength === "board" && deps.hardware.id !== hardware;

  /**
   * Whether the state was lost and other files show an isolation. It is guarded like any other, but there is no directive
   * to report on: the control plane sends its newest one to a host that reports generation 0.
   */
  const isRecovered = (): boolean => state.report.generation === 0 && state.traces !== null;

  /**
   * Whether the isolation is to be looked after. One that failed once its rules stood goes on: the next look may find
   * what it needs. So does stopping engines, of which a part may have succeeded; a network that was rolled back does
   * not, for nothing would roll it back again.
   */
  function isLasting(): boolean {
    const { report, traces, underway } = state;
    if (isRecovered()) return true;
    if (report.action !== "isolate" || report.mode === "observe" || underway) return false;
    if (report.outcome === "applied") return true;
    return traces?.mode === report.mode && (traces.wasInForce || traces.mode === "stop-engines");
  }

  return {
    // Before the first directive nothing is kept: its time follows the clock, which may be found wrong meanwhile.
    report: () => (state.report.generation === 0 ? uncontained(timestamp(deps.since())) : state.report),
    handle: (jws, signal) =>
      inTurn(async () => {
        if (jws === considered) return;
        const directive = await verify(jws);
        if (!directive) return;
        considered = jws;
        if (isForAnotherMachine(directive)) {
          deps.log("error", "directive.foreign", {
            generation: directive.generation,
            action: directive.action,
          });
          deps.onForeign?.();
          return;
        }
        if (!isNewDirective(directive, state.report)) {
          deps.log("debug", "directive.outdated", {
            generation: directive.generation,
          });
          return;
        }
        await carryOut(directive, signal);
      }),
    resume: (signal) =>
      inTurn(async () => {
        await takeReleaseCode(signal);
        restoreFiles();
        if (state.underway) return carryOut(asWish(state.report), signal);
        // Since the last start this directory may have been restored: whatever it says is proven anew.
        if (isLasting()) await reassertNow(signal, { isAnew: true });
      }),
    reassert: (signal, { isQuick } = { isQuick: false }) =>
      inTurn(async () => {
        restoreFiles();
        await takeReleaseCode(signal);
        const isAnew = wasAway();
        if (isLasting()) await reassertNow(signal, { isAnew, isQuick });
      }),
  };

  async function takeReleaseCode(signal: AbortSignal): Promise<void> {
    const code = takeCode(deps.directory);
    if (code === undefined) return;
    const refused = await freeBy(code, signal).catch(reasonOf);
    if (refused !== undefined) deps.log("warn", "release-code.refused", { reason: refused });
    answerCode(deps.directory, {
      code,
      freed: refused === undefined,
      ...(refused !== undefined && { reason: refused }),
    });
  }

  /** Frees the host by a code, once. Gives why not; then nothing has changed. */
  async function freeBy(code: string, signal: AbortSignal): Promise<string | undefined> {
    const self = deps.self();
    const { jti, generation } = await verifyReleaseCode(code, self.jwks, self, deps.clock());
    if (state.usedCodes.includes(jti)) return "the code was used before";
    if (generation < state.report.generation) return "the code is older than the isolation";
    if (state.report.action !== "isolate" && !isRecovered()) return "this host is not isolated";
    const { report, traces } = state;
    // A state that was lost does not say which isolation it is: the newest one when the code was made.
    const order = {
      generation: Math.max(report.generation, isRecovered() ? generation : 0),
      action: "release",
      mode: traces?.mode ?? report.mode,
    } as const;
    const proof = await release(order, signal);
    if (proof.outcome === "failed") return proof.reason ?? "it could not be undone";
    repairs.clear();
    keep({ ...state, repairs: undefined, usedCodes: [jti, ...state.usedCodes].slice(0, 64) });
    settle(order, { ...proof, reason: `released at the host with code ${jti}` });
    deps.log("info", "release-code.applied", { generation: order.generation });
    return undefined;
  }

  /** A new report only when the proof differs or is to be made anew: an isolation that holds is not news. */
  async function reassertNow(
    signal: AbortSignal,
    { isAnew, isQuick = false }: { isAnew: boolean; isQuick?: boolean },
  ): Promise<void> {
    const { report } = state;
    const { mode, ...how } = isRecovered()
      ? { mode: state.traces!.mode }
      : { mode: report.mode, ...howOf(report) };
    const order = {
      generation: report.generation,
      mode,
      wasInForce: true,
      ...how,
      ...(isQuick && { isQuick }),
    };
    // A look that could not be made proves nothing: what was proven before may be over.
    const look = await deps.enforcers[mode]
      .reassert(order, signal)
      .catch((cause: unknown): Proof => ({ outcome: "failed", reason: reasonOf(cause) }));
    if (signal.aborted) return;
    const proof = overInterval(look);
    if (isRecovered()) return;
    if (look.outcome === "applied" && state.traces && !state.traces.wasInForce)
      keep({ ...state, traces: { ...state.traces, wasInForce: true } });
    // The reason of a failure names processes and errors, which may differ with each look: only repairs are told anew.
    const isTold =
      proof.reason === undefined || proof.reason === report.reason || (look.outcome === "failed" && !isAnew);
    const same =
      isTold &&
      proof.outcome === report.outcome &&
      JSON.stringify(proof.probes) === JSON.stringify(report.probes);
    // Keep reporting what the first enforcement did: a look that finds all of it in force does not repeat it.
    const told = same && report.reason !== undefined ? { ...proof, reason: report.reason } : proof;
    if (!same || isAnew) settle(asWish(report), told);
  }

  /** What a look proves of the interval since the last one: repairs that follow each other fail it. */
  function overInterval({ repaired, ...look }: Proof): Proof {
    if (repaired !== undefined) {
      deps.log("warn", "containment.repaired", { reason: repaired });
      deps.onRepair?.();
    }
    const counted = repairs.note(repaired);
    if (JSON.stringify(counted) !== JSON.stringify(state.repairs)) keep({ ...state, repairs: counted });
    if (!counted || look.outcome === "failed") return look;
    if (isRepeated(counted)) return { ...look, outcome: "failed", reason: describeRepeated(counted) };
    return repaired === undefined
      ? look
      : { ...look, reason: describeOne(repaired, timestamp(deps.clock())) };
  }
}

const asWish = (report: ContainmentReport): Wish => ({
  generation: report.generation,
  action: report.action === "release" ? "release" : "isolate",
  mode: report.mode,
  ...howOf(report),
});

const howOf = (order: Pick<ContainmentReport, "stopEnginesBy"> | null) =>
  order?.stopEnginesBy === undefined ? {} : { stopEnginesBy: order.stopEnginesBy };

/**
 * The state as it was saved. When it is lost the daemon starts all the same: what other files show of an isolation stays
 * in force, and the control plane repeats its directive as long as the heartbeats show an older generation.
 */
function load(deps: DirectiveDeps): Stored {
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

const reasonOf = (cause: unknown): string => messageOf(cause);
