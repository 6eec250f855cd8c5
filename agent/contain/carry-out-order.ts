import { messageOf } from "../../shared/observability/error-message.ts";
import type { Mode } from "../../shared/wire/heartbeat.ts";
import type { Log } from "../platform/log.ts";
import type { Enforcer, Proof } from "./modes/enforcer.ts";
import { noticeText } from "./notify-user.ts";
import type { Stored } from "./state/containment-file.ts";
import { type ContainmentOrder, type ContainmentStore, methodOf } from "./state/containment-store.ts";
import type { RepairHistory } from "./state/repairs.ts";

export type OrderDeps = {
  store: ContainmentStore;
  enforcers: Readonly<Record<Mode, Enforcer>>;
  repairs: RepairHistory;
  log: Log;
  /** Called when there is a new report, so that the next heartbeat is sent early. */
  onReport: () => void;
  /** Shows a notice to the users of this host. Failures are logged and have no other effect. */
  notifyUsers?: ((text: string) => Promise<void>) | undefined;
};

/** Applies an order, records its proof in a report, and notifies the users of this host. */
export async function carryOutOrder(
  deps: OrderDeps,
  order: ContainmentOrder,
  signal: AbortSignal,
): Promise<void> {
  const { generation, action, mode } = order;
  const { traces } = deps.store.state;
  deps.repairs.clear();
  deps.store.begin(order);
  const carriedOut = action === "isolate" ? isolate(deps, order, signal) : release(deps, order, signal);
  const proof = await carriedOut.catch((cause: unknown): Proof | undefined =>
    signal.aborted ? undefined : { outcome: "failed", reason: messageOf(cause) },
  );
  // The daemon was stopped before the order was complete. The order stays marked as under way, and the next
  // start carries it out again.
  if (!proof) return;
  finishOrder(deps, order, proof);
  const isApplied = proof.outcome === "applied";
  const text = isApplied
    ? noticeText(action === "release" ? { ...order, ...methodOf(traces) } : order)
    : undefined;
  if (text !== undefined) void notify(deps, text);
  deps.log(isApplied ? "info" : "error", isApplied ? "directive.applied" : "directive.failed", {
    action,
    generation,
    mode,
    reason: proof.reason,
  });
}

/** Records the proof of an order and requests an early heartbeat. */
export function finishOrder(
  { store, onReport }: Pick<OrderDeps, "store" | "onReport">,
  order: ContainmentOrder,
  proof: Proof,
): void {
  store.finish(order, proof);
  onReport();
}

async function notify({ notifyUsers, log }: OrderDeps, text: string): Promise<void> {
  await notifyUsers?.(text).catch((cause: unknown) => {
    log("warn", "notice.not-shown", { reason: messageOf(cause) });
  });
}

async function isolate(deps: OrderDeps, order: ContainmentOrder, signal: AbortSignal): Promise<Proof> {
  const { store, enforcers } = deps;
  const { generation, mode } = order;
  const method = methodOf(order);
  const { traces } = store.state;
  if (traces && traces.mode !== mode) {
    const undone = await undo(deps, generation, traces, signal);
    if (undone.outcome === "failed") return undone;
  }
  store.update({ traces: { mode, wasInForce: true, ...method } });
  const proof = await enforcers[mode].apply({ generation, mode, wasInForce: true, ...method }, signal);
  if (proof.outcome === "failed") store.update({ traces: { mode, wasInForce: false, ...method } });
  return proof;
}

/** Ends the isolation that is in force, even if the release names a different mode. */
export const release = (
  deps: Pick<OrderDeps, "store" | "enforcers">,
  { generation, mode }: ContainmentOrder,
  signal: AbortSignal,
): Promise<Proof> => undo(deps, generation, deps.store.state.traces ?? { mode, wasInForce: false }, signal);

async function undo(
  { store, enforcers }: Pick<OrderDeps, "store" | "enforcers">,
  generation: number,
  traces: NonNullable<Stored["traces"]>,
  signal: AbortSignal,
): Promise<Proof> {
  const proof = await enforcers[traces.mode].release({ generation, ...traces }, signal);
  if (proof.outcome === "applied") store.update({ traces: null });
  return proof;
}
