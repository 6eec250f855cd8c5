import { z } from "zod";
import { containmentReport, type Mode, mode, stopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { type TwinFile, twinFile } from "./twin-file.ts";

export const stored = z.strictObject({
  report: containmentReport,
  /** An order was begun and its end not yet seen; a restart carries it out again. */
  underway: z.boolean(),
  /** The mode that may have changed something on this host, until its release succeeded. */
  traces: z
    .strictObject({ mode, wasInForce: z.boolean(), stopEnginesBy: stopEnginesBy.optional() })
    .nullable(),
  /** Ids of release codes that freed this host, newest first. */
  usedCodes: z.array(z.string()).max(64).default([]),
  /** Repairs that still count against the isolation; absent without any. */
  repairs: z.strictObject({ count: z.int().min(1), what: z.string() }).optional(),
});
export type Stored = z.infer<typeof stored>;

/** What this host obeyed last, and what it may have changed. */
export const containmentFile = (directory: string): TwinFile<Stored> =>
  twinFile({
    directory,
    name: "containment",
    schema: stored,
    // The times of reports grow over all generations, see nextStamp() in apply-directive.ts.
    isNewer: (a, b) => a.report.at > b.report.at,
  });

export type Contained = { mode: Exclude<Mode, "observe">; generation: number };

/** The blocking mode that is not proven to be undone. Throws {@link StateFault} when no file says it. */
export function readContained(directory: string): Contained | undefined {
  const { traces, report } = containmentFile(directory).read() ?? {};
  if (!traces || traces.mode === "observe") return undefined;
  return { mode: traces.mode, generation: report?.generation ?? 0 };
}

/**
 * Generations count for one asset: under a new one they begin anew. Only of a host that is free ({@link readContained}),
 * for the files also say what there is to undo.
 */
export const forgetContainment = (directory: string): void => containmentFile(directory).remove();
