import { posix, win32 } from "node:path";
import type { Settings } from "../daemon/settings.ts";
import { createLog, type Log } from "../platform/log.ts";
import { openLogFile } from "../platform/log-file.ts";
import type { Machine } from "./machine.ts";

/** Folder for the agent's logs on macOS, where Console.app shows them. */
const DARWIN_LOGS = "/Library/Logs/LifecycleZero";

/**
 * Opens the log as configured by the settings. A service writes JSON lines by default. On Windows and macOS,
 * a service also writes to a file by default, because Windows discards the stderr of a service, and macOS
 * never truncates the file that stderr is written to.
 */
export function logOf(
  machine: Pick<Machine, "complain" | "clock" | "platform">,
  settings: Settings,
  isService = false,
): Log {
  const file = settings.logFile ?? (isService ? serviceLog(machine.platform, settings.state) : undefined);
  return createLog({
    write: file === undefined ? machine.complain : openLogFile(file, machine.complain),
    clock: machine.clock,
    format: settings.log ?? (isService ? "json" : "text"),
    level: settings.verbose ? "debug" : "info",
  });
}

function serviceLog(platform: NodeJS.Platform, state: string): string | undefined {
  if (platform === "win32") return win32.join(state, "agent.log");
  if (platform === "darwin") return posix.join(DARWIN_LOGS, "agent.log");
  return undefined;
}
