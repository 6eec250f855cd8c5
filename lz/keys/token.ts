import { openStack } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";

/** Prints a session token of the local stack, for use in scripts. */
export const run: Verb = async (args, deps) => {
  const stack = openStack(deps);
  const token = args.flags.has("viewer") ? stack.viewerToken : stack.adminToken;
  return { json: { token }, lines: [token] };
};
