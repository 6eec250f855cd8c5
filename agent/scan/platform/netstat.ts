import type { TcpRow } from "../network/sockets.ts";

/**
 * Parses `netstat -ano -p TCP` and `-p TCPv6` of Windows. `inode` contains the pid. Windows translates the
 * names of TCP states, so the parser uses other fields. A listener has remote port 0. A closed connection has
 * pid 0 (TIME_WAIT), a state of two words (written with `_` in every language), or a state that starts with
 * CLOS or SCHLIESS.
 */
export function parseNetstat(text: string): TcpRow[] {
  const rows: TcpRow[] = [];
  for (const line of text.split(/\r?\n/)) {
    const fields = line.trim().split(/\s+/);
    if (fields.length < 5 || fields[0] !== "TCP") continue;
    const local = parseEnd(fields[1]!);
    const remote = parseEnd(fields[2]!);
    const pid = Number(fields.at(-1));
    if (!local || !remote || !(Number.isInteger(pid) && pid > 0)) continue;
    const listens = remote.port === 0;
    if (!listens && /_|^(?:CLOS|SCHLIESS)/.test(fields[3]!)) continue;
    rows.push({
      localAddress: local.address,
      localPort: local.port,
      remoteAddress: remote.address,
      remotePort: remote.port,
      state: listens ? "listen" : "established",
      uid: -1,
      inode: String(pid),
    });
  }
  return rows;
}

function parseEnd(end: string): { address: string; port: number } | undefined {
  const colon = end.lastIndexOf(":");
  const port = Number(end.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port)) return undefined;
  // Removes the zone of a link-local address, for example `%4` in `[fe80::1%4]`.
  return {
    address: end
      .slice(0, colon)
      .replace(/^\[|\]$/g, "")
      .replace(/%.*$/, ""),
    port,
  };
}
