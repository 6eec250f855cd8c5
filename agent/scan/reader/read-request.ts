import type { Model } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Part } from "../models/weights.ts";
import type { Settings, SettingsSource } from "../stores/store-settings.ts";
import type { FileFacts, Miss } from "../system/files.ts";
import type { ModelOnDisk, WeightFile } from "../system/host.ts";
import type { SocketAnswer, SocketRequest } from "./read-socket.ts";

/** A request to the reader process. Paths are absolute. */
export type ReadRequest =
  /**
   * Recognises model weights in a file of at least `sizeBytesMin` bytes, or in one of its `parts`. `paths`
   * are alternative paths of the same file and are tried in order.
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
  /** Lists weight files of at least `sizeBytesMin` bytes in a directory and its direct subdirectories. */
  | { op: "weight-files"; path: string; sizeBytesMin: number }
  | { op: "list"; path: string; namesMax?: number }
  | ({ op: "socket" } & SocketRequest);

export type Weights = Omit<WeightFile, "path" | "how">;

/** The type of the response value for each kind of request. */
export type ReadAnswers = {
  /** `null`: the file contains no model weights. */
  weights: Weights | null;
  directory: { models: Model[]; gaps: Gaps };
  settings: Settings;
  sha256: string;
  facts: FileFacts;
  "weight-files": ModelOnDisk[];
  list: string[];
  socket: SocketAnswer;
};

/**
 * Response of the reader. `unanswered`: the file system did not respond in time. After a timeout, the reader
 * also rejects further requests to that file system for a while with `unanswered`.
 */
export type ReadOutcome<T> = { value: T } | { miss: Miss | "unanswered" };

/**
 * Numbers of files and directories that were not read. `cut`: a limit on count or depth was reached.
 * `unreadable`: permissions are missing. `foreign`: a user's setting names a directory that another user
 * owns.
 */
export type Gaps = { cut: number; unreadable: number; foreign?: number };

/**
 * A model directory named by a catalogue entry or a setting. In its path, `~` is already replaced by a home
 * directory. With `ownerUids`, the directory is read only if one of these users owns it, because a user's
 * setting must not make the agent read directories of other users.
 */
export type ModelDirectory = { path: string; layout: Layout; ownerUids?: readonly number[] };

/** Line that the reader sends as a liveness signal between file operations. */
export const SIGN = ".";

/** Layout of the models in a directory. `browsers`: the storage of all browsers in a home directory. */
export type Layout = NonNullable<CatalogEntry["directories"]>[number]["layout"] | "browsers";
