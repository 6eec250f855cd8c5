import { z } from "zod";
import { findAsset } from "../assets/assets.ts";
import { createApi } from "../platform/api.ts";
import { connectionOf } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";

const made = z.object({
  codeId: z.string(),
  code: z.string(),
  generation: z.int(),
  expiresAt: z.string(),
});

/** Prints only the code to stdout, so that it can be piped. */
export const run: Verb = async (args, deps) => {
  const api = createApi(connectionOf(args, deps), deps);
  const id = await findAsset(api, args.operands[0]!);
  const body = { justification: args.texts.reason, hours: args.integers.hours };
  const key = { "idempotency-key": crypto.randomUUID() };
  const answer = await api.post(`/v1/assets/${id}/release-code`, body, made, key);
  deps.note(
    `This one-time code is valid until ${answer.expiresAt}. On the host, run: lz-agent release --code CODE`,
  );
  return { json: answer, lines: [answer.code] };
};
