import { z } from "zod";

export const DIRECTIVE_PATH = "/v1/directive";

/** How long an edge node keeps the question open before it says that there is nothing: 204. */
export const DIRECTIVE_HOLD_MS = 25_000;

/** Asks for a directive newer than the one reported. Signed like a heartbeat; changes nothing, proves nothing. */
export const directivePoll = z.strictObject({
  v: z.literal(1),
  /** Of the agent's containment report, as in its heartbeats. */
  generation: z.int().min(0),
});
export type DirectivePoll = z.infer<typeof directivePoll>;

/** Body of the 200. The agent obeys the directive by its own signature, whoever brings it. */
export const directiveAnswer = z.object({ directive: z.string().max(4096) });
