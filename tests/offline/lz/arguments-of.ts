import { type Arguments, parseArguments } from "../../../lz/platform/arguments.ts";

/** Parses the arguments of a command line of `lz`. For wrong arguments, throws the message that `lz` would print. */
export function argumentsOf(...argv: string[]): Arguments {
  const parsed = parseArguments(argv);
  if (parsed.is === "command") return parsed;
  throw new Error(parsed.is === "wrong" ? parsed.reason : "expected a command, found a request for help");
}
