/** A row of `ps -axww -o pid=,ppid=,uid=,user=,rss=,lstart=,comm=` on macOS (ps(1)). `rss` is in KiB. */
export type PsRow = {
  pid: number;
  parentPid: number;
  uid: number;
  user: string;
  residentBytes: number;
  /** Start time in epoch milliseconds. `lstart` is in local time and has a precision of one second. */
  startedAtMs?: number;
  /** Full path of the executable. The path may contain spaces. */
  executable: string;
};

const ROW = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\w{3} +\w{3} +\d+ \d\d:\d\d:\d\d \d{4})\s+(.+)$/;

export function parsePs(text: string): PsRow[] {
  const rows: PsRow[] = [];
  for (const line of text.split("\n")) {
    const match = ROW.exec(line);
    if (!match) continue;
    const [, pid, parentPid, uid, user, kibibytes, started, executable] = match;
    const startedAtMs = Date.parse(started!.replace(/^\w{3} +/, ""));
    rows.push({
      pid: Number(pid),
      parentPid: Number(parentPid),
      uid: Number(uid),
      user: user!,
      residentBytes: Number(kibibytes) * 1024,
      ...(Number.isFinite(startedAtMs) && { startedAtMs }),
      executable: executable!,
    });
  }
  return rows;
}

/**
 * Command lines by pid, from `ps -axww -o pid=,args=`. They are split at spaces, because ps does not mark the
 * end of an argument.
 */
export function parsePsArguments(text: string): Map<number, string[]> {
  const commands = new Map<number, string[]>();
  for (const line of text.split("\n")) {
    const match = /^\s*(\d+)\s+(.+)$/.exec(line);
    if (match)
      commands.set(
        Number(match[1]),
        match[2]!.split(" ").filter((word) => word !== ""),
      );
  }
  return commands;
}
