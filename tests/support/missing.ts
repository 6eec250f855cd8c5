import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

/*
 * Tests of what not every machine has. Where something is missing they are skipped under a name that says what they
 * need; tests/run.ts names them at the end, and in CI counts them as failed.
 */

/** Those of the tools that are not on the PATH, and of the absolute paths that do not exist; "Linux" and "root" are what the words say. */
export const missing = (...needed: ("Linux" | "root" | (string & {}))[]): string[] =>
  needed.filter((one) => {
    if (one === "Linux") return process.platform !== "linux";
    if (one === "root") return process.getuid?.() !== 0;
    return one.startsWith("/") ? !existsSync(one) : Bun.which(one) === null;
  });

const named = (name: string, lacking: readonly string[]): string =>
  lacking.length === 0 ? name : `${name} (needs ${lacking.join(", ")})`;

export const testUnless = (
  lacking: readonly string[],
  name: string,
  body: () => void | Promise<void>,
  timeoutMs?: number,
): void => test.skipIf(lacking.length > 0)(named(name, lacking), body, timeoutMs);

export const describeUnless = (lacking: readonly string[], name: string, body: () => void): void =>
  describe.skipIf(lacking.length > 0)(named(name, lacking), body);
