/** Of IPv4 or IPv6, as a record, a log line and a rate limit may hold it. */
const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;

/**
 * What rate limits count an address as. A host of IPv6 has 2^64 of them to choose from, so its network (RFC 6177)
 * counts; an IPv4 address counts for itself, however it is written.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1]!;
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  // Everything the `::` left out is zero, and the last four groups name the host.
  const left = tail === undefined ? [] : Array(Math.max(0, 8 - groups.length - groupsOf(tail))).fill("0");
  const all = [...groups, ...left, ...(tail ? tail.split(":") : [])];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** A dotted end stands for two. */
const groupsOf = (tail: string): number =>
  tail === "" ? 0 : tail.split(":").length + (tail.includes(".") ? 1 : 0);

/** Azure Application Gateway adds the client's port, `192.0.2.1:4711` or `[2001:db8::1]:4711`: another one each time. */
const withoutPort = (address: string): string =>
  /^([\d.]+):\d{1,5}$|^\[([^\]]*)\](?::\d{1,5})?$/
    .exec(address)
    ?.slice(1)
    .find((found) => found !== undefined) ?? address;

type SourceIp = (request: Request) => string;

/**
 * The address a proxy of ours vouches for, where there is one, else that of the connection; `unknown` when
 * neither is an address. What a client wrote itself is never more than that.
 *
 * @param header its last address is taken: the one our own proxy added
 */
export function clientIp(ofConnection: SourceIp, header: string | undefined): SourceIp {
  const checked: SourceIp = (request) => {
    const [address = ""] = ofConnection(request).split("%"); // the zone of a link-local one says nothing here
    return ADDRESS.test(address) ? address : "unknown";
  };
  if (header === undefined) return checked;
  return (request) => {
    const last = withoutPort(request.headers.get(header)?.split(",").at(-1)?.trim() ?? "");
    return ADDRESS.test(last) ? last : checked(request);
  };
}
