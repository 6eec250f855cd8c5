import type { z } from "zod";
import { directivePoll } from "../../shared/wire/directive-poll.ts";
import { enrolmentRequest, sessionRequest } from "../../shared/wire/enrolment.ts";
import { heartbeat } from "../../shared/wire/heartbeat.ts";

/** The messages of the agent, each with its schema: nothing else is ever sent, for control-plane-client.ts has paths for these alone. */
export const MESSAGES = {
  enrolment: enrolmentRequest,
  session: sessionRequest,
  heartbeat,
  directive: directivePoll,
} as const satisfies Record<string, z.ZodType>;
