import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP } from "node:net";

/** Sends one body and resolves to the status. Rejects when the target may not be talked to or does not answer. */
export type PostWebhook = (url: string, headers: Record<string, string>, body: string) => Promise<number>;

const TIMEOUT_MS = 10_000;

/** Everything that is not the public internet (IANA special-purpose registries, RFC 6890). */
const NOT_PUBLIC = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  NOT_PUBLIC.addSubnet(net, prefix, "ipv4");

/** Global unicast but for what carries an IPv4 address or documents something. */
const PUBLIC_V6 = new BlockList();
PUBLIC_V6.addSubnet("2000::", 3, "ipv6");
const NOT_PUBLIC_V6 = new BlockList();
for (const [net, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  NOT_PUBLIC_V6.addSubnet(net, prefix, "ipv6");

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !NOT_PUBLIC.check(address, "ipv4");
  if (family !== 6) return false;
  return PUBLIC_V6.check(address, "ipv6") && !NOT_PUBLIC_V6.check(address, "ipv6");
}

/**
 * Posts to the very address that was checked: the name is resolved once, so that it cannot become another one in
 * between. Redirects are not followed. With `allowPrivate` http and private targets are fine: for development.
 */
export function createPostWebhook(allowPrivate: boolean): PostWebhook {
  return async (url, headers, body) => {
    const { protocol, hostname, port, pathname, search } = new URL(url);
    if (protocol !== "https:" && !allowPrivate) throw new Error("the target is not https");
    const name = hostname.replace(/^\[|\]$/g, "");
    const found = isIP(name) ? [{ address: name }] : await lookup(name, { all: true });
    const addresses = found.map(({ address }) => address);
    if (!allowPrivate && !addresses.every(isPublicAddress))
      throw new Error("the target is no public address");
    const isTls = protocol === "https:";
    return new Promise<number>((resolve, reject) => {
      const send = (isTls ? requestHttps : requestHttp)(
        {
          host: addresses[0]!,
          port: port === "" ? (isTls ? 443 : 80) : Number(port),
          path: pathname + search,
          method: "POST",
          headers: {
            ...headers,
            host: port === "" ? hostname : `${hostname}:${port}`,
            "content-length": Buffer.byteLength(body),
          },
          ...(isTls && !isIP(name) && { servername: name }),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        },
        (answer) => {
          answer.destroy(); // only the status counts
          resolve(answer.statusCode ?? 0);
        },
      );
      send.on("error", reject);
      send.end(body);
    });
  };
}
