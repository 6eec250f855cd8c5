import { describe, expect, test } from "bun:test";
import { COMMANDS, type CommandName, parseArguments } from "../../../../lz/platform/arguments.ts";
import { Misuse } from "../../../../lz/platform/faults.ts";

const argsOf = (...argv: string[]) => {
  const parsed = parseArguments(argv);
  if (parsed.is !== "command") throw new Error("expected a command");
  return parsed.args;
};

const wrong: [string, string[], string][] = [
  ["no command", [], "a command is needed"],
  ["an unknown command", ["explode"], 'unknown command "explode"'],
  ["half of a command of two words", ["audit"], "one of audit verify, audit export is needed"],
  ["an unknown second word", ["audit", "shred"], "one of audit verify, audit export is needed"],
  ["an unknown option", ["assets", "--frobnicate"], "assets: Unknown option '--frobnicate'"],
  ["an option of another command", ["assets", "--reason", "x"], "assets: Unknown option '--reason'"],
  ["a missing operand", ["isolate", "--reason", "abc"], "isolate: ASSET is needed"],
  ["a surplus operand", ["release", "a", "b", "--reason", "abc"], 'release: unexpected "b"'],
  ["a missing justification", ["isolate", "a"], "isolate: --reason is needed"],
  ["an empty justification", ["isolate", "a", "--reason", ""], "isolate: --reason is empty"],
  [
    "a mode there is not",
    ["isolate", "a", "--reason", "abc", "--mode", "nuke"],
    "--mode must be one of observe",
  ],
  [
    "a release with a mode",
    ["release", "a", "--reason", "abc", "--mode", "observe"],
    "Unknown option '--mode'",
  ],
  ["no fleet size", ["simulate"], "simulate: --endpoints is needed"],
  ["a fleet of none", ["simulate", "--endpoints", "0"], "--endpoints must be a whole number, 1 to 20000"],
  ["a fleet one too large", ["simulate", "--endpoints", "20001"], "--endpoints must be a whole number"],
  ["a fraction", ["simulate", "--endpoints", "1.5"], "--endpoints must be a whole number"],
  ["a number in another notation", ["simulate", "--endpoints", "1e3"], "--endpoints must be a whole number"],
  ["a number with a sign", ["enroll-token", "--uses", "+5"], "--uses must be a whole number"],
  [
    "more than all are risky",
    ["simulate", "--endpoints", "1", "--risky", "101"],
    "--risky must be a whole number",
  ],
  ["a URL for what asks nobody", ["token", "--url", "http://127.0.0.1"], "token: Unknown option '--url'"],
];

describe("parseArguments()", () => {
  for (const [name, argv, line] of wrong) {
    test(`parseArguments() refuses ${name} with one line`, () => {
      expect(() => parseArguments(argv)).toThrow(Misuse);
      expect(() => parseArguments(argv)).toThrow(line);
      try {
        parseArguments(argv);
      } catch (error) {
        expect((error as Error).message).not.toContain("\n");
      }
    });
  }

  test("parseArguments() accepts a number at both of its limits", () => {
    expect(argsOf("simulate", "--endpoints", "1").wholes.endpoints).toBe(1);
    expect(argsOf("simulate", "--endpoints", "20000").wholes.endpoints).toBe(20_000);
  });

  test("parseArguments() fills in what was not said", () => {
    expect(argsOf("enroll-token").wholes).toEqual({ uses: 1, hours: 24 });
    expect(argsOf("simulate", "--endpoints=7").wholes).toEqual({
      endpoints: 7,
      seconds: 30,
      interval: 5000,
      risky: 5,
    });
  });

  test("parseArguments() reads a command of two words with its options", () => {
    const args = argsOf("audit", "verify", "--file", "export.json", "--json");
    expect(args).toMatchObject({ name: "audit verify", json: true, texts: { file: "export.json" } });
  });

  test("parseArguments() answers --help for every command, and names every option there", () => {
    for (const name of Object.keys(COMMANDS) as CommandName[]) {
      const help = parseArguments([...name.split(" "), "--help"]);
      if (help.is !== "help") throw new Error(`${name} has no help`);
      const command: (typeof COMMANDS)[CommandName] & {
        texts?: object;
        wholes?: object;
        choices?: object;
        flags?: readonly string[];
      } = COMMANDS[name];
      const options = [
        ...Object.keys(command.texts ?? {}),
        ...Object.keys(command.wholes ?? {}),
        ...Object.keys(command.choices ?? {}),
        ...(command.flags ?? []),
      ];
      for (const option of [...options, "json"]) expect(help.text).toContain(`--${option}`);
    }
  });
});
