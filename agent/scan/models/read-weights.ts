import type { ReadOutcome, Weights } from "../reader/read-request.ts";
import type { Files, Miss } from "../system/files.ts";
import { attempt } from "../system/files.ts";
import type { Part } from "./weights.ts";
import { recogniseEmbedded, recogniseWeights } from "./weights.ts";

/**
 * Recognises weights in the file at the first readable path. If `inode` is given, a path that leads to
 * another inode is skipped. Such a path leads to a replacement of the file, or another file system is mounted
 * over it. `null`: the file contains no weights.
 */
export function weightsIn(
  files: Files,
  paths: readonly string[],
  {
    inode,
    sizeBytesMin,
    parts = [],
  }: { inode?: string | undefined; sizeBytesMin: number; parts?: readonly Part[] | undefined },
): ReadOutcome<Weights | null> {
  let miss: Miss = "gone";
  for (const path of paths) {
    const found = attempt(() => {
      const { sizeBytes, isFile, identity } = files.facts(path);
      if (inode !== undefined && identity.slice(identity.indexOf(":") + 1) !== inode) return "another";
      if (!isFile || sizeBytes < sizeBytesMin) return null;
      const readAt = (offset: number, length: number) => files.bytes(path, offset, length);
      const weights = recogniseWeights(readAt, sizeBytes);
      if (weights) return { sizeBytes, ...weights };
      const inside = recogniseEmbedded(readAt, parts);
      return inside ? { ...inside, inside: true as const } : null;
    });
    if ("miss" in found) miss = found.miss === "gone" ? miss : found.miss;
    else if (found.value === "another") miss = "failed";
    else return { value: found.value };
  }
  return { miss };
}
