import { messageOf } from "../../shared/observability/error-message.ts";
import { type Clock, timestamp } from "../../shared/time/clock.ts";
import { finishOrder, type OrderDeps } from "./carry-out-order.ts";
import type { Order, Proof } from "./modes/enforcer.ts";
import { type ContainmentStore, methodOf, orderOf } from "./state/containment-store.ts";
import { describeOne, describeRepeated, isRepeated } from "./state/repairs.ts";

export type ReassertDeps = OrderDeps & {
  clock: Clock;
  /** Called after the agent restored a modified isolation. */
  onRepair?: (() => void) | undefined;
};

export type ReassertOptions = {
  /**
   * If true, sends a report even if nothing has changed, because the last proof may not cover the time since
   * then.
   */
  isRenewed: boolean;
  /** True if this check is one of several per second, so names are not resolved again. */
  isQuick?: boolean;
};

/** Checks the isolation and restores modified parts. Creates a new report only if the proof differs or is renewed. */
export async function reassertIsolation(
  deps: ReassertDeps,
  signal: AbortSignal,
  { isRenewed, isQuick = false }: ReassertOptions,
): Promise<void> {
  const { store } = deps;
  const { report } = store.state;
  const order = currentOrder(store, isQuick);
  // If the check itself fails, do not rely on the earlier proof, because it may no longer hold.
  const checked = await deps.enforcers[order.mode]
    .reassert(order, signal)
    .catch((cause: unknown): Proof => ({ outcome: "failed", reason: messageOf(cause) }));
  if (signal.aborted) return;
  const proof = overInterval(deps, checked);
  if (store.isRecovered()) return;
  const { traces } = store.state;
  if (checked.outcome === "applied" && traces && !traces.wasInForce)
    store.update({ traces: { ...traces, wasInForce: true } });
  // The reason of a failure names processes and errors, which can differ between checks. So a new reason
  // leads to a new report only if it describes a repair.
  const isReported =
    proof.reason === undefined ||
    proof.reason === report.reason ||
    (checked.outcome === "failed" && !isRenewed);
  const isSame =
    isReported &&
    proof.outcome === report.outcome &&
    JSON.stringify(proof.probes) === JSON.stringify(report.probes);
  // Keep reporting the first enforcement's actions. A later check that changes nothing does not overwrite them.
  const reported = isSame && report.reason !== undefined ? { ...proof, reason: report.reason } : proof;
  if (!isSame || isRenewed) finishOrder(deps, orderOf(report), reported);
}

/** The isolation in force, as an order to its enforcer. */
function currentOrder(store: ContainmentStore, isQuick: boolean): Order {
  const { report, traces } = store.state;
  const mode = store.isRecovered() ? { mode: traces!.mode } : { mode: report.mode, ...methodOf(report) };
  return {
    generation: report.generation,
    ...mode,
    wasInForce: true,
    ...(isQuick && { isQuick }),
  };
}

/** The proof for the whole interval since the last check. Repeated repairs make this proof fail. */
function overInterval(deps: ReassertDeps, { repaired, ...checked }: Proof): Proof {
  const { store, repairs } = deps;
  if (repaired !== undefined) {
    deps.log("warn", "containment.repaired", { reason: repaired });
    deps.onRepair?.();
  }
  const counted = repairs.note(repaired);
  if (JSON.stringify(counted) !== JSON.stringify(store.state.repairs)) store.update({ repairs: counted });
  if (!counted || checked.outcome === "failed") return checked;
  if (isRepeated(counted)) return { ...checked, outcome: "failed", reason: describeRepeated(counted) };
  return repaired === undefined
    ? checked
    : { ...checked, reason: describeOne(repaired, timestamp(deps.clock())) };
}
