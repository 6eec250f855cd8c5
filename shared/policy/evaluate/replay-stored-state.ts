import type { Finding, TelemetryChange } from "../../table/items/asset/telemetry.ts";
import type { Policy } from "../../table/items/policy.ts";
import { evaluate } from "./evaluate.ts";

/** Rules that cannot be replayed, because they need data that a stored state does not contain. */
export const NOT_STORED: readonly string[] = [
  "stale-catalogue",
  "lost-heartbeats",
  "late-heartbeats",
  "identity-cloned",
  "isolated-host-reenrolled",
];

/**
 * Findings of a stored state under another policy. Applies all rules except {@link NOT_STORED}, without
 * baseline and LLM review.
 */
export function replayStoredState(item: TelemetryChange, policy: Policy): Finding[] {
  const heartbeat = {
    engines: item.engines,
    ...(item.stores && { stores: item.stores }),
    collectors: item.collectors,
    containment: item.containment,
    agent: { version: item.agentVersion, catalogue: "", intervalMs: 5000 },
    host: { hostname: item.hostname, os: "-", arch: "-" },
    spool: { waiting: 0, dropped: 0 },
  };
  const { findings } = evaluate({ heartbeat, policy, at: item.at });
  return findings.filter(({ rule }) => !NOT_STORED.includes(rule));
}
