import type { TcpRow } from "../network/sockets.ts";
import type { Listener, ProcessFacts } from "../system/host.ts";

/**
 * Listeners in a socket table whose `inode` contains the pid (lsof, netstat). Several descriptors of one
 * socket are merged into one listener.
 */
export function listenersOf(
  rows: readonly TcpRow[],
  processes: ReadonlyMap<number, ProcessFacts>,
  reachableAt: (address: string) => string | undefined,
): Listener[] {
  const listeners = new Map<string, Listener>();
  for (const row of rows) {
    if (row.state !== "listen") continue;
    const pid = Number(row.inode);
    const key = `${pid}/${row.localAddress}:${row.localPort}`;
    const at = reachableAt(row.localAddress);
    listeners.set(key, {
      key,
      address: row.localAddress,
      port: row.localPort,
      ...(processes.has(pid) && { pid }),
      ...(at !== undefined && { reachableAt: at }),
    });
  }
  return [...listeners.values()];
}
