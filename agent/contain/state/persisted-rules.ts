import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../platform/log.ts";
import { codeOf, removeIfThere, writeAtomically } from "../../platform/state-files.ts";
import { savedIn } from "./twin-file.ts";

/** Rules for the next boot. A systemd unit loads them before the network is up (agent/install/systemd.ts). */
export const KEPT_RULES_FILE = "containment.nft";

export type KeptRules = {
  /** Saves the rules for the next boot. Undefined deletes them. */
  keep: (rules: string | undefined) => void;
  /** Writes the last rules again if the file was removed or modified, or if it could not be written before. */
  restore: () => void;
};

export function keptRules(directory: string, log: Log): KeptRules {
  const path = join(directory, KEPT_RULES_FILE);
  let last: string | undefined;
  const file = {
    write: (rules: string) => writeAtomically(path, rules),
    holds: (rules: string) => readOrUndefined(path) === rules,
  };
  // If the file cannot be saved, the rules stay in force. After a boot, the agent sends them again when it
  // starts.
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
