import { type Files, optional } from "../system/files.ts";

/** Pause between two signature checks. Each check runs a platform tool. */
const PAUSE_MS = 5000;
const KNOWN_MAX = 256;

export type Signers = {
  /** Signer of the file. Undefined if it cannot be determined, or while the check runs. */
  of(path: string): string | undefined;
};

/**
 * Finds signers of programs with a tool of the platform. A call never waits: it starts a check, one at a time, and a later
 * scan gets the result. Results, including failures, are cached while size and modification time stay the same.
 */
export function createSigners(deps: {
  files: Files;
  elapsed: () => number;
  /** Runs the tool and returns the text to report. Rejects if the tool fails or exceeds its timeout. */
  look: (path: string) => Promise<string | undefined>;
}): Signers {
  const known = new Map<string, string | undefined>();
  let isBusy = false;
  let nextAtMs = 0;
  return {
    of: (path) => {
      const facts = optional(() => deps.files.facts(path));
      if (!facts?.isFile) return undefined;
      const key = `${path} ${facts.sizeBytes} ${facts.modifiedMs}`;
      if (!known.has(key) && !isBusy && deps.elapsed() >= nextAtMs) void search(key, path);
      return known.get(key);
    },
  };

  async function search(key: string, path: string): Promise<void> {
    isBusy = true;
    const signer = await deps.look(path).catch(() => undefined);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(key, signer);
    nextAtMs = deps.elapsed() + PAUSE_MS;
    isBusy = false;
  }
}

/** Texts in place of a signer's name, the same on every platform. */
export const NOT_SIGNED = "not signed";
export const notValid = (name: string): string => `not valid: ${name}`;
