import { columns, helpOf, wrapped } from "./help.ts";
import type { Command } from "./options.ts";
import { type ParsedValues, parseCommand, quoted } from "./parse-command.ts";

/** A program with several commands. The name of a command can have two words, for example `audit verify`. */
export type Program<Name extends string> = {
  /** How a person runs the program, for example `lz-agent` or `bun run lz`. */
  call: string;
  version: string;
  /** Description of the program in one sentence. */
  about: string;
  commands: Readonly<Record<Name, Command>>;
  /** Paragraphs at the end of the program's help. */
  notes: readonly string[];
};

export type ParsedProgram<Name extends string> =
  | ({ is: "command"; name: Name } & ParsedValues)
  /** Text for stdout: the help or the version. */
  | { is: "text"; text: string }
  /** One line for stderr that says how to fix the arguments. */
  | { is: "wrong"; reason: string };

/** Parses the arguments of a program: a command with its options, or a request for the help or the version. */
export function parseProgram<Name extends string>(
  program: Program<Name>,
  argv: readonly string[],
): ParsedProgram<Name> {
  const { call, version, commands } = program;
  const [first, second, ...others] = argv;
  if (first === undefined) return { is: "wrong", reason: `no command given; see ${call} --help` };
  if (first === "help" && second !== undefined) return parseProgram(program, [second, ...others, "--help"]);
  if (first === "--help" || first === "-h" || first === "help") return textOf(overview(program));
  if (first === "--version" || first === "-v") return textOf(`${call.split(" ").at(-1)} ${version}`);
  const isName = (text: string): text is Name => Object.hasOwn(commands, text);
  const name = [`${first} ${second}`, first].find(isName);
  if (name === undefined) return unknownCommand(program, argv);
  const parsed = parseCommand(commands[name], argv.slice(name.split(" ").length));
  if (parsed.is === "help") return textOf(helpOf(`${call} ${name}`, commands[name]));
  if (parsed.is === "parsed") return { ...parsed, is: "command", name };
  const advice = parsed.isUsage ? `; see ${call} ${name} --help` : "";
  return { is: "wrong", reason: `${name}: ${parsed.reason}${advice}` };
}

const textOf = (text: string) => ({ is: "text", text }) as const;

/** Error for an unknown first word, or for a first word that needs a second one. */
function unknownCommand<Name extends string>(
  { call, commands }: Program<Name>,
  argv: readonly string[],
): ParsedProgram<Name> {
  const [first = ""] = argv;
  const names = (Object.keys(commands) as Name[]).filter((name) => name.startsWith(`${first} `));
  if (names.length === 0)
    return { is: "wrong", reason: `unknown command ${quoted(first)}; see ${call} --help` };
  if (argv.includes("--help") || argv.includes("-h"))
    return textOf(names.map((name) => helpOf(`${call} ${name}`, commands[name])).join("\n\n"));
  return { is: "wrong", reason: `${first}: give one of ${names.join(", ")}` };
}

function overview<Name extends string>({ call, about, commands, notes }: Program<Name>): string {
  const rows = Object.entries<Command>(commands).map(([name, { summary }]) => [name, summary] as const);
  return [
    ...wrapped(about),
    "",
    `usage: ${call} COMMAND [options]`,
    "",
    ...columns(rows),
    ...[
      ...notes,
      `${call} COMMAND --help describes a command, ${call} --version prints the version.`,
    ].flatMap((note) => ["", ...wrapped(note)]),
  ].join("\n");
}
