import type { z } from "zod";
import { directivePoll } from "../../shared/wire/directive-poll.ts";
import { enrolmentRequest, sessionRequest } from "../../shared/wire/enrolment.ts";
import { heartbeat } from "../../shared/wire/heartbeat.ts";

/**
 * Every message that the agent sends, with its schema. control-plane-client.ts defines a URL path for exactly
 * these messages.
 */
export const MESSAGES = {
  enrolment: enrolmentRequest,
  session: sessionRequest,
  heartbeat,
  directive: directivePoll,
} as const satisfies Record<string, z.ZodType>;
