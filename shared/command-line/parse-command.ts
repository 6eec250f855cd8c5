import { parseArgs } from "node:util";
import type { ChoiceOption, Command, IntegerOption, Operand, Options } from "./options.ts";

/** Parsed arguments of one command. Each option is in the member for its kind, under its name. */
export type ParsedValues = {
  operands: readonly string[];
  flags: ReadonlySet<string>;
  texts: Readonly<Record<string, string | undefined>>;
  integers: Readonly<Record<string, number>>;
};

export type ParsedCommand =
  | ({ is: "parsed" } & ParsedValues)
  | { is: "help" }
  /** One line of text. If `isUsage` is true, the help of the command contains more information. */
  | { is: "wrong"; reason: string; isUsage: boolean };

/** Maximum length of an unexpected argument in a message. A longer one is truncated. */
const QUOTED_CHARACTERS_MAX = 60;

export const quoted = (argument: string): string => JSON.stringify(argument.slice(0, QUOTED_CHARACTERS_MAX));

/** An argument that the command does not accept. */
class Wrong extends Error {
  constructor(
    reason: string,
    readonly isUsage = false,
  ) {
    super(reason);
  }
}

/**
 * Parses the arguments of one command. `--help` or `-h` before `--` takes precedence over all other
 * arguments. If an option is given twice, the last value is used.
 */
export function parseCommand(command: Command, argv: readonly string[]): ParsedCommand {
  const end = argv.indexOf("--");
  const beforeEnd = end < 0 ? argv : argv.slice(0, end);
  if (beforeEnd.includes("--help") || beforeEnd.includes("-h")) return { is: "help" };
  try {
    const { operands, given } = readTokens(command, argv);
    return { is: "parsed", operands, ...valuesOf(command.options, given) };
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { is: "wrong", reason: error.message, isUsage: error.isUsage };
  }
}

type Given = ReadonlyMap<string, string | true>;

/** Splits the arguments with Node's own parser. The checks and their messages are our own. */
function readTokens(command: Command, argv: readonly string[]): { operands: string[]; given: Given } {
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(command.options).map(([name, { is }]) => [
        name,
        { type: is === "flag" ? ("boolean" as const) : ("string" as const) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const operands: string[] = [];
  const given = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind === "option") given.set(token.name, readValue(command.options, token));
  }
  checkOperands(command, operands);
  return { operands, given };
}

type OptionToken = {
  name: string;
  rawName: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
};

function readValue(options: Options, { name, rawName, value, inlineValue }: OptionToken): string | true {
  const option = rawName.startsWith("--") && Object.hasOwn(options, name) ? options[name]! : undefined;
  if (!option) throw new Wrong(`unknown option ${quoted(rawName).slice(1, -1)}`, true);
  if (option.is === "flag") {
    if (value !== undefined) throw new Wrong(`--${name} takes no value`);
    return true;
  }
  const isNextOption = inlineValue === false && value !== undefined && /^-./.test(value);
  if (value === undefined || isNextOption)
    throw new Wrong(`--${name} needs a value; write a value that begins with - as --${name}=VALUE`);
  if (value === "") throw new Wrong(`--${name} is empty: give it a value, or omit it`);
  return value;
}

function checkOperands({ operands = [], moreOperands }: Command, given: readonly string[]): void {
  for (const [at, operand] of operands.entries()) checkOperand(operand, given[at]);
  const unexpected = moreOperands ? undefined : given[operands.length];
  if (unexpected !== undefined) throw new Wrong(`unexpected argument ${quoted(unexpected)}`, true);
  if (moreOperands) for (const value of given.slice(operands.length)) checkOperand(moreOperands, value);
}

function checkOperand({ name, of }: Operand, value: string | undefined): void {
  if (value === undefined) throw new Wrong(of ? `give ${choicesOf(of)}` : `${name} is missing`, true);
  if (of && !of.includes(value))
    throw new Wrong(`unknown ${name} ${quoted(value)}: give ${choicesOf(of)}`, true);
}

/** Formats choices as `a, b or c`. */
export const choicesOf = (of: readonly string[]): string =>
  of.length < 2 ? of.join() : `${of.slice(0, -1).join(", ")} or ${of.at(-1)}`;

function valuesOf(options: Options, given: Given): Omit<ParsedValues, "operands"> {
  const flags = new Set<string>();
  const texts: Record<string, string> = {};
  const integers: Record<string, number> = {};
  for (const [name, option] of Object.entries(options)) {
    const value = given.get(name);
    if (option.is === "flag") {
      if (value === true) flags.add(name);
      continue;
    }
    if (value === undefined || value === true) {
      if ("required" in option && option.required) throw new Wrong(`--${name} is missing`, true);
      if (option.is === "integer" && option.default !== undefined) integers[name] = option.default;
      if (option.is === "choice" && option.default !== undefined) texts[name] = option.default;
      continue;
    }
    if (option.is === "integer") integers[name] = integerOf(name, option, value);
    else texts[name] = option.is === "choice" ? chosen(name, option, value) : value;
  }
  return { flags, texts, integers };
}

function chosen(name: string, { of }: ChoiceOption, value: string): string {
  if (!of.includes(value)) throw new Wrong(`--${name} must be ${choicesOf(of)}, not ${quoted(value)}`);
  return value;
}

function integerOf(name: string, { min, max }: IntegerOption, value: string): number {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max))
    throw new Wrong(`--${name} must be an integer from ${min} to ${max}, not ${quoted(value)}`);
  return number;
}
