import { z } from "zod";
import { containmentReport } from "../../shared/wire/heartbeat.ts";
import { isoTimestamp } from "../../shared/wire/text.ts";
import { readState, writeState } from "../platform/state-files.ts";

const FILE = "status.json";

/** Status of the daemon, for `lz-agent status`. Up to half a minute old. */
const daemonStatus = z.object({
  writtenAt: isoTimestamp,
  /** Process that wrote the status. A daemon that has just started has not written its own status yet. */
  pid: z.int().optional(),
  version: z.string(),
  /** The configuration file of the daemon. */
  config: z.string().optional(),
  /** The daemon's proxy, `host:port` or `none`. */
  proxy: z.string().optional(),
  connection: z.enum(["starting", "online", "away", "revoked", "copied"]),
  reason: z.string().optional(),
  lastTakenAt: isoTimestamp.optional(),
  engines: z.int().min(0),
  dropped: z.int().min(0),
  /** Why the newest settings of the tenant are not in use. */
  settingsRefused: z.string().optional(),
  containment: containmentReport,
});
export type DaemonStatus = z.infer<typeof daemonStatus>;

/** The status; undefined if the file is missing or damaged. */
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
    // Ignored: the spool reports a full disk.
  }
}
