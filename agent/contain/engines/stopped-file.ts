import { z } from "zod";
import { type TwinFile, twinFile } from "../state/twin-file.ts";

/** A process that we stopped, with its ports: one that is suspended, or ended, is not recognised as an engine any more. */
export const stopped = z.strictObject({
  pid: z.int().min(2),
  /** Tells it from a later process with the same pid. */
  birth: z.string(),
  ports: z.array(z.int().min(1).max(65_535)).default([]),
});
export type Stopped = z.infer<typeof stopped>;

/** The processes that were stopped, so that a release finds what an earlier daemon stopped. */
export const stoppedFile = (directory: string): TwinFile<Stopped[]> =>
  // Neither file says when it was written: one that lists more cannot miss a process to wake.
  twinFile({ directory, name: "stopped", schema: z.array(stopped), isNewer: (a, b) => a.length > b.length });
