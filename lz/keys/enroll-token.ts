import { z } from "zod";
import { createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";

const made = z.object({ token: z.string().min(1), expiresAt: z.string(), uses: z.int() });

export const run: Verb = async (args, deps) => {
  const { uses, hours } = args.integers;
  const api = createApi(connectionOf(args, deps), deps);
  const key = { "idempotency-key": crypto.randomUUID() };
  const answer = await api.post("/v1/enrolment-tokens", { uses, hours }, made, key);
  return { json: answer, lines: [answer.token] };
};
