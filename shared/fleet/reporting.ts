import { isOffline } from "../containment/containment-state.ts";

export type Reporting = "reporting" | "silent" | "never";

/** Whether a host is heard of; `never`: it has enrolled and no heartbeat of it has arrived. */
export function reportingOf(
  presence: { lastSeenAt: string; intervalMs: number } | undefined,
  nowMs: number,
): Reporting {
  if (!presence) return "never";
  return isOffline(presence, nowMs) ? "silent" : "reporting";
}
