/**
 * A TCP socket. Addresses are text. IPv4-mapped addresses are formatted as IPv4. macOS and Windows have no
 * inodes, so there `inode` contains the pid.
 */
export type TcpRow = {
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
  state: "listen" | "established";
  uid: number;
  inode: string;
  /** Name of the socket's network namespace. Absent for the agent's own namespace. */
  network?: string;
};

/**
 * Maximum number of rows read from a socket table. Protects the host's performance if a proxy or an attack
 * opens many sockets.
 */
export const TCP_ROWS_MAX = 20_000;

/**
 * Parses listening and established sockets from `/proc/net/tcp` or `tcp6`. Skips sockets in other states
 * (tcp_states.h).
 */
export function parseTcpTable(text: string): TcpRow[] {
  const rows: TcpRow[] = [];
  let start = text.indexOf("\n") + 1;
  while (start > 0 && start < text.length && rows.length < TCP_ROWS_MAX) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const row = parseRow(text.slice(start, end));
    if (row) rows.push(row);
    start = end + 1;
  }
  return rows;
}

const ROW =
  /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) (0A|01) \S+ \S+ \S+\s+(\d+)\s+\d+ (\d+)/;

function parseRow(line: string): TcpRow | undefined {
  const match = ROW.exec(line);
  if (!match) return undefined;
  const [, localAddress, localPort, remoteAddress, remotePort, state, uid, inode] = match;
  return {
    localAddress: parseAddress(localAddress!),
    localPort: Number.parseInt(localPort!, 16),
    remoteAddress: parseAddress(remoteAddress!),
    remotePort: Number.parseInt(remotePort!, 16),
    state: state === "0A" ? "listen" : "established",
    uid: Number(uid),
    inode: inode!,
  };
}

/**
 * Parses an address from `/proc/net/tcp`. The address consists of 32-bit words in host byte order, which is
 * little-endian on all supported platforms.
 */
export function parseAddress(hex: string): string {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8) {
    for (let byte = 6; byte >= 0; byte -= 2) {
      bytes.push(Number.parseInt(hex.slice(word + byte, word + byte + 2), 16));
    }
  }
  return formatAddress(bytes);
}

/** Formats four or sixteen bytes in network byte order as an address. An IPv4-mapped address is formatted as IPv4. */
export function formatAddress(bytes: ArrayLike<number>): string {
  const at = bytes.length === 4 ? 0 : 12;
  if (at === 0 || isMapped(bytes)) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  return formatIpv6(bytes);
}

function isMapped(bytes: ArrayLike<number>): boolean {
  for (let at = 0; at < 10; at += 1) if (bytes[at] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/**
 * Formats sixteen bytes according to RFC 5952: lower case, with `::` for the longest run of two or more
 * groups that are zero.
 */
export function formatIpv6(bytes: ArrayLike<number>): string {
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(bytes[at]! * 256 + bytes[at + 1]!);
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length += 1;
    if (length > best.length) best = { at, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.at < 0) return hex.join(":");
  return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.length).join(":")}`;
}

/**
 * Local IPv4 addresses of a network namespace. These are the leaves marked `host LOCAL` in
 * `/proc/PID/net/fib_trie`.
 */
export function parseLocalAddresses(fibTrie: string): string[] {
  const found = new Set<string>();
  let last = "";
  for (const line of fibTrie.split("\n")) {
    const leaf = /\|-- (\d+\.\d+\.\d+\.\d+)/.exec(line)?.[1];
    if (leaf) last = leaf;
    else if (line.includes("host LOCAL") && last !== "") found.add(last);
  }
  return [...found];
}

/**
 * Interface names by link-local address, from `/proc/net/if_inet6`. Its columns are address, index, prefix,
 * scope (0x20: link-local), flags and name.
 */
export function parseLinkLocal(table: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of table.split("\n")) {
    const [, hex, name] = /^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ 20 [0-9a-f]+ +(\S+)$/.exec(line) ?? [];
    if (hex === undefined || name === undefined) continue;
    const address = formatIpv6(Buffer.from(hex, "hex"));
    found.set(address, [...(found.get(address) ?? []), name]);
  }
  return found;
}

/** Directly connected IPv4 networks: the routes without a gateway in `/proc/net/route`. */
export function parseDirectRoutes(route: string): { interfaceName: string; network: number; mask: number }[] {
  const routes: { interfaceName: string; network: number; mask: number }[] = [];
  for (const line of route.split("\n").slice(1)) {
    const [interfaceName, destination, gateway, , , , , mask] = line.split("\t");
    if (!interfaceName || gateway !== "00000000" || !destination || !mask || mask === "00000000") continue;
    routes.push({
      interfaceName,
      network: addressNumber(parseAddress(destination)),
      mask: addressNumber(parseAddress(mask)),
    });
  }
  return routes;
}

/** Converts a dotted IPv4 address to an unsigned 32-bit number. */
export function addressNumber(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}
