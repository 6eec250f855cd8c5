import { describe, expect, test } from "bun:test";
import { parseArguments } from "../../../../lz/platform/arguments.ts";
import { COMMANDS } from "../../../../lz/platform/commands.ts";
import { argumentsOf } from "../arguments-of.ts";

const wrong: [string, string[], string][] = [
  ["no command", [], "no command given; see bun run lz --help"],
  ["an unknown command", ["explode"], 'unknown command "explode"'],
  ["the first word of a command with two words", ["audit"], "audit: give one of audit verify, audit export"],
  ["an unknown second word", ["audit", "shred"], "audit: give one of audit verify, audit export"],
  [
    "an unknown option",
    ["assets", "--frobnicate"],
    "assets: unknown option --frobnicate; see bun run lz assets --help",
  ],
  ["an option of another command", ["assets", "--reason", "x"], "assets: unknown option --reason"],
  ["a missing operand", ["isolate", "--reason", "abc"], "isolate: ASSET is missing"],
  ["a surplus operand", ["release", "a", "b", "--reason", "abc"], 'release: unexpected argument "b"'],
  ["a missing justification", ["isolate", "a"], "isolate: --reason is missing"],
  ["an empty justification", ["isolate", "a", "--reason", ""], "isolate: --reason is empty"],
  [
    "an unknown mode",
    ["isolate", "a", "--reason", "abc", "--mode", "nuke"],
    '--mode must be observe, stop-engines or network, not "nuke"',
  ],
  [
    "a release with a mode",
    ["release", "a", "--reason", "abc", "--mode", "observe"],
    "release: unknown option --mode",
  ],
  ["no fleet size", ["simulate"], "simulate: --endpoints is missing"],
  ["an empty fleet", ["simulate", "--endpoints", "0"], "--endpoints must be an integer from 1 to 20000"],
  ["a fleet one too large", ["simulate", "--endpoints", "20001"], "--endpoints must be an integer"],
  ["a fraction", ["simulate", "--endpoints", "1.5"], "--endpoints must be an integer"],
  ["a number in another notation", ["simulate", "--endpoints", "1e3"], "--endpoints must be an integer"],
  ["a number with a sign", ["enroll-token", "--uses", "+5"], "--uses must be an integer"],
  [
    "more than 100% risky assets",
    ["simulate", "--endpoints", "1", "--risky", "101"],
    "--risky must be an integer",
  ],
  [
    "a URL for a command without requests",
    ["token", "--url", "http://127.0.0.1"],
    "token: unknown option --url",
  ],
];

describe("parseArguments()", () => {
  for (const [name, argv, line] of wrong) {
    test(`rejects ${name} with one line`, () => {
      const parsed = parseArguments(argv);
      if (parsed.is !== "wrong") throw new Error("accepted");
      expect(parsed.reason).toContain(line);
      expect(parsed.reason).not.toContain("\n");
    });
  }

  test("accepts an integer at both of its limits", () => {
    expect(argumentsOf("simulate", "--endpoints", "1").integers.endpoints).toBe(1);
    expect(argumentsOf("simulate", "--endpoints", "20000").integers.endpoints).toBe(20_000);
  });

  test("fills in the defaults of absent options", () => {
    expect(argumentsOf("enroll-token").integers).toEqual({ uses: 1, hours: 24 });
    expect(argumentsOf("simulate", "--endpoints=7").integers).toEqual({
      endpoints: 7,
      seconds: 30,
      interval: 5000,
      risky: 5,
    });
  });

  test("reads a command of two words with its options", () => {
    const args = argumentsOf("audit", "verify", "--file", "export.json", "--json");
    expect(args).toMatchObject({ name: "audit verify", texts: { file: "export.json" } });
    expect([...args.flags]).toEqual(["json"]);
  });

  test("prints help for every command, which describes --json and each of its options", () => {
    for (const [name, { options }] of Object.entries(COMMANDS)) {
      const help = parseArguments([...name.split(" "), "--help"]);
      if (help.is !== "text") throw new Error(`${name} has no help`);
      for (const option of ["json", ...Object.keys(options)]) expect(help.text).toContain(`  --${option} `);
    }
  });
});
