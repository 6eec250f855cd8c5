import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

/*
 * For tests that need something that not every machine has. On a machine without it, the test is skipped, and
 * its name says what is missing. tests/run.ts lists skipped tests at the end. With CI=true, skipped tests
 * count as failed.
 */

/** Returns the missing requirements. A requirement is a tool on the PATH, an absolute path, "Linux" or "root". */
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
