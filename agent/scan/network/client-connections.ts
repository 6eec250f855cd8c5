import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { Listener, Peer } from "../system/host.ts";
import type { TcpRow } from "./sockets.ts";

export type Peers = { peers: ReadonlyMap<string, readonly Peer[]>; collector: Collector };

/**
 * Finds the peers that are connected to each listener. `ownersOf` receives the inodes of client sockets and
 * returns a lookup of their processes. The search for owners is expensive, so `ownersOf` gets only the inodes
 * of sockets that are connected to these listeners.
 */
export function joinPeers(
  listeners: readonly Listener[],
  rows: readonly TcpRow[],
  ownersOf: (inodes: ReadonlySet<string>) => (inode: string) => number | undefined,
): Peers {
  const established = rows.filter((row) => row.state === "established");
  const connections = listeners.map((listener) => ({ listener, ...connectionsOf(listener, established) }));
  const inodes = new Set(connections.flatMap(({ local }) => [...local].map((row) => row.inode)));
  inodes.delete("0");
  const ownerOf = ownersOf(inodes);
  let unattributed = 0;
  const peers = new Map<string, Peer[]>();
  for (const { listener, local, remote } of connections) {
    const counts = new Map<string, Peer>();
    for (const { inode } of local) {
      const pid = ownerOf(inode);
      if (pid === undefined) unattributed += 1;
      else count(counts, `pid ${pid}`, { pid, connections: 0 });
    }
    for (const { remoteAddress } of remote)
      count(counts, remoteAddress, { remote: remoteAddress, connections: 0 });
    peers.set(listener.key, [...counts.values()]);
  }
  return { peers, collector: reportPeers(unattributed) };
}

/**
 * `local`: client sockets on this host. `remote`: server sockets whose client is on another host. With
 * TCP_DEFER_ACCEPT, a connection has no server socket until the client sends data. A client socket on this
 * host is therefore also matched by its remote address.
 */
function connectionsOf(
  listener: Listener,
  established: readonly TcpRow[],
): { local: Set<TcpRow>; remote: TcpRow[] } {
  const byEnds = new Map<string, TcpRow>();
  for (const row of established) if (row.remotePort === listener.port) byEnds.set(endsOf(row), row);
  const local = new Set<TcpRow>();
  for (const row of byEnds.values()) if (leadsTo(listener, row)) local.add(row);
  const remote: TcpRow[] = [];
  for (const row of established) {
    if (row.localPort !== listener.port || row.network !== listener.network) continue;
    if (!accepts(listener, row)) continue;
    const other = byEnds.get(otherEndsOf(row));
    if (other) local.add(other);
    else remote.push(row);
  }
  return { local, remote };
}

/**
 * True if the remote address of a client socket certainly belongs to the listener. That is the address that
 * the listener is bound to, or loopback for a wildcard address. Every network namespace has its own loopback.
 */
function leadsTo({ address, network }: Listener, row: TcpRow): boolean {
  const remote = row.remoteAddress;
  const isLoopback = remote.startsWith("127.") || remote === "::1";
  if (isLoopback && row.network !== network) return false;
  return address === "0.0.0.0" || address === "::" ? isLoopback : address === remote;
}

function reportPeers(unattributed: number): Collector {
  if (unattributed === 0) return { name: "clients", status: "ok" };
  return {
    name: "clients",
    status: "partial",
    detail: `${unattributed} local connections without a readable owner`,
  };
}

function count(counts: Map<string, Peer>, key: string, fresh: Peer): void {
  const peer = counts.get(key) ?? fresh;
  peer.connections += 1;
  counts.set(key, peer);
}

const endsOf = (row: TcpRow): string =>
  `${row.localAddress} ${row.localPort} ${row.remoteAddress} ${row.remotePort}`;

const otherEndsOf = (row: TcpRow): string =>
  `${row.remoteAddress} ${row.remotePort} ${row.localAddress} ${row.localPort}`;

function accepts(listener: Listener, row: TcpRow): boolean {
  if (listener.address === "::") return true;
  if (listener.address === "0.0.0.0") return !row.localAddress.includes(":");
  return listener.address === row.localAddress;
}
