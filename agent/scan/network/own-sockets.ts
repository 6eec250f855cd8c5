import { type Files, optional } from "../system/files.ts";
import type { SocketDiag } from "./sock-diag.ts";
import { parseTcpTable, type TcpRow } from "./sockets.ts";

export const TABLES = ["tcp", "tcp6"] as const;
export const TABLE_BYTES_MAX = 4 * 1024 * 1024;
/** The kernel walks all its hash buckets for the connections (about 1 ms), whatever their number. */
const CONNECTIONS_SCANS = 2;

/** Sockets of the agent's own network namespace. A list is the same one as before while it says the same. */
export type OwnSockets = {
  /** To be called once a scan, first. Undefined when no source is readable. */
  listening(): readonly TcpRow[] | undefined;
  /** Of this scan or the one before; `isNews` asks for those of this moment. */
  established(isNews: boolean): readonly TcpRow[];
};

/**
 * From `diag` in every scan. Where that is not to be had from the tables of procfs, which make the kernel format
 * all its sockets: IPv4 and IPv6 take turns after the first scan.
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
    established: (isNews) => {
      if (!isNews && scans - readAtScan < CONNECTIONS_SCANS) return established;
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

export function readTable(files: Files, path: string): TcpRow[] | undefined {
  return optional(() => parseTcpTable(files.text(path, TABLE_BYTES_MAX, "latin1")));
}

/** The older list when the newer one has the same rows in the same order. */
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
