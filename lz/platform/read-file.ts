import { readFileSync } from "node:fs";
import { Misuse } from "./faults.ts";

/** The text of a file the command line names. Throws {@link Misuse} when it cannot be read. */
export function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Misuse(`cannot read ${path}`, { cause });
  }
}
