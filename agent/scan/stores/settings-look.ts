import { attempt, type Files } from "../system/files.ts";

/** Size limit in bytes. A larger unit, environment file or settings file is ignored. */
export const SETTINGS_BYTES_MAX = 64 * 1024;

/**
 * One look at files with settings. `ownerUid`: the user whose settings these are. Only files that this user wrote, or
 * that everybody may read, are read for them: a user must not make the agent read files of others.
 */
export type SettingsLook = {
  files: Files;
  ownerUid?: number | undefined;
  /** Files that could not be read, or are too large. */
  unreadable: number;
  /** What was left out for its number. */
  cut: number;
  /** Whether there is a file with this path. One that may not be looked at may exist. */
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

/** The value; undefined and counted if it could not be read. What does not exist is not counted. */
export function noted<T>(look: SettingsLook, read: () => T): T | undefined {
  const result = attempt(read);
  if ("value" in result) return result.value;
  if (result.miss !== "gone") look.unreadable += 1;
  return undefined;
}

const READABLE_BY_ALL = 0o004;

/** Text of a regular file, or undefined if the file is missing, too large, or not readable by the user whose setting names it. */
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
