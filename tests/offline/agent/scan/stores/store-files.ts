import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";

/** Returns a function that writes a file below `root` and creates its directories. */
export function putIn(root: string): (path: string, content: string | Uint8Array) => string {
  return (path, content) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
}

/**
 * The real file operations, with owners and modes overridden by path prefix. Without root, a test cannot set
 * them on disk.
 */
export function ownedFiles(owners: Readonly<Record<string, { uid: number; mode?: number }>>): Files {
  const files = realFiles();
  return {
    ...files,
    facts: (path) => {
      const facts = files.facts(path);
      const [longest] = Object.keys(owners)
        .filter((start) => path === start || path.startsWith(`${start}/`))
        .sort((a, b) => b.length - a.length);
      const owner = longest === undefined ? undefined : owners[longest];
      return owner ? { ...facts, ownerUid: owner.uid, mode: owner.mode ?? facts.mode } : facts;
    },
  };
}
