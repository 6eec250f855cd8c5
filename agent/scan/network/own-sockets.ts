import { type Files, optional } from "../system/files.ts";
import type { SocketDiag } from "./sock-diag.ts";
import { parseTcpTable, type TcpRow } from "./sockets.ts";

export const TABLES = ["tcp", "tcp6"] as const;
const TABLE_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Number of scans between two reads of established connections. One read takes about 1 ms, because the kernel
 * walks its whole hash table.
 */
const CONNECTIONS_SCANS = 2;

/** Sockets of the agent's own network namespace. Returns the same array as before while the sockets are unchanged. */
export type OwnSockets = {
  /** Listening sockets. Must be the first call of each scan. Undefined if no socket table is readable. */
  listening(): readonly TcpRow[] | undefined;
  /** Established connections, from this scan or the previous one. If `isFresh` is true, always from this scan. */
  established(isFresh: boolean): readonly TcpRow[];
};

/**
 * Reads sockets with `diag` in every scan. If `diag` is missing, reads the tables of procfs. That costs more,
 * because the kernel formats all sockets as text. From the second scan on, each scan therefore reads only one
 * of the IPv4 and IPv6 tables, in turn.
 */
export function createOwnSockets(deps: {
  files: Files;
  procRoot: string;
  diag: SocketDiag | undefined;
}): OwnSockets {
  const tables = new Map<string, readonly TcpRow[] | undefined>();
  let listening: readonly TcpRow[] | undefined;
  let established: readonly TcpRow[] = [];
  let readAtScan = Number.NEGATIVE_INFINITY;
  let isFromTables = false;
  let scans = 0;

  return {
    listening: () => {
      scans += 1;
      const rows = deps.diag?.read("listen");
      isFromTables = rows === undefined;
      if (isFromTables) readTables();
      listening = sameOr(listening, rows ?? listed("listen"));
      return listening;
    },
    established: (isFresh) => {
      if (!isFresh && scans - readAtScan < CONNECTIONS_SCANS) return established;
      const rows = isFromTables ? undefined : deps.diag?.read("established");
      if (rows) readAtScan = scans;
      else if (!isFromTables) readTables();
      established = sameOr(established, rows ?? listed("established") ?? []) ?? [];
      return established;
    },
  };

  function readTables(): void {
    for (const [at, name] of TABLES.entries()) {
      if (tables.size === TABLES.length && (scans + at) % TABLES.length !== 0) continue;
      tables.set(name, readTable(deps.files, `${deps.procRoot}/net/${name}`));
    }
  }

  function listed(state: TcpRow["state"]): TcpRow[] | undefined {
    const readable = [...tables.values()].filter((table) => table !== undefined);
    if (readable.length === 0) return undefined;
    return readable.flat().filter((row) => row.state === state);
  }
}

/** Sockets of a procfs table such as `/proc/PID/net/tcp`. Undefined if the table is not readable. */
export function readTable(files: Files, path: string): TcpRow[] | undefined {
  return optional(() => parseTcpTable(files.text(path, TABLE_BYTES_MAX, "latin1")));
}

/** Returns the older list if both lists have the same rows in the same order. */
function sameOr(
  before: readonly TcpRow[] | undefined,
  after: readonly TcpRow[] | undefined,
): readonly TcpRow[] | undefined {
  if (!before || before.length !== after?.length) return after;
  return after.every((row, at) => isSame(row, before[at]!)) ? before : after;
}

const isSame = (a: TcpRow, b: TcpRow): boolean =>
  a.inode === b.inode &&
  a.localPort === b.localPort &&
  a.remotePort === b.remotePort &&
  a.localAddress === b.localAddress &&
  a.remoteAddress === b.remoteAddress &&
  a.uid === b.uid;
