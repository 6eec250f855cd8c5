import { type AnyListener, isTcp, type Sighting } from "../system/host.ts";
import type { Target } from "./connection.ts";

/**
 * Groups of listeners. Listeners of the same process on the same port form a group, because they belong to
 * one server with several addresses. The map key contains the process and the port.
 */
export type ListenerGroups = ReadonlyMap<string, readonly AnyListener[]>;

/** Groups the reachable listeners of all processes except the agent. Within a group, IPv4 addresses come first. */
export function groupListeners({ listeners, processes }: Sighting, selfPid: number): ListenerGroups {
  const groups = new Map<string, AnyListener[]>();
  for (const listener of listeners) {
    if (listener.pid === selfPid || (isTcp(listener) && listener.reachableAt === undefined)) continue;
    const owner = listener.pid === undefined ? listener.key : processes.get(listener.pid)?.key;
    const key = `${owner} ${isTcp(listener) ? listener.port : listener.key}`;
    groups.set(key, [...(groups.get(key) ?? []), listener]);
  }
  for (const group of groups.values()) group.sort((a, b) => rankOf(a) - rankOf(b));
  return groups;
}

/** IPv4 addresses come first, because every dual-stack server accepts connections at its IPv4 address. */
function rankOf(listener: AnyListener): number {
  const address = isTcp(listener) ? listener.reachableAt : undefined;
  return address?.startsWith("127.") ? 0 : address === "::1" ? 1 : 2;
}

/** The address to which a probe of this listener connects. */
export function targetOf(listener: AnyListener): Omit<Target, "tls"> {
  if (!isTcp(listener)) return { address: "", port: 0, unix: listener.unix };
  const { reachableAt, port, inside } = listener;
  return { address: reachableAt!, port, ...(inside && { inside }) };
}

/**
 * Orders groups round-robin over processes: the first group of each process, then the second group of each,
 * and so on.
 */
export function roundRobin<T extends [key: string, listeners: readonly AnyListener[]]>(groups: T[]): T[] {
  const countByPid = new Map<number | undefined, number>();
  const rounds = groups.map((group) => {
    const { pid } = group[1][0]!;
    const round = countByPid.get(pid) ?? 0;
    countByPid.set(pid, round + 1);
    return { group, round };
  });
  return rounds.sort((a, b) => a.round - b.round).map(({ group }) => group);
}
