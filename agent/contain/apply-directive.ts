import { isNewDirective } from "../../shared/containment/containment-state.ts";
import { messageOf } from "../../shared/observability/error-message.ts";
import type { Clock } from "../../shared/time/clock.ts";
import { type Directive, verifyDirective } from "../../shared/wire/directive.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import type { ContainmentReport, Mode } from "../../shared/wire/heartbeat.ts";
import type { Identity } from "../identity/device-identity.ts";
import type { Moment } from "../network/control-clock.ts";
import type { Log } from "../platform/log.ts";
import { applyReleaseCode } from "./apply-release-code.ts";
import { carryOutOrder } from "./carry-out-order.ts";
import type { Enforcer } from "./modes/enforcer.ts";
import { reassertIsolation } from "./reassert-isolation.ts";
import { ContainmentStore, orderOf } from "./state/containment-store.ts";
import { createRepairHistory } from "./state/repairs.ts";

/**
 * Minimum change of the difference between wall clock and monotonic clock, in milliseconds, that shows that
 * the machine slept or was restored from a snapshot.
 */
const SUSPENDED_MS_MIN = 2000;

export type DirectiveDeps = {
  directory: string;
  self: () => Pick<Identity, "tenantId" | "assetId" | "jwks">;
  /** Fingerprint of this machine. */
  hardware?: Hardware | undefined;
  /** Called when a directive is for another machine. This means that two machines use the same identity. */
  onForeign?: (() => void) | undefined;
  enforcers: Readonly<Record<Mode, Enforcer>>;
  /** Current time of the control plane, as estimated by the agent. */
  clock: Clock;
  /** The moment from which this agent was able to apply directives. */
  since: Moment;
  /** Milliseconds since this process started, by a monotonic clock. */
  elapsed: () => number;
  log: Log;
  /** Called when there is a new report, so that the next heartbeat is sent early. */
  onReport: () => void;
  /** Called after the agent restored a modified isolation. */
  onRepair?: (() => void) | undefined;
  /** Shows a notice to the users of this host. Failures are logged and have no other effect. */
  notifyUsers?: ((text: string) => Promise<void>) | undefined;
};

export type DirectiveHandler = {
  report: () => ContainmentReport;
  /** Applies a directive if it is genuine, for this asset, not expired and newer than the last applied one. */
  handle: (jws: string, signal: AbortSignal) => Promise<void>;
  /** Call after a start. Carries out an order that a crash interrupted, and enforces a lasting isolation again. */
  resume: (signal: AbortSignal) => Promise<void>;
  /**
   * While isolated: checks the isolation and restores modified parts. `isQuick`: this check is one of several
   * per second.
   */
  reassert: (signal: AbortSignal, options?: { isQuick: boolean }) => Promise<void>;
};

/** Applies directives and release codes. Nothing else isolates or releases this host. Orders run one at a time. */
export function createDirectiveHandler(deps: DirectiveDeps): DirectiveHandler {
  const store = new ContainmentStore(deps);
  const suspension = createSuspensionDetector(deps);
  const repairs = createRepairHistory(store.state.repairs, deps.elapsed);
  const context = { ...deps, store, repairs };
  const verify = createVerifier(deps);
  let queue: Promise<void> = Promise.resolve();

  function enqueue(work: () => Promise<void>): Promise<void> {
    queue = queue.then(work).catch((cause: unknown) => {
      deps.log("error", "containment.failed", { reason: messageOf(cause) });
    });
    return queue;
  }

  return {
    report: () => store.report(),
    handle: (jws, signal) =>
      enqueue(async () => {
        const directive = await verify(jws);
        if (directive && isApplicable(deps, store, directive))
          await carryOutOrder(context, directive, signal);
      }),
    resume: (signal) =>
      enqueue(async () => {
        await applyReleaseCode(context, signal);
        store.restoreFiles();
        if (store.state.underway) return carryOutOrder(context, orderOf(store.state.report), signal);
        // Renew the proof, because the state directory may have been restored from a backup.
        if (store.isLasting()) await reassertIsolation(context, signal, { isRenewed: true });
      }),
    reassert: (signal, { isQuick } = { isQuick: false }) =>
      enqueue(async () => {
        store.restoreFiles();
        await applyReleaseCode(context, signal);
        const isRenewed = suspension.wasSuspended();
        if (store.isLasting()) await reassertIsolation(context, signal, { isRenewed, isQuick });
      }),
  };
}

/**
 * Verifies directives. Every response of the control plane contains the directive until the control plane has
 * its proof, so a genuine directive is returned only once. A rejected directive is verified again each time,
 * because the clock may be corrected and keys may rotate. The rejection is logged only once.
 */
function createVerifier({
  self,
  clock,
  log,
}: DirectiveDeps): (jws: string) => Promise<Directive | undefined> {
  let verified: string | undefined;
  let refused: string | undefined;
  return async (jws) => {
    if (jws === verified) return undefined;
    try {
      const own = self();
      const directive = await verifyDirective(jws, own.jwks, own, clock());
      verified = jws;
      return directive;
    } catch (cause) {
      if (jws !== refused) log("warn", "directive.refused", { reason: messageOf(cause) });
      refused = jws;
      return undefined;
    }
  };
}

/** True if a genuine directive is for this machine and newer than the last applied one. */
function isApplicable(deps: DirectiveDeps, store: ContainmentStore, directive: Directive): boolean {
  const { generation, action } = directive;
  if (isForAnotherMachine(deps, directive)) {
    deps.log("error", "directive.foreign", { generation, action });
    deps.onForeign?.();
    return false;
  }
  if (!isNewDirective(directive, store.state.report)) {
    deps.log("debug", "directive.outdated", { generation });
    return false;
  }
  return true;
}

/** True if both mainboards are known and differ. A directive for an unknown mainboard is applied. */
const isForAnotherMachine = ({ hardware: own }: DirectiveDeps, { hardware }: Directive): boolean =>
  hardware !== undefined && own?.strength === "board" && own.id !== hardware;

/**
 * Detects periods in which this process did not run, because the machine slept or was restored from a
 * snapshot. A proof from before such a period says nothing about the current isolation. It can also be older
 * than the proof that the control plane has.
 */
function createSuspensionDetector({ clock, elapsed }: Pick<DirectiveDeps, "clock" | "elapsed">) {
  /** Wall clock minus monotonic clock in milliseconds. The difference is constant while the process runs. */
  const leadNow = (): number => clock() - elapsed();
  let leadMs = leadNow();
  return {
    /** True if the process was suspended since the last call. */
    wasSuspended: (): boolean => {
      const beforeMs = leadMs;
      leadMs = leadNow();
      return leadMs - beforeMs > SUSPENDED_MS_MIN;
    },
  };
}
