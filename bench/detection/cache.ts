import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Source } from "./program.ts";

/**
 * Folder for installed programs. It is outside the repository and shared by all runs. The path is
 * `LZ_LAB_CACHE` if set, otherwise the system's cache folder for root, or the user's cache folder for other
 * users. Programs that run as another user must be able to read the folder.
 */
export function cacheFolder(): string {
  const { LZ_LAB_CACHE, XDG_CACHE_HOME } = process.env;
  if (LZ_LAB_CACHE) return LZ_LAB_CACHE;
  if (process.getuid?.() === 0) return "/var/cache/lifecyclezero-lab";
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "lifecyclezero-lab");
}

const firstOf = (source: Source): string => {
  switch (source.registry) {
    case "go":
      return source.module;
    case "crates":
      return source.crate;
    case "none":
      return "none";
    default:
      return source.packages[0]!;
  }
};

/**
 * Folder of an installation. The folder name contains a hash of the package versions, so a changed package
 * list gets a new folder.
 */
export function folderOf(source: Source): string {
  const hash = createHash("sha256").update(JSON.stringify(source)).digest("hex").slice(0, 8);
  const name = firstOf(source)
    .replace(/[@=[].*$/, "")
    .replace(/^.*\//, "");
  const scoped =
    name ||
    firstOf(source)
      .replace(/^@[^/]*\//, "")
      .replace(/@.*$/, "");
  return join(cacheFolder(), source.registry, `${scoped}-${hash}`);
}
