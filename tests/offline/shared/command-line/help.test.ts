import { expect, test } from "bun:test";
import { helpOf } from "../../../../shared/command-line/help.ts";
import {
  type Command,
  choice,
  flag,
  integer,
  requiredText,
} from "../../../../shared/command-line/options.ts";
import { parseProgram } from "../../../../shared/command-line/program.ts";

const COPY: Command = {
  summary: "copy things",
  operands: [{ name: "KIND", of: ["file", "folder"], help: "what to copy" }],
  moreOperands: { name: "NAME", help: "names" },
  options: {
    to: requiredText("PATH", "where to copy it"),
    times: integer("N", [1, 9], "how many times", 2),
    mode: choice("MODE", ["fast", "safe"], "how to copy", "safe"),
    "force-it": flag(`${"word ".repeat(20)}end`),
  },
  tables: [{ title: "Environment variables:", rows: { TMP: "folder for temporary files" } }],
  notes: ["Exit code: 0."],
};

test("helpOf() shows usage, limits, choices and defaults, and wraps the second column at 100 characters", () => {
  expect(helpOf("tool copy", COPY).split("\n")).toEqual([
    "Copy things.",
    "",
    "usage: tool copy file|folder [NAME …] --to PATH [options]",
    "",
    "  file|folder  what to copy",
    "  NAME         names",
    "  --to PATH    where to copy it (required)",
    "  --times N    how many times, 1 to 9 (default 2)",
    "  --mode MODE  how to copy: fast or safe (default safe)",
    "  --force-it   word word word word word word word word word word word word word word word word word",
    "               word word word end",
    "",
    "Environment variables:",
    "  TMP  folder for temporary files",
    "",
    "Exit code: 0.",
  ]);
});

const parse = (...argv: string[]) =>
  parseProgram(
    {
      call: "tool",
      version: "1.2.3",
      about: "tool copies things.",
      commands: { copy: COPY, "log show": { summary: "show it", options: {} } },
      notes: [],
    },
    argv,
  );

test("parseProgram() prints the version, the overview, and the help of a command in three ways", () => {
  expect(parse("--version")).toEqual({ is: "text", text: "tool 1.2.3" });
  for (const argv of [["--help"], ["-h"], ["help"]])
    expect(parse(...argv)).toMatchObject({
      is: "text",
      text: expect.stringContaining("\n  copy      copy things"),
    });
  const help = parse("log", "show", "--help");
  expect(help).toMatchObject({ is: "text", text: expect.stringContaining("usage: tool log show") });
  expect(parse("help", "log", "show")).toEqual(help);
  expect(parse("log", "--help")).toEqual(help);
});

test.each([
  [[], "no command given; see tool --help"],
  [["move"], 'unknown command "move"; see tool --help'],
  [["toString"], 'unknown command "toString"; see tool --help'],
  [["log"], "log: give one of log show"],
  [["log", "hide"], "log: give one of log show"],
  [["log", "show", "--x"], "log show: unknown option --x; see tool log show --help"],
] as [string[], string][])("parseProgram() rejects %j with what to do", (argv, reason) => {
  expect(parse(...argv)).toEqual({ is: "wrong", reason });
});
