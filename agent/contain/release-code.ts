import { readFileSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readState, writeAtomically, writeState } from "../platform/state-files.ts";

/** Where `lz-agent release` leaves a code for the daemon, and the daemon its answer: only root writes there. */
const CODE_FILE = "release-code";
const ANSWER_FILE = "release-code.answer.json";
const CODE_CHARACTERS_MAX = 4096;

const answer = z.strictObject({ code: z.string(), freed: z.boolean(), reason: z.string().optional() });
export type CodeAnswer = z.infer<typeof answer>;

/** The answer to a code that was left before is none to this one, be it the same. */
export function leaveCode(directory: string, code: string): void {
  rmSync(join(directory, ANSWER_FILE), { force: true });
  writeAtomically(join(directory, CODE_FILE), code.slice(0, CODE_CHARACTERS_MAX));
}

/** Takes what was left, so that it is looked at once. */
export function takeCode(directory: string): string | undefined {
  try {
    const code = readFileSync(join(directory, CODE_FILE), "utf8").trim();
    unlinkSync(join(directory, CODE_FILE));
    return code;
  } catch {
    return undefined;
  }
}

export const answerCode = (directory: string, said: CodeAnswer): void =>
  writeState(directory, ANSWER_FILE, said);

/** The daemon's answer to this very code; undefined while there is none. */
export function readAnswer(directory: string, code: string): CodeAnswer | undefined {
  const said = readState(directory, ANSWER_FILE, answer);
  return said?.code === code ? said : undefined;
}
