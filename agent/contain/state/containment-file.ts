import { z } from "zod";
import { containmentReport, type Mode, mode, stopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { type TwinFile, twinFile } from "./twin-file.ts";

const stored = z.strictObject({
  report: containmentReport,
  /** The order has begun and has no result yet. The next start carries it out again. */
  underway: z.boolean(),
  /** The mode that may have changed this host; null once its release has succeeded. */
  traces: z
    .strictObject({ mode, wasInForce: z.boolean(), stopEnginesBy: stopEnginesBy.optional() })
    .nullable(),
  /** Ids of release codes that freed this host, newest first. */
  usedCodes: z.array(z.string()).max(64).default([]),
  /** Recent repairs, which count against the isolation; absent without any. */
  repairs: z.strictObject({ count: z.int().min(1), what: z.string() }).optional(),
});
export type Stored = z.infer<typeof stored>;

/** The last order that this host carried out, and the changes that it may have made. */
export const containmentFile = (directory: string): TwinFile<Stored> =>
  twinFile({
    directory,
    name: "containment",
    schema: stored,
    // Report times grow over all generations, see ContainmentStore.
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
 * Deletes the state, because the generations of a new asset start at 0. Only for a host that is not isolated
 * ({@link readContained}): the files also record what a release must undo.
 */
export const forgetContainment = (directory: string): void => containmentFile(directory).remove();
