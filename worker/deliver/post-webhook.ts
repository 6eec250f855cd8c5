import { lookup } from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { hostOf, isPublicAddress, targetFault } from "../../shared/public-address.ts";

/** Sends one body and resolves to the status. Rejects when the target may not be talked to or does not answer. */
export type PostWebhook = (url: string, headers: Record<string, string>, body: string) => Promise<number>;

/** From looking the name up to the status line. */
export const TIMEOUT_MS = 10_000;
/** Of the head of an answer; its body is not read. */
const HEAD_BYTES_MAX = 16 * 1024;

/**
 * Posts to the very address that was checked: the name is resolved once, so that it cannot become another one in
 * between. Redirects are not followed. With `allowPrivate` http and private targets are fine: for development.
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
    const late = () => reject(new Error(`did not answer within ${timeoutMs} ms`));
    signal.addEventListener("abort", late, { once: true });
  });

async function resolve(name: string, allowPrivate: boolean): Promise<string> {
  const found = isIP(name) ? [{ address: name }] : await lookup(name, { all: true });
  const addresses = found.map(({ address }) => address);
  if (addresses.length === 0) throw new Error("the target's name has no address");
  if (!allowPrivate && !addresses.every(isPublicAddress)) throw new Error("the target is no public address");
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
        answer.destroy(); // only the status counts
        done(answer.statusCode ?? 0);
      },
    );
    send.on("error", reject);
    send.end(body);
  });
}
