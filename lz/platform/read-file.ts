import { readFileSync } from "node:fs";
import { Misuse } from "./faults.ts";

/** Text of a file from the command line. Throws {@link Misuse} if it cannot be read. */
export function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Misuse(`cannot read ${path}: check the path and its permissions`, { cause });
  }
}
