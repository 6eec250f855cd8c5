import { z } from "zod";

export const DIRECTIVE_PATH = "/v1/directive";

/** Duration of the long poll: an edge node responds with 204 after this time. */
export const DIRECTIVE_HOLD_MS = 25_000;

/**
 * Request for a directive newer than the reported one. Signed like a heartbeat. Changes nothing and proves
 * nothing.
 */
export const directivePoll = z.strictObject({
  v: z.literal(1),
  /** Generation of the agent's containment report, as in its heartbeats. */
  generation: z.int().min(0),
});
export type DirectivePoll = z.infer<typeof directivePoll>;

/** Body of the 200 response. The agent trusts the signature of the directive, not the node that returns it. */
export const directiveAnswer = z.object({ directive: z.string().max(4096) });
