import { z } from "zod";

export const DIRECTIVE_PATH = "/v1/directive";

/** Duration of the long poll in milliseconds. After this time, an edge node responds with 204. */
export const DIRECTIVE_HOLD_MS = 25_000;

/**
 * Request for a directive newer than the reported one. It is signed like a heartbeat. It changes nothing and
 * proves nothing.
 */
export const directivePoll = z.strictObject({
  v: z.literal(1),
  /** Generation in the agent's containment report, the same as in its heartbeats. */
  generation: z.int().min(0),
});
export type DirectivePoll = z.infer<typeof directivePoll>;

/**
 * Body of the 200 response. The agent relies on the signature of the directive and does not need to trust the
 * node.
 */
export const directiveAnswer = z.object({ directive: z.string().max(4096) });
