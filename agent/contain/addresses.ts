import { isIP } from "node:net";

/** Addresses as they may stand in a rule: plain, without a scope. What is anything else never gets there. */
export const isPlainAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes("%");

/** Throws for what is no plain address. Rules are text: every generator asks this of whatever it writes down. */
export function plain(address: string): string {
  if (isPlainAddress(address)) return address;
  throw new Error("a rule was asked for what is no address");
}

/** Throws for what is no port. */
export function plainPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Error("a rule was asked for what is no port");
}

export const isV6 = (address: string): boolean => address.includes(":");
export const isLoopback = (address: string): boolean => /^(127\.|::1$)/.test(address);

/** An address as a number: 32 bits of IPv4, 128 of IPv6 (RFC 4291 §2.2, with an embedded IPv4 address too). */
export function numberOf(address: string): bigint {
  if (!isV6(address)) return address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const embedded = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = "", tail] = embedded.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
}

/** The text of an address: IPv6 with all eight groups, so that nothing has to be guessed. */
export function textOf(number: bigint, isSix: boolean): string {
  const [bits, count, base] = isSix ? [16n, 8, 16] : [8n, 4, 10];
  const parts = Array.from({ length: count }, (_, index) => {
    const shift = bits * BigInt(count - 1 - index);
    return ((number >> shift) & ((1n << bits) - 1n)).toString(base);
  });
  return parts.join(isSix ? ":" : ".");
}

/** All of `from` to `to` but the exceptions, as ranges `a-b` in ascending order. */
export function rangesWithout(
  from: string,
  to: string,
  exceptions: readonly string[],
  isSix: boolean,
): string[] {
  const [first, last] = [numberOf(from), numberOf(to)];
  const holes = [...new Set(exceptions.map((address) => numberOf(plain(address))))]
    .filter((number) => number >= first && number <= last)
    .sort((a, b) => (a < b ? -1 : 1));
  const ranges: string[] = [];
  let next = first;
  for (const hole of [...holes, last + 1n]) {
    if (hole > next) ranges.push(`${textOf(next, isSix)}-${textOf(hole - 1n, isSix)}`);
    next = hole + 1n;
  }
  return ranges;
}
