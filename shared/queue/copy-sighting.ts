import { z } from "zod";
import { text } from "../wire/text.ts";

/**
 * Line of a pack that is not a heartbeat. It reports that the edge refused a session of this asset to another
 * machine. An older worker that does not know this line sends it to the dead-letter queue, from which it can
 * be replayed.
 */
const copySighting = z.strictObject({
  v: z.literal(1),
  copied: z.strictObject({
    /** Hostname that the other machine reports. Absent if it reports none. */
    hostname: text(253).optional(),
  }),
});
export type CopySighting = z.infer<typeof copySighting>;

/** Parses the body of a line. Returns undefined if it is not a report of a copy. */
export function parseCopySighting(body: string): CopySighting | undefined {
  if (!body.startsWith('{"v":1,"copied":')) return undefined;
  try {
    return copySighting.parse(JSON.parse(body));
  } catch {
    return undefined;
  }
}
