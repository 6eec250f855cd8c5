import type { Enforcer, Proof, ReachControlPlane } from "./enforcer.ts";

/** Mode `observe`: changes nothing on the host. No connection is blocked, and none is attempted to test a block. */
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
