import type { Namespaces } from "../network/namespaces.ts";
import type { NetworkSpace, UnixAddress } from "../system/host.ts";

/** Target of a probe. */
export type Target = {
  address: string;
  port: number;
  tls: boolean;
  /** The server speaks HTTP/2 from the first byte, without an upgrade from HTTP/1.1. */
  http2?: true;
  /** Network namespace from which to connect. Absent for the agent's own namespace. */
  inside?: NetworkSpace;
  /** Unix socket to connect to. Replaces `address` and `port`. */
  unix?: UnixAddress;
  /** Send `localhost` in the Host header, because the server accepts no other host name. */
  asLocalhost?: true;
  /** Path prefix of all requests, for example `/api`. */
  prefix?: string;
};

/**
 * Host header of a request (RFC 9110 §7.2). The zone of an IPv6 address is left out, because it has a meaning
 * only on this host.
 */
export function hostOf({
  address,
  port,
  unix,
  asLocalhost,
}: Pick<Target, "address" | "port" | "unix" | "asLocalhost">): string {
  if (unix) return "localhost";
  if (asLocalhost) return `localhost:${port}`;
  const plain = address.replace(/%.*$/, "");
  return `${plain.includes(":") ? `[${plain}]` : plain}:${port}`;
}

/**
 * Opens a connection. If the target has a network namespace, connects from there. Bun creates the socket of a
 * numeric address synchronously, so the socket belongs to the namespace that this thread has entered.
 */
export async function open(
  { inside }: Target,
  namespaces: Pick<Namespaces, "within">,
  options: Bun.TCPSocketConnectOptions,
): Promise<unknown> {
  return inside ? namespaces.within(inside, () => Bun.connect(options)) : Bun.connect(options);
}

/** A growing buffer for received bytes. Its capacity doubles, so each byte is copied about once. */
export function createBuffer(): { bytes(): Uint8Array; append(chunk: Uint8Array): Uint8Array } {
  let whole = new Uint8Array(0);
  let length = 0;
  const bytes = (): Uint8Array => whole.subarray(0, length);
  return {
    bytes,
    append: (chunk) => {
      if (length + chunk.length > whole.length) {
        const larger = new Uint8Array(Math.max(length + chunk.length, 2 * whole.length));
        larger.set(bytes());
        whole = larger;
      }
      whole.set(chunk, length);
      length += chunk.length;
      return bytes();
    },
  };
}
