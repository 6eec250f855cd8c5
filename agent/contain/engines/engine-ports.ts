import type { Engine } from "../../../shared/wire/heartbeat.ts";
import type { Endpoint } from "../network/firewall.ts";
import type { Named } from "./process-tree.ts";
import type { Listener } from "./replaced-engines.ts";
import { pidsOf, portFault, type StopDeps } from "./stop-context.ts";

type Listeners = Pick<StopDeps, "listening" | "listeners">;

/** Ports of a process: the ports that the scan found for its engine, and the ports on which the process listens. */
export function portsOf({ listening }: Listeners, pid: number, engines: readonly Engine[]): number[] {
  const scanned = engines.filter((engine) => engine.pid === pid).flatMap(({ ports }) => ports);
  return [...new Set([...scanned, ...(listening?.([pid]) ?? []).map(({ port }) => port)])];
}

/** Endpoints of the scanned engines, and endpoints on which the given processes listen. */
export function endpointsOf(
  { listening }: Listeners,
  family: readonly Named[],
  engines: readonly Engine[],
): Endpoint[] {
  const scanned = engines.flatMap(({ ports, bind }) =>
    ports.flatMap((port) => bind.map((address) => ({ address, port }))),
  );
  return [...scanned, ...(listening?.(pidsOf(family)) ?? [])];
}

/**
 * Engine ports on which a program of another user listens at a different address. A firewall rule names only
 * a port. If shared ports were refused, any user could block another user's service by running an engine on
 * the same port number.
 */
export function sharedPorts(
  { listeners }: Listeners,
  wanted: readonly number[],
  engines: readonly Engine[],
  family: readonly Named[],
): Set<number> {
  const ports = [...new Set(wanted)];
  const found = ports.length > 0 ? (listeners?.(ports) ?? []) : [];
  const pids = new Set(pidsOf(family));
  const isOurs = ({ holders }: Listener): boolean => holders.some(({ pid }) => pids.has(pid));
  const isForeign = (one: Listener): boolean => {
    if (one.holders.length === 0 || isOurs(one)) return false;
    const served = engines.filter((engine) => engine.ports.includes(one.port));
    // Docker's forwarder listens on a published port, but the port belongs to the engine in the container.
    if (served.some(({ container, bind }) => container !== undefined && bind.includes(one.address)))
      return false;
    const own = found.filter((other) => other.port === one.port && isOurs(other));
    const known = [
      ...usersOf(served),
      ...own.flatMap(({ holders }) => holders.flatMap(({ users }) => users)),
    ];
    const owners = known.length > 0 ? known : usersOf(engines);
    return (
      owners.length > 0 && one.holders.every(({ users }) => !users.some((user) => owners.includes(user)))
    );
  };
  return new Set(found.filter(isForeign).map(({ port }) => port));
}

const usersOf = (engines: readonly Engine[]): string[] =>
  engines.flatMap(({ user }) => (user === undefined ? [] : [user]));

export const sharedFault = (shared: ReadonlySet<number>): string | undefined =>
  portFault("are shared with programs of other users, so connections to them are not refused", [...shared]);
