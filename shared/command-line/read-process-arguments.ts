import { helpOf } from "./help.ts";
import type { Command } from "./options.ts";
import { type ParsedValues, parseCommand } from "./parse-command.ts";

/**
 * Parses the arguments of this process, for a program without commands. For `--help` it prints the help and
 * exits with 0. For invalid arguments it prints one line to stderr and exits with 2.
 *
 * @param call how a person runs the program, for example `bun run start`
 */
export function readProcessArguments(
  call: string,
  command: Command,
  argv: readonly string[] = process.argv.slice(2),
): ParsedValues {
  const parsed = parseCommand(command, argv);
  if (parsed.is === "parsed") return parsed;
  if (parsed.is === "help") {
    console.log(helpOf(call, command));
    process.exit(0);
  }
  const advice = parsed.isUsage ? `; see ${call} --help` : "";
  console.error(`${call}: ${parsed.reason}${advice}`);
  process.exit(2);
}
