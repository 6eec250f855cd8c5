/** Of IPv4 or IPv6, as a record, a log line and a rate limit may hold it. */
const ADDRESS = /^[0-9a-fA-F.:]{2,45}$/;

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
    const last = request.headers.get(header)?.split(",").at(-1)?.trim() ?? "";
    return ADDRESS.test(last) ? last : checked(request);
  };
}
