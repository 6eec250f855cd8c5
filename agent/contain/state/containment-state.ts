import { existsSync } from "node:fs";
import { join } from "node:path";
import { StateFault } from "../../platform/state-files.ts";
import { type Contained, readContained } from "./containment-file.ts";
import { KEPT_RULES_FILE } from "./persisted-rules.ts";

export const whyContained = (contained: Contained | "unknown"): string =>
  contained === "unknown"
    ? "it cannot be told whether this host is isolated"
    : `this host is isolated (mode ${contained.mode}, generation ${contained.generation})`;

/**
 * What this state directory says of a host: the blocking mode that may have changed something on it and is not proven
 * to be undone; undefined where there is none. `unknown`: no file that says so can be read.
 */
export function containedIn(directory: string): Contained | "unknown" | undefined {
  try {
    const contained = readContained(directory);
    if (contained) return contained;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return "unknown";
  }
  // Rules that are put back before the network comes up, whatever became of the file beside them.
  return existsSync(join(directory, KEPT_RULES_FILE)) ? "unknown" : undefined;
}
