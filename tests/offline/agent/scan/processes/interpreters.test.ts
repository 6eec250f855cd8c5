import { afterAll, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterpreters } from "../../../../../agent/scan/processes/interpreters.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { describeUnless, missing, testUnless } from "../../../../support/missing.ts";

const directory = mkdtempSync(join(tmpdir(), "interpreters-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const languageOf = (path: string) => createInterpreters({ files: realFiles() }).languageOf(path);
const realOf = (name: string): string => realpathSync(Bun.which(name)!);

describeUnless(missing("Linux"), "languageOf()", () => {
  for (const [program, language] of [
    ["/usr/bin/python3", "python"],
    ["node", "node"],
    ["perl", "other"],
    ["java", "java"],
    ["sh", "none"],
    ["ls", "none"],
  ] as const)
    testUnless(missing(program), `recognises ${program} under any name`, () => {
      expect(languageOf(realOf(program))).toBe(language);
      const copy = join(directory, `copy-of-${language}`);
      copyFileSync(realOf(program), copy);
      expect(languageOf(copy)).toBe(language);
    });

  test("distinguishes Bun from a program that Bun compiled", () => {
    const source = join(directory, "program.ts");
    writeFileSync(source, "console.log(1)");
    const compiled = join(directory, "bun");
    Bun.spawnSync([process.execPath, "build", "--compile", source, "--outfile", compiled]);
    expect([languageOf(realpathSync(process.execPath)), languageOf(compiled)]).toEqual(["node", "none"]);
  });

  test("is undefined for other files, cut files and missing files", () => {
    const bytes = new Uint8Array(4096);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    bytes.fill(0xff, 32, 64);
    for (const [name, content] of [
      ["text", "#!/usr/bin/python3"],
      ["empty", ""],
      ["damaged", bytes],
    ] as const) {
      const path = join(directory, name);
      writeFileSync(path, content);
      expect(languageOf(path)).toBeUndefined();
    }
    expect(languageOf(join(directory, "absent"))).toBeUndefined();
  });
});
