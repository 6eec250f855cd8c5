import { type Files, optional } from "../system/files.ts";

/** Looking a signature up costs a run of a platform tool: one file at a time, with a rest between two. */
const REST_MS = 5000;
const KNOWN_MAX = 256;

export type Signers = {
  /** Who signed the file, or undefined: nobody can tell, or the answer is still to come. */
  of(path: string): string | undefined;
};

/**
 * Who signed a program, by a tool of the platform. Never waited for: the first question starts a search and a later
 * scan gets its answer, which holds as long as the file's size and time do. What fails is not asked again.
 */
export function createSigners(deps: {
  files: Files;
  elapsed: () => number;
  /** The words of the signature; rejects when the tool fails or is late. */
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
    nextAtMs = deps.elapsed() + REST_MS;
    isBusy = false;
  }
}

/** What takes the place of a name: the same words on every system. */
export const NOT_SIGNED = "not signed";
export const notValid = (name: string): string => `not valid: ${name}`;
