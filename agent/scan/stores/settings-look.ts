import { attempt, type Files } from "../system/files.ts";

/** Maximum size in bytes of a unit, environment file or settings file. Larger files are ignored. */
const SETTINGS_BYTES_MAX = 64 * 1024;

/**
 * State while settings files are read. `ownerUid`: the user whose settings are read. The agent reads only
 * files of this user, and files of root that everyone may read. Otherwise a user could make the agent read
 * other users' files.
 */
export type SettingsLook = {
  files: Files;
  ownerUid?: number | undefined;
  /** Number of files that could not be read or are too large. */
  unreadable: number;
  /** Number of items dropped because of a limit. */
  cut: number;
  /** True if the file exists, or if the agent has no permission to check. */
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

/**
 * Returns the result of `read`. If the read fails, increments the counter and returns undefined. A missing
 * file is not counted.
 */
export function noted<T>(look: SettingsLook, read: () => T): T | undefined {
  const result = attempt(read);
  if ("value" in result) return result.value;
  if (result.miss !== "gone") look.unreadable += 1;
  return undefined;
}

const READABLE_BY_ALL = 0o004;

/**
 * Text of a regular file. Undefined if the file is missing or too large, or if the user of the settings has
 * no permission to read the file.
 */
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
