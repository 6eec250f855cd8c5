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

/** A file of the state directory that cannot be used as it is. The message says what to do about it. */
export class StateFault extends Error {
  override name = "StateFault";
}

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
const OTHERS_ANY = 0o077;
const OTHERS_WRITE = 0o022;

/** POSIX permission bits mean nothing on Windows, where the directory's ACL is what counts. */
const hasModes = (platform: NodeJS.Platform): boolean => platform !== "win32";

/** Makes the directory (0700), or checks that nobody else can write into one that is there. */
export function prepareDirectory(directory: string, platform: NodeJS.Platform): void {
  const made = mkdirSync(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  if (!hasModes(platform)) return;
  // The umask may have narrowed a directory we made; one that was there is the owner's to change, not ours.
  if (made !== undefined) chmodSync(directory, OWNER_ONLY_DIRECTORY);
  const { mode } = statSync(directory);
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new StateFault(`${directory} is writable by others (mode ${octal(mode)}): run chmod 700 on it`);
  }
}

/**
 * Replaces `path` in one step: a reader, a crash or a power cut sees the old content or the new, never half.
 * Temporary file, fsync, rename, fsync of the directory (rename(2); fsync(2) on why the directory too).
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

/** write(2) may take fewer bytes than asked; on a disk that just filled up it does. */
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
    // Windows cannot open a directory: there the rename itself is the durable step.
  }
}

/** True when the file was there. */
export function removeIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return false;
    throw cause;
  }
}

/** For a file that does no harm where it is, on a disk that may have become read-only. */
export function removeIfPossible(path: string): void {
  try {
    removeIfThere(path);
  } catch {
    // It is tried again at the next start.
  }
}

export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return undefined;
    throw new StateFault(`cannot read ${path} (${codeOf(cause)}): ${remedyOf(codeOf(cause))}`, { cause });
  }
}

/** What helps when a file of the agent cannot be read or written. */
export const remedyOf = (code: string): string =>
  code === "EACCES" || code === "EPERM"
    ? "run lz-agent as the user who owns it, or as root"
    : code === "EISDIR" || code === "ENOTDIR"
      ? "remove what is there in its place"
      : "check the disk and the path";

/**
 * Content of a state file, undefined when there is none. Throws {@link StateFault} with the remedy when it is damaged.
 */
export function readState<T>(
  directory: string,
  name: string,
  schema: z.ZodType<T>,
  remedy = "remove it, and the agent makes a new one",
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

export function writeState(directory: string, name: string, value: unknown): void {
  writeAtomically(join(directory, name), `${JSON.stringify(value)}\n`);
}

/** Refuses a secret that anyone but its owner may touch. */
export function requireOwnerOnly(path: string, platform: NodeJS.Platform): void {
  if (!hasModes(platform)) return;
  const { mode } = statSync(path);
  if ((mode & OTHERS_ANY) !== 0) {
    throw new StateFault(
      `${path} can be read by others (mode ${octal(mode)}): enrol anew, or chmod 600 if it never left this host`,
    );
  }
}

const octal = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

export const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "unknown error";

export const isCode = (cause: unknown, code: string): boolean => codeOf(cause) === code;
