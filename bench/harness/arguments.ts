import { type Command, choice, flag, integer, text } from "../../shared/command-line/options.ts";
import { readProcessArguments } from "../../shared/command-line/read-process-arguments.ts";

/** An option with an integer value from `min` to `max`. `says`: its description for `--help`. */
export type NumberOption = { min: number; max: number; default: number; says: string };

/** Options with a fixed list of values. The first value of each list is the default. */
type Choices = Record<string, { of: readonly string[]; says: string }>;
/** Options that accept any text. The default is an empty text. `value`: placeholder for `--help`. */
type Texts = Record<string, { value: string; says: string }>;

export type BenchOptions<Name extends string> = {
  json: boolean;
  numbers: Record<Name, number>;
  texts: Record<string, string>;
};

function commandOf(
  summary: string,
  numbers: Record<string, NumberOption>,
  choices: Choices,
  free: Texts,
): Command {
  const integers = Object.entries(numbers).map(([name, { min, max, says, default: initial }]) => [
    name,
    integer("N", [min, max], says, initial),
  ]);
  const chosen = Object.entries(choices).map(([name, { of, says }]) => [
    name,
    choice("NAME", of, says, of[0]),
  ]);
  const texts = Object.entries(free).map(([name, { value, says }]) => [name, text(value, says)]);
  return {
    summary: summary.replace(/\.$/, ""),
    options: {
      ...Object.fromEntries([...integers, ...chosen, ...texts]),
      json: flag("print the result as one JSON object on the last line"),
    },
  };
}

/** Reads the options of a bench from the arguments of this process. Exits for `--help` and for invalid arguments. */
export function readArguments<Name extends string>(
  bench: string,
  summary: string,
  numbers: Record<Name, NumberOption>,
  choices: Choices = {},
  free: Texts = {},
): BenchOptions<Name> {
  const command = commandOf(summary, numbers, choices, free);
  const { flags, texts, integers } = readProcessArguments(`bun run bench ${bench}`, command);
  const absent = Object.fromEntries(Object.keys(free).map((name) => [name, ""]));
  return {
    json: flags.has("json"),
    numbers: integers as Record<Name, number>,
    texts: { ...absent, ...(texts as Record<string, string>) },
  };
}
