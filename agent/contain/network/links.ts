import { createSocket } from "node:dgram";
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { isPlainAddress, isV6, plainPrefix } from "./addresses.ts";
import type { Endpoint } from "./firewall.ts";

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** A wider prefix is no link that hosts share; one would let a single address make half the internet a neighbour. */
const BITS_MIN = { v4: 8, v6: 64 } as const;
const CONNECT_TIMEOUT_MS = 1000;

/** Prefixes of this host's own addresses, without loopback and IPv6 link-local, in order. */
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

/** Name of the interface that packets to this endpoint leave through. Sends nothing: a UDP socket is only connected. */
export async function deviceTo({ address, port }: Endpoint): Promise<string | undefined> {
  const from = await sourceFor(address, port);
  if (from === undefined) return undefined;
  return Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((each) => each.address === from),
  )?.[0];
}

/** The address of this host that the system would send from; undefined without a route. */
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
