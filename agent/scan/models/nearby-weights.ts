import { dirname, isAbsolute } from "node:path/posix";
import type { Reader } from "../reader/file-reader.ts";
import { type Files, optional } from "../system/files.ts";
import type { ModelOnDisk } from "../system/host.ts";
import type { LinuxProcess } from "../system/linux-process.ts";
import type { Mounts } from "../system/mounts.ts";
import { RUNTIME_BYTES_MIN } from "./unmapped-weights.ts";

const DIRECTORIES_MAX = 4;
const ARGUMENTS_MAX = 64;

type Dependencies = { files: Files; mounts: Mounts; reader: Reader };

/**
 * Lists weight files in the working directory of a process and in the directories named in its command line.
 * The reader process lists these directories, because other users control them. `unread`: number of
 * directories that are remote or not readable.
 */
export async function findNearbyWeights(
  deps: Dependencies,
  process: LinuxProcess,
): Promise<{ found: ModelOnDisk[]; unread: number }> {
  const { paths, remote } = directoriesOf(deps, process);
  const found: ModelOnDisk[] = [];
  let unread = remote;
  for (const path of paths) {
    const request = { op: "weight-files", path, sizeBytesMin: RUNTIME_BYTES_MIN } as const;
    const outcome = await deps.reader.ask(request, path);
    if ("value" in outcome) found.push(...outcome.value);
    else if (outcome.miss !== "gone") unread += 1;
  }
  return { found, unread };
}

/**
 * Returns paths of the local directories, which lead through the process's procfs entry, and the number of
 * remote directories.
 */
function directoriesOf(
  { files, mounts }: Dependencies,
  { pid, directory, argv }: LinuxProcess,
): { paths: string[]; remote: number } {
  const working = optional(() => files.link(`${directory}/cwd`));
  const named = argv.slice(1, ARGUMENTS_MAX).flatMap((argument) => {
    const path = argument.slice(argument.startsWith("-") ? argument.indexOf("=") + 1 : 0);
    if (!path.includes("/") || path.includes("://") || path.startsWith("-")) return [];
    const absolute = isAbsolute(path) ? path : `${working ?? ""}/${path}`;
    return dirname(absolute) === "/" ? [] : [dirname(absolute)];
  });
  const directories = [
    ...(working === undefined ? [] : [{ seen: working, path: `${directory}/cwd` }]),
    ...[...new Set(named)].map((seen) => ({ seen, path: `${directory}/root${seen}` })),
  ].slice(0, DIRECTORIES_MAX);
  const paths = directories
    .filter(({ seen }) => mounts.ofPath(seen, pid).class === "local")
    .map(({ path }) => path);
  return { paths, remote: directories.length - paths.length };
}
