import type { Mode } from "../../../shared/wire/heartbeat.ts";
import type { Enforcer } from "../modes/enforcer.ts";

/** A mode this agent cannot enforce on this system says so; it never pretends. Releasing it undoes nothing. */
export function unsupportedEnforcer(
  mode: Mode,
  why = "is not supported by this agent on this system",
): Enforcer {
  const failed = { outcome: "failed", reason: `mode ${mode} ${why}` } as const;
  return {
    apply: async () => failed,
    release: async () => ({ outcome: "applied" }),
    reassert: async () => failed,
  };
}
