import { attempt, type Files } from "../system/files.ts";

/** Size limit in bytes. A larger unit, environment file or settings file is ignored. */
const SETTINGS_BYTES_MAX = 64 * 1024;

/**
 * State of one read of settings files. `ownerUid`: the user whose settings are read. Only files of this user, or files of
 * root that everyone may read, are read. Otherwise a user could make the agent read files of others.
 */
export type SettingsLook = {
  files: Files;
  ownerUid?: number | undefined;
  /** Number of files that could not be read or are too large. */
  unreadable: number;
  /** Number of items dropped because of a limit. */
  cut: number;
  /** True if the file exists, or if the agent may not check. */
  exists(path: string): boolean;
};

export function createSettingsLook(files: Files, ownerUid?: number): SettingsLook {
  return {
    files,
    ownerUid,
    unreadable: 0,
    cut: 0,
    exists: (path) => {
      const found = attempt(() => files.facts(path));
      return "value" in found ? found.value.isFile : found.miss !== "gone";
    },
  };
}

/** Returns the value. If it cannot be read, counts it and returns undefined. A missing file is not counted. */
export function noted<T>(look: SettingsLook, read: () => T): T | undefined {
  const result = attempt(read);
  if ("value" in result) return result.value;
  if (result.miss !== "gone") look.unreadable += 1;
  return undefined;
}

const READABLE_BY_ALL = 0o004;

/** Text of a regular file. Undefined if the file is missing, too large, or not readable by the user of the settings. */
export function textIn(look: SettingsLook, path: string): string | undefined {
  const facts = noted(look, () => look.files.facts(path));
  if (!facts?.isFile) return undefined;
  const { ownerUid } = look;
  const isAllowed =
    ownerUid === undefined ||
    facts.ownerUid === ownerUid ||
    (facts.ownerUid === 0 && (facts.mode & READABLE_BY_ALL) !== 0);
  if (!isAllowed || facts.sizeBytes > SETTINGS_BYTES_MAX) {
    look.unreadable += 1;
    return undefined;
  }
  return noted(look, () => new TextDecoder().decode(look.files.bytes(path, 0, SETTINGS_BYTES_MAX)));
}
