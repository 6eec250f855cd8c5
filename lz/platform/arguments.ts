import type { ParsedValues } from "../../shared/command-line/parse-command.ts";
import { type ParsedProgram, parseProgram } from "../../shared/command-line/program.ts";
import { PRODUCT_VERSION } from "../../shared/product-version.ts";
import { COMMANDS, type CommandName } from "./commands.ts";

/** The given command with its arguments. `--json` is in `flags`, because every command accepts it. */
export type Arguments = ParsedValues & { name: CommandName };

/** Parses the arguments of `bun run lz`. */
export const parseArguments = (argv: readonly string[]): ParsedProgram<CommandName> =>
  parseProgram(
    {
      call: "bun run lz",
      version: PRODUCT_VERSION,
      about: "lz is LifecycleZero's command-line tool for operators.",
      commands: COMMANDS,
      notes: [
        "Without --url, a command uses the local stack that bun run start has started. With --json, every command " +
          "prints one JSON value. The exit code is 0 for success, 1 for a failure and 2 for wrong arguments.",
      ],
    },
    argv,
  );
