import { tmpdir } from "node:os";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { type Files, realFiles } from "../../../../agent/scan/system/files.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan/scan-gguf.ts";

/** Homes with models in them, for what reads disks. */

export const MIB = 1024 ** 2;

/** Weights below a megabyte are not looked at on disk. */
export const weights = new Uint8Array(1_100_000);
weights.set(ggufFile(HOLIDAY_PHOTOS));

export const product = (id: string) => catalogue.find((entry) => entry.id === id)!;

/** The files of this machine below the directories of these tests: who runs them may have an Ollama of his own. */
export function ownFiles(): Files {
  const files = realFiles();
  const own = (path: string): string => {
    if (path.startsWith(tmpdir())) return path;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return { ...files, list: (path) => files.list(own(path)), facts: (path) => files.facts(own(path)) };
}

/** The same list each time, as the agent has it. */
export function only(...homes: string[]): () => readonly string[] {
  return () => homes;
}
