import { tmpdir } from "node:os";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { type Files, realFiles } from "../../../../agent/scan/system/files.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan/scan-gguf.ts";

/** Test fixtures: home directories with models, for tests that read the disk. */

export const MIB = 1024 ** 2;

/** Content of a weight file. It is larger than 1 MiB, because smaller files on disk are ignored. */
export const weights = new Uint8Array(1_100_000);
weights.set(ggufFile(HOLIDAY_PHOTOS));

export const product = (id: string) => catalogue.find((entry) => entry.id === id)!;

/**
 * File access that is limited to the directories of these tests, because the user who runs the tests can have
 * models too.
 */
export function ownFiles(): Files {
  const files = realFiles();
  const own = (path: string): string => {
    if (path.startsWith(tmpdir())) return path;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return { ...files, list: (path) => files.list(own(path)), facts: (path) => files.facts(own(path)) };
}

/** Returns a function that always returns the same array, as in the agent. */
export function only(...homes: string[]): () => readonly string[] {
  return () => homes;
}
