import type { Enforcer, Proof, ReachControlPlane } from "./enforcer.ts";

/** Mode `observe`: changes nothing on the host. It blocks no connections and tests no forbidden connections. */
export function observeEnforcer(reachControlPlane: ReachControlPlane): Enforcer {
  const acknowledge = async (signal: AbortSignal): Promise<Proof> => ({
    outcome: "applied",
    probes: { controlPlaneReachable: await reachControlPlane(signal), forbiddenBlocked: null },
  });
  return {
    apply: (_order, signal) => acknowledge(signal),
    release: (_order, signal) => acknowledge(signal),
    reassert: (_order, signal) => acknowledge(signal),
  };
}
