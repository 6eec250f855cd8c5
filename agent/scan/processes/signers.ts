import { type Files, optional } from "../system/files.ts";

/** Pause between two signature checks, because each check runs a platform tool. */
const PAUSE_MS = 5000;
const KNOWN_MAX = 256;

export type Signers = {
  /** Signer of the file. Undefined if the signer cannot be determined or the check is still running. */
  of(path: string): string | undefined;
};

/**
 * Finds the signers of programs with a platform tool. Calls never wait. A call starts a check if none is
 * running, and a later scan gets the result. Results, including failures, are cached while size and
 * modification time of the file stay the same.
 */
export function createSigners(deps: {
  files: Files;
  elapsed: () => number;
  /** Runs the platform tool and returns the text to report. Rejects if the tool fails or exceeds its timeout. */
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

/** Texts that are reported instead of a signer. They are the same on every platform. */
export const NOT_SIGNED = "not signed";
export const notValid = (name: string): string => `not valid: ${name}`;
