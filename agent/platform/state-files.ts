import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { z } from "zod";

/** Error for an unusable file or directory of the agent's state. The message contains the remedy. */
export class StateFault extends Error {
  override name = "StateFault";
}

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
const OTHERS_ANY = 0o077;
const OTHERS_WRITE = 0o022;

/**
 * False on Windows, which has no POSIX permission bits. On Windows, the ACL of the state directory protects
 * the files in it.
 */
const hasModes = (platform: NodeJS.Platform): boolean => platform !== "win32";

/**
 * Creates the state directory with mode 0700. If the directory exists, throws {@link StateFault} if the group
 * or other users can write to it.
 */
export function prepareDirectory(directory: string, platform: NodeJS.Platform): void {
  const made = mkdirSync(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  if (!hasModes(platform)) return;
  // The umask may have removed bits from a new directory. An existing directory keeps its mode.
  if (made !== undefined) chmodSync(directory, OWNER_ONLY_DIRECTORY);
  const { mode } = statSync(directory);
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new StateFault(`${directory} is writable by others (mode ${octal(mode)}): run chmod 700 on it`);
  }
}

/**
 * Replaces the file atomically. After a crash or a power failure, the file has either the old or the new
 * content. Writes a temporary file, calls fsync, renames the file and calls fsync on the directory
 * (rename(2)). fsync(2) explains why the second fsync is needed.
 */
export function writeAtomically(path: string, content: string): void {
  const temporary = `${path}.tmp`;
  let file: number | undefined;
  try {
    file = openSync(temporary, "w", OWNER_ONLY_FILE);
    writeFully(file, content);
    fsyncSync(file);
    closeSync(file);
    file = undefined;
    renameSync(temporary, path);
  } catch (cause) {
    if (file !== undefined) closeSync(file);
    removeIfThere(temporary);
    throw cause;
  }
  syncDirectory(dirname(path));
}

/**
 * Writes the whole content. A single write(2) can write fewer bytes than requested, for example if the disk
 * becomes full.
 */
function writeFully(file: number, content: string): void {
  const bytes = Buffer.from(content, "utf8");
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(file, bytes, offset);
}

function syncDirectory(directory: string): void {
  try {
    const handle = openSync(directory, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    // Windows cannot open a directory, so fsync on the directory is not possible. The rename is durable
    // without it.
  }
}

/** Deletes the file. Returns false if it did not exist. Throws on any other error. */
export function removeIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return false;
    throw cause;
  }
}

/**
 * Deletes a file if possible. Never throws, even if the disk has become read-only, because a leftover file
 * does no harm.
 */
export function removeIfPossible(path: string): void {
  try {
    removeIfThere(path);
  } catch {
    // The next start of the agent tries to delete the file again.
  }
}

/**
 * Content of the file. Undefined if it does not exist. Throws {@link StateFault} with the remedy if it cannot
 * be read.
 */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return undefined;
    throw new StateFault(`cannot read ${path} (${codeOf(cause)}): ${remedyOf(codeOf(cause))}`, { cause });
  }
}

/** Remedy for one of the agent's files that cannot be read or written. `code` is the error code. */
export const remedyOf = (code: string): string =>
  code === "EACCES" || code === "EPERM"
    ? "run lz-agent as the user who owns it, or as root"
    : code === "EISDIR" || code === "ENOTDIR"
      ? "remove the file or directory that has this name"
      : "check the disk and the path";

/**
 * Content of a state file. Undefined if it does not exist. Throws {@link StateFault} with the remedy if it is
 * damaged.
 */
export function readState<T>(
  directory: string,
  name: string,
  schema: z.ZodType<T>,
  remedy = "remove it; the agent then creates a new file",
): T | undefined {
  const path = join(directory, name);
  const content = readIfThere(path);
  if (content === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(content));
  } catch (cause) {
    throw new StateFault(`${path} is damaged: ${remedy}`, { cause });
  }
}

/** Replaces a state file atomically with the value as JSON. */
export function writeState(directory: string, name: string, value: unknown): void {
  writeAtomically(join(directory, name), `${JSON.stringify(value)}\n`);
}

/** Throws {@link StateFault} if the group or other users can read or write a file that contains a secret. */
export function requireOwnerOnly(path: string, platform: NodeJS.Platform): void {
  if (!hasModes(platform)) return;
  const { mode } = statSync(path);
  if ((mode & OTHERS_ANY) !== 0) {
    throw new StateFault(
      `${path} can be read by others (mode ${octal(mode)}): run chmod 600 on it, or enrol again if others may have copied it`,
    );
  }
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

/** Error code of the system, for example `ENOENT`, or "unknown error". */
export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown error";

export const isCode = (cause: unknown, code: string): boolean => codeOf(cause) === code;
