import { describe, expect, test } from "bun:test";
import {
  type Command,
  choice,
  flag,
  integer,
  requiredText,
  text,
} from "../../../../shared/command-line/options.ts";
import { parseCommand } from "../../../../shared/command-line/parse-command.ts";

const COMMAND: Command = {
  summary: "copy a thing",
  operands: [{ name: "WHAT", of: ["file", "folder"], help: "the kind of thing" }],
  options: {
    to: requiredText("PATH", "where to"),
    note: text("TEXT", "a remark"),
    times: integer("N", [1, 9], "how many times", 2),
    mode: choice("MODE", ["fast", "safe"], "how", "safe"),
    force: flag("overwrite"),
  },
};

const valuesOf = (...argv: string[]) => {
  const parsed = parseCommand(COMMAND, argv);
  if (parsed.is !== "parsed") throw new Error(JSON.stringify(parsed));
  return parsed;
};

describe("parseCommand()", () => {
  test("reads operands, flags, texts and integers, and fills in defaults", () => {
    expect(valuesOf("file", "--to", "x", "--force")).toEqual({
      is: "parsed",
      operands: ["file"],
      flags: new Set(["force"]),
      texts: { to: "x", mode: "safe" },
      integers: { times: 2 },
    });
  });

  test("accepts options before and after operands, values after = and the limits of an integer", () => {
    expect(valuesOf("--to=x", "--times=1", "folder").integers.times).toBe(1);
    expect(valuesOf("folder", "--times", "9", "--to", "x").integers.times).toBe(9);
  });

  test("uses the last value of an option that is given twice", () => {
    expect(valuesOf("file", "--to", "x", "--to", "y").texts.to).toBe("y");
  });

  test("accepts a value that begins with - after =, and - alone as a value", () => {
    expect(valuesOf("file", "--to=-x").texts.to).toBe("-x");
    expect(valuesOf("file", "--to", "-").texts.to).toBe("-");
  });

  test("finds --help and -h among other arguments, but not after --", () => {
    expect(parseCommand(COMMAND, ["--nonsense", "--help"])).toEqual({ is: "help" });
    expect(parseCommand(COMMAND, ["-h"])).toEqual({ is: "help" });
    expect(parseCommand(COMMAND, ["--to", "x", "--", "--help"])).toMatchObject({ is: "wrong" });
  });

  test.each([
    [[], "give file or folder"],
    [["link"], 'unknown WHAT "link": give file or folder'],
    [["file", "--to", "x", "more"], 'unexpected argument "more"'],
    [["file"], "--to is missing"],
    [["file", "--to"], "--to needs a value; write a value that begins with - as --to=VALUE"],
    [["file", "--to", "--force"], "--to needs a value; write a value that begins with - as --to=VALUE"],
    [["file", "--to="], "--to is empty: give it a value, or omit it"],
    [["file", "--to", "x", "--force=yes"], "--force takes no value"],
    [["file", "--to", "x", "--times", "0"], '--times must be an integer from 1 to 9, not "0"'],
    [["file", "--to", "x", "--times", "10"], '--times must be an integer from 1 to 9, not "10"'],
    [["file", "--to", "x", "--times", "1e0"], '--times must be an integer from 1 to 9, not "1e0"'],
    [["file", "--to", "x", "--times=-1"], '--times must be an integer from 1 to 9, not "-1"'],
    [["file", "--to", "x", "--mode", "slow"], '--mode must be fast or safe, not "slow"'],
    [["file", "--to", "x", "--bogus"], "unknown option --bogus"],
    [["file", "--to", "x", "--bogus=1"], "unknown option --bogus"],
    [["file", "--to", "x", "-t"], "unknown option -t"],
    [["file", "--to", "x", "--toString"], "unknown option --toString"],
    [["file", "--to", "x", "--no-force"], "unknown option --no-force"],
    [["file", "--to", "x", "--\nline"], "unknown option --\\nline"],
  ] as [string[], string][])("rejects %j in one line", (argv, reason) => {
    const parsed = parseCommand(COMMAND, argv);
    expect(parsed).toMatchObject({ is: "wrong", reason });
    expect(reason).not.toContain("\n");
  });
});
