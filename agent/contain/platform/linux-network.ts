import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { parseTcpTable } from "../../scan/network/sockets.ts";
import { isLoopback, isPlainAddress, isV6 } from "../network/addresses.ts";
import type { Endpoint } from "../network/firewall.ts";
import { deviceTo } from "../network/links.ts";

/** Lease directories of Linux DHCP clients: systemd-networkd, dhclient and NetworkManager. */
const LEASE_DIRECTORIES = [
  "/run/systemd/netif/leases",
  "/var/lib/dhcp",
  "/var/lib/dhclient",
  "/var/lib/NetworkManager",
  "/run/NetworkManager/devices",
];
const LEASES_MAX = 64;
const LEASE_SERVERS_MAX = 8;
/** The DHCP server in lease files of systemd, NetworkManager and dhclient (dhclient.leases(5)). */
const LEASE_SERVER =
  /^\s*(?:SERVER_ADDRESS=|dhcp_server_identifier=|option dhcp-server-identifier )([0-9.]+);?\s*$/gm;

/** Contents of this host's lease files. An unreadable file counts as empty. */
export function readLeases(directories: readonly string[] = LEASE_DIRECTORIES): string[] {
  return directories
    .flatMap((directory) => namesIn(directory).map((name) => join(directory, name)))
    .slice(0, LEASES_MAX)
    .map(readOrEmpty);
}

/**
 * DHCP servers in the leases. The files of dhclient list the newest lease last. Without a known server, the
 * client renews by broadcast after its first request fails (RFC 2131 §4.4.5).
 */
export function leasedFrom(leases: readonly string[]): string[] {
  const servers = leases.flatMap((text) => [...text.matchAll(LEASE_SERVER)].map((match) => match[1]!));
  return [...new Set(servers.reverse())]
    .filter((address) => isPlainAddress(address) && !isV6(address) && !isLoopback(address))
    .slice(0, LEASE_SERVERS_MAX);
}

/** Remote addresses of this process's established TCP connections to a port. */
export function connectedTo(port: number): string[] {
  const own = new Set(namesIn("/proc/self/fd").map((fd) => linkOrEmpty(`/proc/self/fd/${fd}`)));
  const rows = ["tcp", "tcp6"].flatMap((table) => parseTcpTable(readOrEmpty(`/proc/self/net/${table}`)));
  const connected = rows.filter(
    ({ state, remotePort, inode }) =>
      state === "established" && remotePort === port && own.has(`socket:[${inode}]`),
  );
  return [...new Set(connected.map(({ remoteAddress }) => remoteAddress))];
}

const DNS_PORT_HEX = "0035";

/**
 * Numeric ids of users that can query name servers while only a stub on loopback is known. These are the user
 * of the program on the DNS port, and root, which runs the agent.
 */
export function resolverUsers(read: (path: string) => string = readOrEmpty): number[] {
  const inodes = new Set(
    ["udp", "udp6"].flatMap((table) =>
      read(`/proc/self/net/${table}`)
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter(([, local]) => local?.endsWith(`:${DNS_PORT_HEX}`))
        .map((fields) => `socket:[${fields[9]}]`),
    ),
  );
  if (inodes.size === 0) return [0];
  const servers = namesIn("/proc").filter(
    (pid) =>
      /^\d+$/.test(pid) &&
      namesIn(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOrEmpty(`/proc/${pid}/fd/${fd}`))),
  );
  const users = servers.flatMap((pid) => /^Uid:\s+\d+\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? []);
  return [...new Set([0, ...users.map(Number)])].sort((a, b) => a - b);
}

/**
 * Device types of if_arp.h: ipip, ip6tnl, sit, gre and ip6gre, and `none` for tun, WireGuard and
 * IPsec devices.
 */
const TUNNEL_TYPES = new Set(["768", "769", "776", "778", "823", "65534"]);

/**
 * The tunnel device that sends packets to this endpoint. Undefined for other devices. Mode `network` would
 * block the tunnel's own packets. A modem also has no link layer, but it is a physical device and does not
 * count as a tunnel.
 */
export async function tunnelDeviceTo(endpoint: Endpoint): Promise<string | undefined> {
  const device = await deviceTo(endpoint);
  return device !== undefined && isTunnel(device) ? device : undefined;
}

export function isTunnel(device: string, root = "/sys/class/net"): boolean {
  const path = join(root, device);
  if (!realPathOrEmpty(path).includes("/virtual/")) return false;
  return existsSync(join(path, "tun_flags")) || TUNNEL_TYPES.has(readOrEmpty(join(path, "type")).trim());
}

const orElse = <T>(fallback: T, read: () => T): T => {
  try {
    return read();
  } catch {
    return fallback;
  }
};
const namesIn = (directory: string): string[] => orElse([], () => readdirSync(directory));
const linkOrEmpty = (path: string): string => orElse("", () => readlinkSync(path));
const realPathOrEmpty = (path: string): string => orElse("", () => realpathSync(path));
const readOrEmpty = (path: string): string => orElse("", () => readFileSync(path, "utf8"));
