import type { Enforcer, Proof, ReachControlPlane } from "./enforcer.ts";

/** Mode `observe`: nothing on the host is changed, so nothing is blocked and nothing is probed as blocked. */
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
