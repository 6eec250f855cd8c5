import { z } from "zod";
import { type TwinFile, twinFile } from "../state/twin-file.ts";

/**
 * A process that the agent stopped, with its ports. The agent saves both, because a scan does not recognise a
 * suspended or ended process as an engine.
 */
const stopped = z.strictObject({
  pid: z.int().min(2),
  /** Distinguishes the process from a later process with the same pid. */
  birth: z.string(),
  ports: z.array(z.int().min(1).max(65_535)).default([]),
});
export type Stopped = z.infer<typeof stopped>;

/** The saved list of stopped processes, so that a release can resume processes that an earlier daemon stopped. */
export const stoppedFile = (directory: string): TwinFile<Stopped[]> =>
  // The two files contain no time. The longer list is used, so that no process stays suspended.
  twinFile({ directory, name: "stopped", schema: z.array(stopped), isNewer: (a, b) => a.length > b.length });
