import type { Mode } from "../../../shared/wire/heartbeat.ts";
import type { Enforcer } from "../modes/enforcer.ts";
import { observeEnforcer } from "../modes/observe.ts";
import type { HostOptions } from "./host-enforcers.ts";
import { unsupportedEnforcer } from "./unsupported.ts";

/**
 * The enforcers for this system. If the system or the user's permissions do not allow a mode, its enforcer
 * always fails with a reason.
 */
export async function enforcersFor(
  { platform, isRoot }: { platform: NodeJS.Platform; isRoot: boolean },
  options: HostOptions,
): Promise<Record<Mode, Enforcer>> {
  const observe = observeEnforcer(options.reach);
  const unsupported = (why?: string) => ({
    observe,
    network: unsupportedEnforcer("network", why),
    "stop-engines": unsupportedEnforcer("stop-engines", why),
  });
  // Each module is loaded only on its own system, because other systems lack its libraries.
  if (platform === "win32") {
    const { windowsEnforcers } = await import("./windows.ts");
    return { observe, ...(await windowsEnforcers(options)) };
  }
  if (platform !== "linux" && platform !== "darwin") return unsupported();
  if (!isRoot) return unsupported("needs the agent to run as root");
  if (platform === "darwin") return { observe, ...(await import("./darwin.ts")).darwinEnforcers(options) };
  return { observe, ...(await import("./linux.ts")).linuxEnforcers(options) };
}
