/** A listening stream socket of /proc/net/unix. `name` as the kernel shows it: `@` begins an abstract one. */
export type UnixRow = { inode: string; name: string };

export const UNIX_ROWS_MAX = 4096;

/** SO_ACCEPTCON of the column Flags: it listens. Then the type: 0001 is a stream (proc(5)). */
const LISTENING_STREAM = /^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ 00010000 0001 [0-9A-F]+ +(\d+) (.+)$/;

/** At most {@link UNIX_ROWS_MAX} rows. A name with a line feed in it ends there. */
export function parseUnixTable(table: string): UnixRow[] {
  const rows: UnixRow[] = [];
  // Most lines are connections: only those with the flag are split.
  for (let at = table.indexOf(" 00010000 "); at >= 0; at = table.indexOf(" 00010000 ", at + 1)) {
    const end = table.indexOf("\n", at);
    const line = table.slice(table.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end);
    const [, inode, name] = LISTENING_STREAM.exec(line) ?? [];
    if (inode !== undefined && name !== undefined) rows.push({ inode, name });
    if (rows.length >= UNIX_ROWS_MAX) break;
  }
  return rows;
}
