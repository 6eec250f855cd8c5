import { existsSync } from "node:fs";
import { join } from "node:path";
import { StateFault } from "../../platform/state-files.ts";
import { type Contained, readContained } from "./containment-file.ts";
import { KEPT_RULES_FILE } from "./persisted-rules.ts";

export const whyContained = (contained: Contained | "unknown"): string =>
  contained === "unknown"
    ? "the agent cannot determine whether this host is isolated"
    : `this host is isolated (mode ${contained.mode}, generation ${contained.generation})`;

/**
 * The blocking mode that may still be in force on the host with this state directory. Undefined if no mode is
 * in force. `unknown` if the files cannot be read.
 */
export function containedIn(directory: string): Contained | "unknown" | undefined {
  try {
    const contained = readContained(directory);
    if (contained) return contained;
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    return "unknown";
  }
  // If rules for the next boot exist, the host is isolated even if the containment state is lost.
  return existsSync(join(directory, KEPT_RULES_FILE)) ? "unknown" : undefined;
}
