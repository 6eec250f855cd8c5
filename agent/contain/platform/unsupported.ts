import type { Mode } from "../../../shared/wire/heartbeat.ts";
import type { Enforcer } from "../modes/enforcer.ts";

/** The enforcer of a mode that this system does not support. Orders fail with a reason, and a release is a no-op. */
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
