import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Size at which a log file is rotated. Together with `FILE.1`, a log uses at most twice this size on disk. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;

/**
 * Returns a function that appends a line to the log file. Only the owner can read the file. A full file is
 * renamed to `FILE.1` and replaces the previous `FILE.1`. A line that cannot be written is passed to
 * `otherwise`. The function never throws.
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
      // A fragment of the line may be on disk, so the next call reads the size of the file again.
      bytes = undefined;
      otherwise(line);
    }
  };
}

/** Size of the file in bytes, or 0 if it does not exist. Creates its directory if necessary. */
function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
