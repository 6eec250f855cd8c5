import type { Model } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Part } from "../models/weights.ts";
import type { Settings, SettingsSource } from "../stores/store-settings.ts";
import type { FileFacts, Miss } from "../system/files.ts";
import type { ModelOnDisk, WeightFile } from "../system/host.ts";
import type { SocketAnswer, SocketRequest } from "./read-socket.ts";

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

/**
 * Numbers of files and directories that were not read: `cut` because of a limit on count or depth, `unreadable` because of
 * missing permissions, `foreign` because a user's setting names a directory that another user owns.
 */
export type Gaps = { cut: number; unreadable: number; foreign?: number };

/**
 * A directory of models as an entry of the catalogue or a setting names it; `~` is already replaced by a home directory.
 * `ownerUids`: only a directory of these users is read, because settings of theirs name it.
 */
export type ModelDirectory = { path: string; layout: Layout; ownerUids?: readonly number[] };

/** A line that says only: the last file operation came back. */
export const SIGN = ".";

/** `browsers`: the storage of all browsers of a home. */
export type Layout = NonNullable<CatalogEntry["directories"]>[number]["layout"] | "browsers";
