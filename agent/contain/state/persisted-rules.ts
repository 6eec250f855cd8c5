import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../platform/log.ts";
import { codeOf, removeIfThere, writeAtomically } from "../../platform/state-files.ts";
import { savedIn } from "./twin-file.ts";

/** Read at the start of the host by a unit of its own, before there is a network: agent/install/systemd.ts. */
export const KEPT_RULES_FILE = "containment.nft";

export type KeptRules = {
  /** Keeps the rules for the next start of the host; undefined: there are none any more. */
  keep: (rules: string | undefined) => void;
  /** Writes the rules kept last again when the file was removed or altered, or could not be written. */
  restore: () => void;
};

export function keptRules(directory: string, log: Log): KeptRules {
  const path = join(directory, KEPT_RULES_FILE);
  let last: string | undefined;
  const file = {
    write: (rules: string) => writeAtomically(path, rules),
    holds: (rules: string) => readOrUndefined(path) === rules,
  };
  // The rules stand all the same; after a start of the host they stand once the agent does.
  const saved = savedIn(file, "the rules for the next start of this host", log);
  return {
    keep: (rules) => {
      last = rules;
      if (rules !== undefined) return saved.save(rules);
      try {
        removeIfThere(path);
      } catch (cause) {
        log("error", "boot-rules.not-removed", { reason: codeOf(cause) });
      }
    },
    restore: () => {
      if (last !== undefined) saved.restore(last);
    },
  };
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
