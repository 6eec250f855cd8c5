import type { Namespaces } from "../network/namespaces.ts";
import type { NetworkSpace, UnixAddress } from "../system/host.ts";

/**
 * `inside`: the connection has to start in this network namespace. `http2`: it speaks that from the first byte. `unix`: the
 * socket that is asked instead of an address and a port.
 */
export type Target = {
  address: string;
  port: number;
  tls: boolean;
  http2?: true;
  inside?: NetworkSpace;
  unix?: UnixAddress;
  /** Before every path, as `/api`. */
  prefix?: string;
};

/** Host of the request (RFC 9110 §7.2), which has no zone: that is this host's own name for an interface. */
export function hostOf({ address, port, unix }: Pick<Target, "address" | "port" | "unix">): string {
  if (unix) return "localhost";
  const plain = address.replace(/%.*$/, "");
  return `${plain.includes(":") ? `[${plain}]` : plain}:${port}`;
}

/** For an address in digits Bun makes the socket at once, in the namespace this thread is in. */
export async function open(
  { inside }: Target,
  namespaces: Pick<Namespaces, "within">,
  options: Bun.TCPSocketConnectOptions,
): Promise<unknown> {
  return inside ? namespaces.within(inside, () => Bun.connect(options)) : Bun.connect(options);
}

/** A growing buffer of received bytes. It doubles its capacity, so each byte is copied about once. */
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
