import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** With the one before it, a log never takes more than twice this of the disk. */
export const LOG_BYTES_MAX = 10 * 1024 * 1024;

/**
 * Appends lines to a file that only its owner can read. A file that is full becomes `FILE.1`, in place of the one
 * before. While the disk takes nothing, lines go to `otherwise`; the daemon never stops for its log.
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
      // Where it stands is asked anew: a part of the line may be there.
      bytes = undefined;
      otherwise(line);
    }
  };
}

/** Size of the file; its directory is made when it is not there. */
function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
