import { weightsIn } from "../models/read-weights.ts";
import type { ReadAnswers, ReadOutcome, ReadRequest } from "../reader/read-request.ts";
import { askSocket } from "../reader/read-socket.ts";
import { createDirectoryReader } from "../stores/model-directory.ts";
import { readSettings } from "../stores/store-settings.ts";
import type { Files } from "../system/files.ts";
import { attempt, optional } from "../system/files.ts";
import type { ModelOnDisk } from "../system/host.ts";

const CHUNK_BYTES = 256 * 1024;

/** Maximum number of names that a `weight-files` request reads in a directory and its subdirectories. */
const NAMES_MAX = 512;

/** Maximum number of files that a `weight-files` request returns. */
const WEIGHT_FILES_MAX = 16;

/**
 * Returns a function that performs read requests on `files` synchronously. The function never throws. `sign`
 * sends a liveness signal. `elapsed` returns milliseconds of a monotonic clock. It is used for requests to
 * unix sockets, which may take seconds.
 */
export function createReads(
  files: Files,
  sign: () => void = () => undefined,
  elapsed: () => number = () => Bun.nanoseconds() / 1e6,
): (request: ReadRequest) => ReadOutcome<ReadAnswers[keyof ReadAnswers]> {
  const readDirectory = createDirectoryReader(files);
  return (request) => {
    switch (request.op) {
      case "weights":
        return weightsIn(files, request.paths, request);
      case "directory":
        return attempt(() => readDirectory(request));
      case "settings":
        return attempt(() => readSettings(files, request));
      case "sha256":
        return attempt(() => sha256Of(files, request.path, request.sizeBytesMax));
      case "facts":
        return attempt(() => files.facts(request.path));
      case "weight-files":
        return attempt(() => weightFilesIn(files, request));
      case "list":
        return attempt(() => files.list(request.path).slice(0, request.namesMax));
      case "socket":
        return attempt(() => askSocket(request, sign, elapsed));
    }
  };
}

/**
 * SHA-256 of a regular file in hexadecimal. Throws if the file is larger than `sizeBytesMax` or shrinks
 * during the read.
 */
function sha256Of(files: Files, path: string, sizeBytesMax: number): string {
  const { isFile, sizeBytes } = files.facts(path);
  if (!isFile || sizeBytes > sizeBytesMax) throw new Error("not a regular file, or larger than the limit");
  const hasher = new Bun.CryptoHasher("sha256");
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let offset = 0; offset < sizeBytes; ) {
    const bytes = files.bytes(path, offset, CHUNK_BYTES, chunk);
    if (bytes.length === 0) throw new Error("the file shrank while it was read");
    hasher.update(bytes);
    offset += bytes.length;
  }
  return hasher.digest("hex");
}

/** Weight files of at least `sizeBytesMin` bytes in a directory and its direct subdirectories. */
function weightFilesIn(
  files: Files,
  { path, sizeBytesMin }: { path: string; sizeBytesMin: number },
): ModelOnDisk[] {
  const found: ModelOnDisk[] = [];
  const below: string[] = [];
  let namesLeft = NAMES_MAX;
  const look = (directory: string, names: readonly string[]): void => {
    for (const name of names) {
      if (namesLeft <= 0 || found.length >= WEIGHT_FILES_MAX) return;
      namesLeft -= 1;
      const place = `${directory}/${name}`;
      if (directory === path && optional(() => files.facts(place))?.isDirectory) below.push(place);
      const outcome = weightsIn(files, [place], { sizeBytesMin });
      if ("value" in outcome && outcome.value) {
        const { sizeBytes, format } = outcome.value;
        found.push({ name, sizeBytes, format });
      }
    }
  };
  look(path, files.list(path));
  for (const directory of below) look(directory, optional(() => files.list(directory)) ?? []);
  return found;
}
