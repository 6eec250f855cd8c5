/**
 * Declarations of command lines, for the agent, the operator's tool `lz`, the benches and the project's
 * scripts. `parse-command.ts` parses arguments according to these declarations, and `help.ts` prints them.
 */

/** An option without a value: present or absent. */
export type FlagOption = { is: "flag"; help: string };

/** An option with any value. `value` is the placeholder that the help shows for it. */
export type TextOption = { is: "text"; value: string; help: string; required?: true };

/** An option whose value is one of a list. Without `default`, the value of an absent option is undefined. */
export type ChoiceOption = {
  is: "choice";
  value: string;
  of: readonly string[];
  help: string;
  default?: string;
};

/** An option with an integer in decimal digits, from `min` to `max` (both inclusive). */
export type IntegerOption = {
  is: "integer";
  value: string;
  min: number;
  max: number;
  help: string;
  default?: number;
  required?: true;
};

export type Option = FlagOption | TextOption | ChoiceOption | IntegerOption;

/** Options by their names, without the leading `--`. */
export type Options = Readonly<Record<string, Option>>;

/** An argument that is not an option. `of` lists the allowed values. Without `of`, any text is accepted. */
export type Operand = { name: string; help: string; of?: readonly string[] };

export type Command = {
  /** Description of the command, one sentence without a full stop and with a lower-case first letter. */
  summary: string;
  /** Operands of the command. All are required, in this order. */
  operands?: readonly Operand[];
  /** Further operands after `operands`. There can be any number of them. */
  moreOperands?: Operand;
  options: Options;
  /**
   * Tables after the options. A table can describe, for example, environment variables or the values of an
   * operand.
   */
  tables?: readonly { title: string; rows: Readonly<Record<string, string>> }[];
  /** Paragraphs at the end of the help. */
  notes?: readonly string[];
};

export const flag = (help: string): FlagOption => ({ is: "flag", help });

export const text = (value: string, help: string): TextOption => ({ is: "text", value, help });

export const requiredText = (value: string, help: string): TextOption & { required: true } => ({
  ...text(value, help),
  required: true,
});

export const choice = (
  value: string,
  of: readonly string[],
  help: string,
  initial?: string,
): ChoiceOption => ({ is: "choice", value, of, help, ...(initial !== undefined && { default: initial }) });

/** @param initial value of an absent option. Without it the option is required. */
export const integer = (
  value: string,
  [min, max]: readonly [min: number, max: number],
  help: string,
  initial?: number,
): IntegerOption => ({
  ...{ is: "integer", value, min, max, help },
  ...(initial === undefined ? { required: true } : { default: initial }),
});
