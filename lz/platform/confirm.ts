import type { Arguments } from "./arguments.ts";
import type { Deps } from "./deps.ts";
import { Failure, Misuse } from "./faults.ts";

/**
 * Lets a person say yes to a change that is shown above, unless `--yes` said it. Throws {@link Misuse} where there is no
 * terminal to ask on, and {@link Failure} when the person does not want it.
 */
export async function confirmed(args: Arguments, question: string, deps: Deps): Promise<void> {
  if (args.flags.has("yes")) return;
  if (!deps.confirm)
    throw new Misuse(`${args.name}: there is no terminal to ask on: look with --dry-run, then add --yes`);
  if (!(await deps.confirm(question))) throw new Failure("nothing was changed");
}
