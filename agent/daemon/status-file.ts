import { z } from "zod";
import { containmentReport } from "../../shared/wire/heartbeat.ts";
import { isoTimestamp } from "../../shared/wire/text.ts";
import { readState, writeState } from "../platform/state-files.ts";

const FILE = "status.json";

/** What the daemon last wrote about itself. It may be up to half a minute old. */
export const daemonStatus = z.object({
  writtenAt: isoTimestamp,
  /** Of the daemon that wrote it; another than the one that runs now when that has not said anything yet. */
  pid: z.int().optional(),
  version: z.string(),
  /** The configuration file it was started with. */
  config: z.string().optional(),
  /** The proxy it goes through, `host:port` or `none`. */
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

/** Not worth stopping anything for: a damaged or missing status is no status. */
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
    // A full disk is reported by the spool, whose business it is.
  }
}
