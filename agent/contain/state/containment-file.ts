import { z } from "zod";
import { containmentReport, type Mode, mode, stopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { type TwinFile, twinFile } from "./twin-file.ts";

const stored = z.strictObject({
  report: containmentReport,
  /** True if the order was started and has no result yet. The next start carries out the order again. */
  underway: z.boolean(),
  /** The mode that may have changed this host. Null if no change remains after a successful release. */
  traces: z
    .strictObject({ mode, wasInForce: z.boolean(), stopEnginesBy: stopEnginesBy.optional() })
    .nullable(),
  /** Ids of release codes that released this host, newest first. */
  usedCodes: z.array(z.string()).max(64).default([]),
  /** Recent repairs, which can make a proof fail. Absent without recent repairs. */
  repairs: z.strictObject({ count: z.int().min(1), what: z.string() }).optional(),
});
export type Stored = z.infer<typeof stored>;

/** The last order that this host carried out, and the mode that may have changed the host. */
export const containmentFile = (directory: string): TwinFile<Stored> =>
  twinFile({
    directory,
    name: "containment",
    schema: stored,
    // Report times increase across all generations, see ContainmentStore.
    isNewer: (a, b) => a.report.at > b.report.at,
  });

export type Contained = { mode: Exclude<Mode, "observe">; generation: number };

/** The blocking mode that may still be in force. Throws {@link StateFault} if neither file can be read. */
export function readContained(directory: string): Contained | undefined {
  const { traces, report } = containmentFile(directory).read() ?? {};
  if (!traces || traces.mode === "observe") return undefined;
  return { mode: traces.mode, generation: report?.generation ?? 0 };
}

/**
 * Deletes the containment state, because the generations of a new asset start at 0. Call only for a host that
 * is not isolated ({@link readContained}), because the files also record what a release must undo.
 */
export const forgetContainment = (directory: string): void => containmentFile(directory).remove();
