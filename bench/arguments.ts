import { parseArgs } from "node:util";

export type Whole = { min: number; max: number; default: number; says: string };

type Choices = Record<string, { of: readonly string[]; says: string }>;
/** Options of free text, empty by default. */
type Texts = Record<string, { value: string; says: string }>;

export type BenchOptions<Name extends string> = {
  json: boolean;
  wholes: Record<Name, number>;
  texts: Record<string, string>;
};

/** What `--help` prints: what the options do stands in one column, whatever their names. */
export function helpText(
  bench: string,
  summary: string,
  wholes: Record<string, Whole>,
  choices: Choices,
  free: Texts = {},
): string {
  const rows = [
    ...Object.entries(wholes).map(([name, { says, default: unset }]) => [
      `--${name} N`,
      `${says} (default ${unset})`,
    ]),
    ...Object.entries(choices).map(([name, { of, says }]) => [
      `--${name}`,
      `${says}: ${of.join(", ")} (default ${of[0]})`,
    ]),
    ...Object.entries(free).map(([name, { value, says }]) => [`--${name} ${value}`, says]),
    ["--json", "the result as one JSON object on the last line"],
  ] as [string, string][];
  const width = Math.max(...rows.map(([option]) => option.length));
  return [
    `usage: bun run bench ${bench} [options]`,
    "",
    summary,
    "",
    ...rows.map(([option, says]) => `  ${option.padEnd(width)}  ${says}`),
  ].join("\n");
}

/**
 * Options of a bench: whole numbers with limits, texts out of choices, free texts. `--help` prints and ends the process;
 * what cannot be meant is one line and exit code 2.
 */
export function readArguments<Name extends string>(
  bench: string,
  summary: string,
  wholes: Record<Name, Whole>,
  choices: Choices = {},
  free: Texts = {},
): BenchOptions<Name> {
  const wrong = (reason: string): never => {
    console.error(`${bench}: ${reason}`);
    process.exit(2);
  };
  const entries = Object.entries(wholes) as [Name, Whole][];
  const names = [...entries.map(([name]) => name as string), ...Object.keys(choices), ...Object.keys(free)];
  const options: Record<string, { type: "boolean" | "string" }> = {
    json: { type: "boolean" },
    help: { type: "boolean" },
  };
  for (const name of names) options[name] = { type: "string" };
  let values: Record<string, unknown> = {};
  try {
    values = parseArgs({ args: process.argv.slice(2), options, strict: true }).values;
  } catch (error) {
    wrong(error instanceof Error ? error.message.split(/\. |\n/)[0]! : "bad arguments");
  }
  if (values.help) {
    console.log(helpText(bench, summary, wholes, choices, free));
    process.exit(0);
  }
  const numbers = {} as Record<Name, number>;
  for (const [name, { min, max, default: unset }] of entries) {
    const value = values[name];
    const number = value === undefined ? unset : /^\d{1,9}$/.test(String(value)) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) wrong(`--${name} must be a whole number, ${min} to ${max}`);
    numbers[name] = number;
  }
  const texts: Record<string, string> = {};
  for (const [name, { of }] of Object.entries(choices)) {
    const value = String(values[name] ?? of[0]);
    if (!of.includes(value)) wrong(`--${name} must be one of ${of.join(", ")}`);
    texts[name] = value;
  }
  for (const name of Object.keys(free)) texts[name] = String(values[name] ?? "");
  return { json: values.json === true, wholes: numbers, texts };
}
