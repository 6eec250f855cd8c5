import type { Finding, TelemetryChange } from "../../table/items/asset/telemetry.ts";
import type { Policy } from "../../table/items/policy.ts";
import { evaluate } from "./evaluate.ts";

/** Rules that ask for what a stored change does not hold: they cannot be tried on it. */
export const NOT_STORED: readonly string[] = [
  "stale-catalogue",
  "lost-heartbeats",
  "late-heartbeats",
  "identity-cloned",
  "isolated-host-reenrolled",
];

/**
 * What the rules would have found in a recorded state under another policy: the worker's own rules, without baseline
 * and adjudication, and without those of {@link NOT_STORED}.
 */
export function judgeStored(item: TelemetryChange, policy: Policy): Finding[] {
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
