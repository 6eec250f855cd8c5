/**
 * Characters of an IPv4 or IPv6 address. Text with other characters never reaches a custody record, a log
 * line or a rate limit.
 */
const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;

/**
 * Key of an address for rate limits. For IPv6 the key is the /64 network, because one host can use all 2^64
 * addresses in it (RFC 6177). For IPv4 the key is the address itself, even if it is written as
 * `::ffff:192.0.2.1`.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  // `::` stands for groups of zeros. The first four groups of the address are the network.
  const left = tail === undefined ? [] : Array(Math.max(0, 8 - groups.length - groupsOf(tail))).fill("0");
  const all = [...groups, ...left, ...(tail ? tail.split(":") : [])];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** Number of groups after `::`. A dotted IPv4 ending (`::192.0.2.1`) counts as two groups. */
const groupsOf = (tail: string): number =>
  tail === "" ? 0 : tail.split(":").length + (tail.includes(".") ? 1 : 0);

/** Removes the client's port, which Azure Application Gateway adds: `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
const withoutPort = (address: string): string =>
  /^([\d.]+):\d{1,5}$|^\[([^\]]*)\](?::\d{1,5})?$/
    .exec(address)
    ?.slice(1)
    .find((found) => found !== undefined) ?? address;

type SourceIp = (request: Request) => string;

/**
 * Address of the client. If a proxy header is configured and its value is valid, the address is taken from
 * the header, otherwise from the connection. The result is `unknown` if neither is an address.
 *
 * @param header name of the proxy header. Only the last address in its value is used, because our own proxy
 * added that one. A client can forge the other addresses.
 */
export function clientIp(ofConnection: SourceIp, header: string | undefined): SourceIp {
  const checked: SourceIp = (request) => {
    const [address = ""] = ofConnection(request).split("%"); // Remove the zone of a link-local address.
    return ADDRESS.test(address) ? address : "unknown";
  };
  if (header === undefined) return checked;
  return (request) => {
    const last = withoutPort(request.headers.get(header)?.split(",").at(-1)?.trim() ?? "");
    return ADDRESS.test(last) ? last : checked(request);
  };
}
