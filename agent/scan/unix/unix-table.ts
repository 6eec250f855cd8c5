/** A listening stream socket from /proc/net/unix. The name of an abstract socket begins with `@`. */
export type UnixRow = { inode: string; name: string };

const UNIX_ROWS_MAX = 4096;

/**
 * A row of a listening stream socket: it has the flag SO_ACCEPTCON (00010000, listening) and the type 0001
 * (stream). See proc(5).
 */
const LISTENING_STREAM = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ 00010000 0001 [0-9A-F]+ +(\d+) (.+)$/;

/** Parses at most {@link UNIX_ROWS_MAX} rows. A name with a line feed is truncated at the line feed. */
export function parseUnixTable(table: string): UnixRow[] {
  const rows: UnixRow[] = [];
  // Most rows are connections. Searching for the flag first avoids splitting those rows.
  for (let at = table.indexOf(" 00010000 "); at >= 0; at = table.indexOf(" 00010000 ", at + 1)) {
    const end = table.indexOf("\n", at);
    const line = table.slice(table.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end);
    const [, inode, name] = LISTENING_STREAM.exec(line) ?? [];
    if (inode !== undefined && name !== undefined) rows.push({ inode, name });
    if (rows.length >= UNIX_ROWS_MAX) break;
  }
  return rows;
}
