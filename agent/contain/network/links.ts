import { createSocket } from "node:dgram";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { isPlainAddress, isV6, plainPrefix } from "./addresses.ts";
import type { Endpoint } from "./firewall.ts";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * Minimum prefix length of a link in bits. A shorter prefix is a misconfiguration that would allow traffic to
 * a large share of the internet.
 */
const BITS_MIN = { v4: 8, v6: 64 } as const;
const CONNECT_TIMEOUT_MS = 1000;

/** Prefixes of this host's addresses, sorted, without loopback and IPv6 link-local addresses. */
export function linkPrefixes(interfaces: Interfaces): string[] {
  const prefixes = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, cidr, address }) => !internal && cidr !== null && isPlainAddress(address))
    .map(({ cidr }) => plainPrefix(cidr!))
    .filter((prefix) => {
      const bits = Number(prefix.split("/")[1]);
      return isV6(prefix) ? bits >= BITS_MIN.v6 && !/^fe[89ab]/i.test(prefix) : bits >= BITS_MIN.v4;
    });
  return [...new Set(prefixes)].sort();
}

/** Name of the interface that sends packets to this endpoint. Connects a UDP socket, which sends no packet. */
export async function deviceTo({ address, port }: Endpoint): Promise<string | undefined> {
  const from = await sourceFor(address, port);
  if (from === undefined) return undefined;
  return Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((each) => each.address === from),
  )?.[0];
}

/** This host's source address for packets to an address. Undefined without a route. */
function sourceFor(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isV6(address) ? "udp6" : "udp4");
    const end = (from: string | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(from);
    };
    const timer = setTimeout(() => end(undefined), CONNECT_TIMEOUT_MS);
    socket.on("error", () => end(undefined));
    socket.connect(port, address, () => end(socket.address().address));
  });
}
