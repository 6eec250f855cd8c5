import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Size at which a log file is rotated. With `FILE.1`, a log takes at most twice this on the disk. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;

/**
 * Returns a function that appends a line to the file, which only its owner can read. A full file is renamed to `FILE.1`
 * and replaces the previous `FILE.1`. A line that cannot be written goes to `otherwise`; the function never throws.
 */
export function openLogFile(
  path: string,
  otherwise: (line: string) => void,
  bytesMax = LOG_BYTES_MAX,
): (line: string) => void {
  let bytes: number | undefined;
  return (line) => {
    const text = `${line}\n`;
    const length = Buffer.byteLength(text);
    try {
      bytes ??= open(path);
      if (bytes > 0 && bytes + length > bytesMax) {
        renameSync(path, `${path}.1`);
        bytes = 0;
      }
      appendFileSync(path, text, { mode: 0o600 });
      bytes += length;
    } catch {
      // The disk may hold a part of the line, so the next call reads the file's size again.
      bytes = undefined;
      otherwise(line);
    }
  };
}

/** Size of the file in bytes, 0 without one. Creates its directory if it is missing. */
function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
