import { type Arguments, parseArguments } from "../../../lz/platform/arguments.ts";

/** The arguments of a command line of `lz`. Throws the message that `lz` would print for wrong arguments. */
export function argumentsOf(...argv: string[]): Arguments {
  const parsed = parseArguments(argv);
  if (parsed.is === "command") return parsed;
  throw new Error(parsed.is === "wrong" ? parsed.reason : "expected a command, found a request for help");
}
