import { tidy } from "../../../shared/wire/text.ts";

/** A repository of models as huggingface_hub keeps it: `models--<owner>--<name>` with `blobs/` and `snapshots/`. */
export type Repository = { name: string; publisher?: string };

/** The repository that a file or snapshot belongs to by its path; undefined outside such a cache. */
export function repositoryOf(path: string): Repository | undefined {
  const directory = /(?:^|[\\/])models--([^\\/]+)[\\/](?:blobs|snapshots)[\\/]/.exec(path)?.[1];
  if (directory === undefined) return undefined;
  const [owner, ...rest] = directory.split("--") as [string, ...string[]];
  if (rest.length === 0) return { name: tidy(owner, 200) };
  return { name: tidy(`${owner}/${rest.join("--")}`, 200), publisher: tidy(owner, 120) };
}
