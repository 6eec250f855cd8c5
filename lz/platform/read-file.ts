import { readFileSync } from "node:fs";
import { Misuse } from "./faults.ts";

/** Reads the text of a file that was named on the command line. Throws {@link Misuse} if it cannot be read. */
export function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Misuse(`cannot read ${path}: check the path and its permissions`, { cause });
  }
}
