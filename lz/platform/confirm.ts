import type { Arguments } from "./arguments.ts";
import type { Deps } from "./deps.ts";
import { Failure, Misuse } from "./faults.ts";

/**
 * Asks for confirmation of a change that was shown before, unless `--yes` is given. Throws {@link Misuse} if
 * there is no terminal, and {@link Failure} if the person declines.
 */
export async function confirmed(args: Arguments, question: string, deps: Deps): Promise<void> {
  if (args.flags.has("yes")) return;
  if (!deps.confirm)
    throw new Misuse(
      `${args.name}: there is no terminal for the confirmation: check with --dry-run, then use --yes`,
    );
  if (!(await deps.confirm(question))) throw new Failure("cancelled: nothing was changed");
}
