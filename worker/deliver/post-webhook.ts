import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { hostOf, isPublicAddress, targetFault } from "../../shared/public-address.ts";

/** Posts one body and resolves to the HTTP status. Rejects if the target is not allowed or does not respond. */
export type PostWebhook = (url: string, headers: Record<string, string>, body: string) => Promise<number>;

/** Timeout of an attempt, from the DNS lookup to the status line. */
const TIMEOUT_MS = 10_000;
/** Maximum size of the response headers in bytes. The response body is not read. */
const HEAD_BYTES_MAX = 16 * 1024;

/**
 * Creates a function that posts to the address it checked. The name is resolved once, so DNS rebinding has no
 * effect. Redirects are not followed. With `allowPrivate`, http and private targets are allowed, for
 * development.
 */
export function createPostWebhook(allowPrivate: boolean, timeoutMs: number = TIMEOUT_MS): PostWebhook {
  return async (target, headers, body) => {
    const fault = targetFault(target, allowPrivate);
    if (fault) throw new Error(fault);
    const url = new URL(target);
    const signal = AbortSignal.timeout(timeoutMs);
    const address = await Promise.race([resolve(hostOf(url), allowPrivate), tooSlow(signal, timeoutMs)]);
    return Promise.race([post(url, address, headers, body, signal), tooSlow(signal, timeoutMs)]);
  };
}

const tooSlow = (signal: AbortSignal, timeoutMs: number): Promise<never> =>
  new Promise((_, reject) => {
    const late = () => reject(new Error(`no response within ${timeoutMs} ms`));
    signal.addEventListener("abort", late, { once: true });
  });

async function resolve(name: string, allowPrivate: boolean): Promise<string> {
  const found = isIP(name) ? [{ address: name }] : await lookup(name, { all: true });
  const addresses = found.map(({ address }) => address);
  if (addresses.length === 0) throw new Error("the host name of the target has no address");
  if (!allowPrivate && !addresses.every(isPublicAddress))
    throw new Error("the target does not have a public address");
  return addresses[0]!;
}

function post(
  url: URL,
  address: string,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const { protocol, host, port, pathname, search } = url;
  const isTls = protocol === "https:";
  const name = hostOf(url);
  return new Promise<number>((done, reject) => {
    const send = (isTls ? requestHttps : requestHttp)(
      {
        host: address,
        port: port === "" ? (isTls ? 443 : 80) : Number(port),
        path: pathname + search,
        method: "POST",
        headers: { ...headers, host, "content-length": Buffer.byteLength(body) },
        maxHeaderSize: HEAD_BYTES_MAX,
        ...(isTls && !isIP(name) && { servername: name }),
        signal,
      },
      (answer) => {
        answer.destroy(); // the response body is not needed
        done(answer.statusCode ?? 0);
      },
    );
    send.on("error", reject);
    send.end(body);
  });
}
