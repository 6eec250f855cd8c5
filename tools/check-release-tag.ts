import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Error message for a wrong release tag. Undefined if the tag is `v` followed by the version in package.json. */
export const tagFault = (tag: string, version: string): string | undefined =>
  tag === `v${version}`
    ? undefined
    : `tag ${JSON.stringify(tag)} does not match version ${version} of package.json: tag v${version}, or change the version`;

if (import.meta.main) {
  const manifest = readFileSync(join(import.meta.dir, "../package.json"), "utf8");
  const { version } = JSON.parse(manifest) as { version: string };
  const fault = tagFault(process.argv[2] ?? "", version);
  if (fault !== undefined) {
    console.error(fault);
    process.exitCode = 1;
  }
}
