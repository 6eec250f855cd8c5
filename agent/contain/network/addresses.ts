import { isIP } from "node:net";

/** Whether a text is an IP address without a scope. Rules contain only such addresses. */
export const isPlainAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes("%");

/**
 * Returns the address if it is valid, and throws for any other text. Every address in a rule passes this
 * check, because rules are text.
 */
export function plain(address: string): string {
  if (isPlainAddress(address)) return address;
  throw new Error("cannot write a rule: not a valid address");
}

/** Returns the port if it is valid, and throws for any other number. */
export function plainPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Error("cannot write a rule: not a valid port");
}

const PREFIX = /^([^/%]+)\/(\d{1,3})$/;

/** First and last address of a prefix (`192.0.2.0/24`) or of a single address. Throws for any other text. */
export function boundsOf(text: string): { from: bigint; to: bigint } {
  const [, address = text, length] = PREFIX.exec(text) ?? [];
  const number = numberOf(plain(address));
  const bits = isV6(address) ? 128 : 32;
  const size = length === undefined ? bits : Number(length);
  if (size > bits) throw new Error("cannot write a rule: not a valid prefix");
  const hosts = 1n << BigInt(bits - size);
  const from = number - (number % hosts);
  return { from, to: from + hosts - 1n };
}

/** Returns the prefix with its host bits cleared. Throws for any other text, and for a prefix of length 0. */
export function plainPrefix(text: string): string {
  const length = PREFIX.exec(text)?.[2];
  if (length === undefined || Number(length) === 0)
    throw new Error("cannot write a rule: not a valid prefix");
  const { from } = boundsOf(text);
  return `${textOf(from, isV6(text))}/${Number(length)}`;
}

export const isV6 = (address: string): boolean => address.includes(":");
export const isLoopback = (address: string): boolean => /^(127\.|::1$)/.test(address);

/**
 * Converts an address to a number: 32 bits for IPv4, 128 bits for IPv6 (RFC 4291 §2.2, also with an embedded
 * IPv4 address).
 */
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

/** Formats an address as text. IPv6 has all eight groups, without `::`. */
export function textOf(number: bigint, isSix: boolean): string {
  const [bits, count, base] = isSix ? [16n, 8, 16] : [8n, 4, 10];
  const parts = Array.from({ length: count }, (_, index) => {
    const shift = bits * BigInt(count - 1 - index);
    return ((number >> shift) & ((1n << bits) - 1n)).toString(base);
  });
  return parts.join(isSix ? ":" : ".");
}

/** All addresses from `from` to `to` without the exceptions (addresses or prefixes), as ascending ranges `a-b`. */
export function rangesWithout(
  from: string,
  to: string,
  exceptions: readonly string[],
  isSix: boolean,
): string[] {
  const [first, last] = [numberOf(from), numberOf(to)];
  const holes = exceptions.map(boundsOf).sort((a, b) => (a.from < b.from ? -1 : 1));
  const ranges: string[] = [];
  let next = first;
  for (const hole of [...holes, { from: last + 1n, to: last + 1n }]) {
    const end = hole.from > last ? last + 1n : hole.from;
    if (end > next) ranges.push(`${textOf(next, isSix)}-${textOf(end - 1n, isSix)}`);
    if (hole.to >= next) next = hole.to + 1n;
  }
  return ranges;
}
