/*
 * Public internet addresses. Other addresses can belong to an internal network, so the edge and the worker
 * never send requests to them because of a tenant's configuration. Sources: IANA special-purpose registries
 * (RFC 6890), and addresses in public ranges that cloud platforms use for internal services.
 */

type Net = readonly [address: string, prefixBits: number];

const NOT_PUBLIC_V4: readonly Net[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  // Azure platform address: instance metadata and guest agent (learn.microsoft.com, "What is
  // 168.63.129.16?").
  ["168.63.129.16", 32],
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
];

/** Global unicast addresses. */
const PUBLIC_V6: Net = ["2000::", 3];
/**
 * Parts of the global unicast range that contain an IPv4 address, are assigned to protocols, or are for
 * documentation.
 */
const NOT_PUBLIC_V6: readonly Net[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

/** Names that mean this host or a host of an internal network, regardless of their address. */
const INSIDE = /(^|\.)(localhost|local|internal|intranet|home\.arpa|lan|corp|home)$/;

/** Bits of an address as a text of zeros and ones. Undefined for text that is not an address in canonical form. */
function bitsOf(address: string): string | undefined {
  return address.includes(":") ? bitsOfV6(address) : bitsOfV4(address);
}

function bitsOfV4(address: string): string | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (!parts?.every((part) => part <= 255)) return undefined;
  return parts.map((part) => part.toString(2).padStart(8, "0")).join("");
}

function bitsOfV6(address: string): string | undefined {
  const halves = address.toLowerCase().split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return undefined;
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("");
}

const isIn = (bits: string, [address, prefixBits]: Net): boolean =>
  bits.startsWith(bitsOf(address)!.slice(0, prefixBits));

/** True for a public IPv4 or IPv6 address. False for any other text. */
export function isPublicAddress(address: string): boolean {
  const bits = bitsOf(address);
  if (bits === undefined) return false;
  if (bits.length === 32) return !NOT_PUBLIC_V4.some((net) => isIn(bits, net));
  return isIn(bits, PUBLIC_V6) && !NOT_PUBLIC_V6.some((net) => isIn(bits, net));
}

/** True if the host of a URL is an IPv4 or IPv6 address. */
const isAddress = (host: string): boolean => bitsOf(host) !== undefined;

/** Host of a URL. For an IPv6 address, the brackets are removed. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, "");

/**
 * Text that URL parsers correct silently: white space, control characters, `\\`, and one slash or three
 * instead of two. Two parsers can read different targets from it.
 */
const REPAIRED = /[\s\u0000-\u001f\u007f\\]|^[a-z][a-z0-9+.-]*:(?!\/\/[^/])/i;

/** Whether a text is a host name: labels of 1 to 63 characters, 253 characters in total (RFC 1035 §2.3.4). */
const isHostName = (host: string): boolean =>
  host.length <= 253 && host.split(".").every((label) => label.length >= 1 && label.length <= 63);

/**
 * Reason why no webhook may be sent to a URL, according to its text. Undefined if it is allowed. The sender
 * also checks the resolved address at each delivery.
 */
export function targetFault(text: string, allowPrivate: boolean): string | undefined {
  if (!URL.canParse(text)) return "the target is not a URL";
  if (REPAIRED.test(text))
    return "the target has white space, a control character, a backslash or a missing slash";
  const url = new URL(text);
  if (url.port === "0") return "the target has port 0, which nothing can listen on: use 1 to 65535";
  if (/^[^/]*\/\/[^/?#]*@/.test(text)) return "the target contains a user name or a password";
  if (text.includes("#")) return "the target has a fragment, which is never sent";
  const name = hostOf(url).replace(/\.$/, "");
  if (!isAddress(name) && !isHostName(name))
    return "the target has an invalid host name: labels have 1 to 63 characters, 253 in total";
  if (allowPrivate) return /^https?:$/.test(url.protocol) ? undefined : "the target is not http or https";
  if (url.protocol !== "https:") return "the target is not https";
  // The URL parser normalises 0x7f.1 and 2130706433 to 127.0.0.1, so only one spelling must be checked.
  if (isAddress(name)) return isPublicAddress(name) ? undefined : "the target is not a public address";
  if (INSIDE.test(name) || !name.includes(".")) return "the target is not a public address";
  return undefined;
}
