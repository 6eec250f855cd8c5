import { z } from "zod";
import { text } from "../wire/text.ts";

/**
 * Line of a pack that stands in for a heartbeat: an edge refused a session of this asset to another machine. A worker
 * that does not know it sets it aside, and it can be replayed.
 */
export const copySighting = z.strictObject({
  v: z.literal(1),
  copied: z.strictObject({
    /** What that machine calls itself, if it said so. */
    hostname: text(253).optional(),
  }),
});
export type CopySighting = z.infer<typeof copySighting>;

/** The sighting that a line's body is; undefined for anything else. */
export function parseCopySighting(body: string): CopySighting | undefined {
  if (!body.startsWith('{"v":1,"copied":')) return undefined;
  try {
    return copySighting.parse(JSON.parse(body));
  } catch {
    return undefined;
  }
}
