import { isOffline } from "../containment/containment-state.ts";

export type Reporting = "reporting" | "silent" | "never";

/** Whether a host reports. `never`: it has enrolled, but has not sent a heartbeat yet. */
export function reportingOf(
  presence: { lastSeenAt: string; intervalMs: number } | undefined,
  nowMs: number,
): Reporting {
  if (!presence) return "never";
  return isOffline(presence, nowMs) ? "silent" : "reporting";
}
