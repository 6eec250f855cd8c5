import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Source } from "./program.ts";

/**
 * Installed programs are kept between runs, outside the repository: in `LZ_LAB_CACHE`, else in the cache folder of the
 * system for root (programs that run as another user must be able to read it), else in the user's.
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

/** The folder of an installation: another list of versions is another folder. */
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
