import { openStack } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";

/** Prints a token: that is what it is for. */
export const run: Verb = async (args, deps) => {
  const stack = openStack(deps);
  const token = args.flags.has("viewer") ? stack.viewerToken : stack.adminToken;
  return { json: { token }, lines: [token] };
};
