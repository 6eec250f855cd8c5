import type { Namespaces } from "../network/namespaces.ts";
import type { NetworkSpace, UnixAddress } from "../system/host.ts";

/** Where a probe connects to. */
export type Target = {
  address: string;
  port: number;
  tls: boolean;
  /** The server speaks HTTP/2 from the first byte. */
  http2?: true;
  /** Network namespace from which to connect. */
  inside?: NetworkSpace;
  /** Unix socket to connect to. Replaces `address` and `port`. */
  unix?: UnixAddress;
  /** The server accepts only `localhost` in the Host header. */
  asLocalhost?: true;
  /** Prefix of every path, for example `/api`. */
  prefix?: string;
};

/** Host header of a request (RFC 9110 §7.2). Without the zone of an IPv6 address, which only this host understands. */
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
 * Opens a connection, from the network namespace of the target if it has one. Bun creates the socket of a numeric address
 * synchronously, so the socket belongs to the namespace that this thread has entered.
 */
export async function open(
  { inside }: Target,
  namespaces: Pick<Namespaces, "within">,
  options: Bun.TCPSocketConnectOptions,
): Promise<unknown> {
  return inside ? namespaces.within(inside, () => Bun.connect(options)) : Bun.connect(options);
}

/** Growing buffer of received bytes. Its capacity doubles, so each byte is copied about once. */
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
