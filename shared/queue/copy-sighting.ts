import { z } from "zod";
import { text } from "../wire/text.ts";

/**
 * A line of a pack that is not a heartbeat. It reports that another machine used this asset's identity and
 * that the edge refused it a session. An older worker that does not know this kind of line sends it to the
 * dead-letter queue, from which it can be replayed.
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
