import { tmpdir } from "node:os";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { type Files, realFiles } from "../../../../agent/scan/system/files.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan/scan-gguf.ts";

/** Homes with models, for tests that read disks. */

export const MIB = 1024 ** 2;

/** Files on disk below 1 MiB are ignored. */
export const weights = new Uint8Array(1_100_000);
weights.set(ggufFile(HOLIDAY_PHOTOS));

export const product = (id: string) => catalogue.find((entry) => entry.id === id)!;

/** Files below the directories of these tests only, because the user who runs the tests may have models too. */
export function ownFiles(): Files {
  const files = realFiles();
  const own = (path: string): string => {
    if (path.startsWith(tmpdir())) return path;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return { ...files, list: (path) => files.list(own(path)), facts: (path) => files.facts(own(path)) };
}

/** Returns the same array each time, like the agent. */
export function only(...homes: string[]): () => readonly string[] {
  return () => homes;
}
