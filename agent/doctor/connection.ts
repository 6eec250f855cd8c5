import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import { type ProxyAccess, proxyText } from "../network/proxy.ts";
import { codeOf } from "../platform/state-files.ts";
import { type Check, failed, passed } from "./check.ts";

export type Target = { name: string; port: number };

const STEP_TIMEOUT_MS = 8000;
const HEAD_BYTES_MAX = 16 * 1024;

export const targetText = ({ name, port }: Target): string =>
  `${name.includes(":") ? `[${name}]` : name}:${port}`;

/**
 * Rejects after a timeout. Without it, a name server or firewall that drops packets would block the check
 * forever.
 */
async function inTime<T>(work: Promise<T>, late: () => void = () => {}): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late();
      reject(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" }));
    }, STEP_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves the host name that the agent connects to: the proxy's name if a proxy is set,
 * and otherwise the control plane's name.
 */
export async function checkName(target: Target, proxy: ProxyAccess | undefined): Promise<Check> {
  const { name } = proxy ?? target;
  const what = proxy ? "the proxy's" : "the control plane's";
  const later = proxy ? `; the proxy resolves ${target.name}` : "";
  if (isIP(name)) return passed("name resolution", `${name} is an IP address${later}`);
  try {
    const found = await inTime(lookup(name, { all: true }));
    const addresses = found.slice(0, 4).map(({ address }) => address);
    return passed("name resolution", `${name} resolves to ${addresses.join(", ")}${later}`);
  } catch (cause) {
    const cure = proxy
      ? "check the proxy setting and the name servers of this host"
      : "check the control plane's address and the name servers of this host; if only your proxy resolves names, set proxy";
    return failed("name resolution", `${what} name ${name} has no address (${codeOf(cause)})`, cure);
  }
}

export type Connected = { check: Check; socket: Socket | undefined };

/** Opens a TCP connection to the proxy, or to the control plane if there is no proxy. */
export async function checkConnection(target: Target, proxy: ProxyAccess | undefined): Promise<Connected> {
  const to = proxy ?? target;
  const name = proxy ? "proxy" : "connection";
  try {
    const socket = await openSocket(to);
    return {
      check: passed(
        name,
        proxy ? `${proxyText(proxy)} accepts connections` : "connected directly, without a proxy",
      ),
      socket,
    };
  } catch (cause) {
    const detail = `${proxy ? `the proxy ${proxyText(proxy)}` : targetText(target)} cannot be reached (${codeOf(cause)})`;
    const cure = proxy
      ? "check the host and port in proxy, start the proxy, or allow this host to connect to it in the firewall"
      : `allow this host to connect to ${targetText(target)} in the firewall, or set proxy if your network requires one`;
    return { check: failed(name, detail, cure), socket: undefined };
  }
}

function openSocket({ name, port }: Target): Promise<Socket> {
  const socket = connect(port, name);
  const opening = new Promise<Socket>((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
  // Without this listener, a later socket error would end the process.
  socket.on("error", () => {});
  return inTime(opening, () => socket.destroy());
}

/** Opens a tunnel through the proxy to the control plane (CONNECT, RFC 9110 §9.3.6). */
export async function checkTunnel(socket: Socket, proxy: ProxyAccess, target: Target): Promise<Check> {
  const to = targetText(target);
  const authorization = proxy.authorization();
  const lines = [
    `CONNECT ${to} HTTP/1.1`,
    `Host: ${to}`,
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  const head = await readHead(socket).catch(() => "");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  const via = `${proxyText(proxy)} `;
  if (status >= 200 && status < 300) return passed("proxy", `${via}opens a tunnel to ${to}`);
  if (Number.isNaN(status))
    return failed(
      "proxy",
      `${via}does not respond as an HTTP proxy`,
      "check the port and the scheme (http or https) in proxy",
    );
  return failed(
    "proxy",
    `${via}refused a tunnel to ${to} (HTTP ${status})`,
    cureOfTunnel(status, authorization, to),
  );
}

function cureOfTunnel(status: number, authorization: string | undefined, to: string): string {
  if (status === 407 || status === 401)
    return authorization === undefined
      ? "set proxy with a user and a password: http://user:password@host:port, in the configuration file with mode 600"
      : "check the user and the password in proxy; the agent supports Basic authentication only";
  if (status === 403 || status === 405) return `allow CONNECT to ${to} at the proxy`;
  return `the proxy cannot reach ${to}: check the control plane's address, and the proxy's name servers and firewall`;
}

/** Returns the status line and headers of an HTTP response, including the empty line. Rejects after a timeout. */
export function readHead(socket: Pick<Socket, "on" | "off" | "once">): Promise<string> {
  let text = "";
  let read: (chunk: Uint8Array) => void = () => {};
  let ended: () => void = () => {};
  const reading = new Promise<string>((resolve, reject) => {
    read = (chunk) => {
      text += Buffer.from(chunk).toString("latin1");
      if (text.includes("\r\n\r\n")) resolve(text);
      else if (text.length > HEAD_BYTES_MAX) reject(new Error("no head"));
    };
    ended = () => reject(new Error("closed"));
    socket.on("data", read);
    socket.once("close", ended);
  });
  return inTime(reading).finally(() => {
    socket.off("data", read);
    socket.off("close", ended);
  });
}
