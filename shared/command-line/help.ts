import type { Command, Operand, Option } from "./options.ts";
import { choicesOf } from "./parse-command.ts";

/** Maximum line length of the help. */
const LINE_CHARACTERS_MAX = 100;
const INDENT = "  ";

/**
 * Formats rows of two columns. The second column begins two spaces after the longest entry of the first
 * column, and is wrapped.
 */
export function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  const room = LINE_CHARACTERS_MAX - INDENT.length * 2 - width;
  return rows.flatMap(([left, right]) =>
    wrapped(right, room).map(
      (line, at) => `${INDENT}${(at === 0 ? left : "").padEnd(width)}${INDENT}${line}`,
    ),
  );
}

/** Wraps a paragraph into lines of at most `room` characters. A longer word is not split. */
export function wrapped(paragraph: string, room = LINE_CHARACTERS_MAX): string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > room) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

const sentence = (summary: string): string => `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;

/** Text that `--help` prints for one command. `call` is how a person runs it, for example `bun run lz assets`. */
export function helpOf(
  call: string,
  { summary, operands = [], moreOperands, options, tables = [], notes = [] }: Command,
) {
  const named = operands.map((operand) => ` ${operandLabel(operand)}`).join("");
  const more = moreOperands ? ` [${moreOperands.name} …]` : "";
  const isRequired = (option: Option): boolean => "required" in option && option.required === true;
  const required = Object.entries(options)
    .filter(([, option]) => isRequired(option))
    .map(([name, option]) => ` ${optionLabel(name, option)}`)
    .join("");
  const hasOptional = Object.values(options).some((option) => !isRequired(option));
  const every = moreOperands ? [...operands, moreOperands] : operands;
  const rows = [
    ...every.map((operand) => [operandLabel(operand), operand.help] as const),
    ...Object.entries(options).map(
      ([name, option]) => [optionLabel(name, option), optionHelp(option)] as const,
    ),
  ];
  return [
    ...wrapped(sentence(summary)),
    "",
    `usage: ${call}${named}${more}${required}${hasOptional ? " [options]" : ""}`,
    ...(rows.length > 0 ? ["", ...columns(rows)] : []),
    ...tables.flatMap(({ title, rows }) => ["", title, ...columns(Object.entries(rows))]),
    ...notes.flatMap((note) => ["", ...wrapped(note)]),
  ].join("\n");
}

/** Maximum number of values in a label. With more values the label would be too wide for the first column. */
const LABEL_VALUES_MAX = 3;

const operandLabel = ({ name, of }: Operand): string =>
  of && of.length <= LABEL_VALUES_MAX ? of.join("|") : name;

const optionLabel = (name: string, option: Option): string =>
  option.is === "flag" ? `--${name}` : `--${name} ${option.value}`;

/** Help text of an option, with the limits, choices and default from its declaration. */
function optionHelp(option: Option): string {
  switch (option.is) {
    case "flag":
      return option.help;
    case "text":
      return `${option.help}${option.required ? " (required)" : ""}`;
    case "choice":
      return `${option.help}: ${choicesOf(option.of)}${option.default === undefined ? "" : ` (default ${option.default})`}`;
    case "integer": {
      const { help, min, max, required, default: initial } = option;
      const more = required ? " (required)" : initial === undefined ? "" : ` (default ${initial})`;
      return `${help}, ${min} to ${max}${more}`;
    }
  }
}
