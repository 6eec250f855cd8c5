import { readFileSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readState, writeAtomically, writeState } from "../platform/state-files.ts";

/**
 * `lz-agent release` writes the code file, and the daemon writes the result file. Only root can write these
 * files.
 */
const CODE_FILE = "release-code";
const RESULT_FILE = "release-code.answer.json";
const CODE_CHARACTERS_MAX = 4096;

const codeResult = z.strictObject({ code: z.string(), freed: z.boolean(), reason: z.string().optional() });
/** Outcome of a release code. `reason` says why the host was not released. */
export type CodeResult = z.infer<typeof codeResult>;

/** Submits a code to the daemon. First deletes the previous result, because it may be for the same code. */
export function submitCode(directory: string, code: string): void {
  rmSync(join(directory, RESULT_FILE), { force: true });
  writeAtomically(join(directory, CODE_FILE), code.slice(0, CODE_CHARACTERS_MAX));
}

/** Returns the submitted code and deletes its file, so that each code is checked once. */
export function takeCode(directory: string): string | undefined {
  try {
    const code = readFileSync(join(directory, CODE_FILE), "utf8").trim();
    unlinkSync(join(directory, CODE_FILE));
    return code;
  } catch {
    return undefined;
  }
}

export const writeCodeResult = (directory: string, result: CodeResult): void =>
  writeState(directory, RESULT_FILE, result);

/** The daemon's result for this code. Undefined until the daemon has written one. */
export function readCodeResult(directory: string, code: string): CodeResult | undefined {
  const result = readState(directory, RESULT_FILE, codeResult);
  return result?.code === code ? result : undefined;
}
