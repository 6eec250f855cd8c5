import type { Program } from "./program.ts";
import { HELD_OUT } from "./programs/held-out.ts";
import { ORDINARY } from "./programs/ordinary.ts";
import { SECOND_HELD_OUT } from "./programs/second-held-out.ts";
import { TUNING } from "./programs/tuning.ts";

export const SETS = ["tuning", "held-out", "second-held-out", "ordinary", "quick"] as const;
export type SetName = (typeof SETS)[number];

/**
 * Programs with small downloads for CI. They install within one or two minutes. All of them are in the tuning
 * set.
 */
const QUICK = new Set([
  ...["chroma", "infinity", "opencode", "portkey", "llama-cpp"],
  ...["mcp-everything-http", "mcp-everything-stdio", "mcp-python-stateless", "fastchat-controller"],
  ...["http-server", "json-server", "express", "fastapi", "flask", "python-http"],
]);

/**
 * Programs of a set, which contains AI programs and ordinary servers. `only`: names of programs to select. If
 * absent, all programs are selected.
 */
export function programsOf(
  set: SetName,
  only?: readonly string[],
): { ai: readonly Program[]; ordinary: readonly Program[] } {
  const chosen = (programs: readonly Program[]) =>
    programs.filter(
      ({ name }) => (set !== "quick" || QUICK.has(name)) && (only === undefined || only.includes(name)),
    );
  const ai = {
    tuning: TUNING,
    "held-out": HELD_OUT,
    "second-held-out": SECOND_HELD_OUT,
    ordinary: [],
    quick: TUNING,
  }[set];
  return { ai: chosen(ai), ordinary: chosen(ORDINARY) };
}

/** Distributes the ordinary servers evenly among the AI programs, as on a real host. */
export function mixed(some: readonly Program[], others: readonly Program[]): Program[] {
  const placed = [some, others].flatMap((list) => list.map((one, at) => ({ one, at: at / list.length })));
  return placed.sort((a, b) => a.at - b.at).map(({ one }) => one);
}
