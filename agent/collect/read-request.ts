import type { Model } from "../../shared/wire/heartbeat.ts";
import { attempt, type FileFacts, type Files, type Miss, optional } from "./files.ts";
import type { ModelOnDisk, WeightFile } from "./host.ts";
import type { Gaps } from "./look.ts";
import { createDirectoryReader, type ModelDirectory } from "./model-directory.ts";
import { askSocket, type SocketAnswer, type SocketRequest } from "./read-socket.ts";
import { readSettings, type Settings, type SettingsSource } from "./store-settings.ts";
import { type Part, recogniseEmbedded, recogniseWeights } from "./weights.ts";

/** What the reader process is asked. Paths are absolute. */
export type ReadRequest =
  /**
   * The weights in a file of at least `sizeBytesMin`, or else in one of its `parts`; `paths` are names of the same file,
   * tried in order.
   */
  | {
      op: "weights";
      paths: readonly string[];
      inode?: string | undefined;
      sizeBytesMin: number;
      parts?: readonly Part[] | undefined;
    }
  | ({ op: "directory" } & ModelDirectory)
  | ({ op: "settings" } & SettingsSource)
  | { op: "sha256"; path: string; sizeBytesMax: number }
  | { op: "facts"; path: string }
  /** The files of weights of at least `sizeBytesMin` in a directory and in those directly below it. */
  | { op: "weight-files"; path: string; sizeBytesMin: number }
  | { op: "list"; path: string; namesMax?: number }
  | ({ op: "socket" } & SocketRequest);

export type Weights = Omit<WeightFile, "path" | "how">;

/** The answer to each kind of request. */
export type ReadAnswers = {
  /** `null`: no weights. */
  weights: Weights | null;
  directory: { models: Model[]; gaps: Gaps };
  settings: Settings;
  sha256: string;
  facts: FileFacts;
  "weight-files": ModelOnDisk[];
  list: string[];
  socket: SocketAnswer;
};

/** `unanswered`: the file system did not answer in time, or has not done so lately and is left alone for a while. */
export type ReadOutcome<T> = { value: T } | { miss: Miss | "unanswered" };

const CHUNK_BYTES = 256 * 1024;
/** So many names are looked at in a directory and those below it, and so many files of weights are returned. */
const NAMES_MAX = 512;
const WEIGHT_FILES_MAX = 16;

/** Performs requests on these files, synchronously. Never throws. `sign` and `elapsed` are for what takes its time. */
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
 * The weights in the first of these paths that leads to the file. A path that leads to another inode is another file:
 * something was mounted over it, or it was replaced.
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

function sha256Of(files: Files, path: string, sizeBytesMax: number): string {
  const { isFile, sizeBytes } = files.facts(path);
  if (!isFile || sizeBytes > sizeBytesMax) throw new Error("not a file of this size");
  const hasher = new Bun.CryptoHasher("sha256");
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let offset = 0; offset < sizeBytes; ) {
    const bytes = files.bytes(path, offset, CHUNK_BYTES, chunk);
    if (bytes.length === 0) throw new Error("the file became shorter");
    hasher.update(bytes);
    offset += bytes.length;
  }
  return hasher.digest("hex");
}
