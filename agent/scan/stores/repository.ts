import { tidy } from "../../../shared/wire/text.ts";

/**
 * A repository in a huggingface_hub cache: the directory `models--<owner>--<name>` with `blobs/` and
 * `snapshots/`.
 */
export type Repository = { name: string; publisher?: string };

/** The repository that contains a path in a huggingface_hub cache. Undefined for other paths. */
export function repositoryOf(path: string): Repository | undefined {
  const directory = /(?:^|[\\/])models--([^\\/]+)[\\/](?:blobs|snapshots)[\\/]/.exec(path)?.[1];
  if (directory === undefined) return undefined;
  const [owner, ...rest] = directory.split("--") as [string, ...string[]];
  if (rest.length === 0) return { name: tidy(owner, 200) };
  return { name: tidy(`${owner}/${rest.join("--")}`, 200), publisher: tidy(owner, 120) };
}
