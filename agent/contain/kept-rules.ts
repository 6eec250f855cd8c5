import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { isCode, writeAtomically } from "../disk.ts";
import type { Log } from "../log.ts";

/** Read at the start of the host by a unit of its own, before there is a network: agent/autostart/systemd.ts. */
export const KEPT_RULES_FILE = "containment.nft";

/** Keeps the rules for the next start of the host; undefined: there are none any more. */
export function keptRules(directory: string, log: Log): (rules: string | undefined) => void {
  const path = join(directory, KEPT_RULES_FILE);
  return (rules) => {
    try {
      if (rules === undefined) unlinkSync(path);
      else writeAtomically(path, rules);
    } catch (cause) {
      // The rules stand all the same; after a start of the host they stand once the agent does.
      if (!isCode(cause, "ENOENT"))
        log("error", "the rules could not be kept for the next start of this host");
    }
  };
}
