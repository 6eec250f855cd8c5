import { z } from "zod";
import { containmentReport } from "../../shared/wire/heartbeat.ts";
import { isoTimestamp } from "../../shared/wire/text.ts";
import { readState, writeState } from "../platform/state-files.ts";

const FILE = "status.json";

/** Status of the daemon, for `lz-agent status`. The status can be up to 30 s old. */
const daemonStatus = z.object({
  writtenAt: isoTimestamp,
  /**
   * Pid of the process that wrote the status. It can be an earlier daemon, because a daemon that has just
   * started has not written its status yet.
   */
  pid: z.int().optional(),
  version: z.string(),
  /** Path of the configuration file that the daemon uses. */
  config: z.string().optional(),
  /** The daemon's proxy as `host:port`, or `none`. */
  proxy: z.string().optional(),
  connection: z.enum(["starting", "online", "away", "revoked", "copied"]),
  reason: z.string().optional(),
  lastTakenAt: isoTimestamp.optional(),
  engines: z.int().min(0),
  dropped: z.int().min(0),
  /** Why the newest settings of the tenant are not in use. Absent if they are in use. */
  settingsRefused: z.string().optional(),
  containment: containmentReport,
});
export type DaemonStatus = z.infer<typeof daemonStatus>;

/** Reads the status. Undefined if the file is missing or damaged. */
export function readStatus(directory: string): DaemonStatus | undefined {
  try {
    return readState(directory, FILE, daemonStatus);
  } catch {
    return undefined;
  }
}

export function writeStatus(directory: string, status: DaemonStatus): void {
  try {
    writeState(directory, FILE, status);
  } catch {
    // Ignore the error, because the spool also reports a full disk.
  }
}
