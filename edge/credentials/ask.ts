import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { CredentialFault, type Credentials } from "./types.ts";

/** Credentials are a few kilobytes; a longer answer is not one of these services. */
const ANSWER_CHARACTERS_MAX = 64 * 1024;

/** What credential sources need of the world. Entry files build it: the edge itself reads no files. */
export type Host = {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Text of a file. */
  readFile: (path: string) => Promise<string>;
};

/**
 * Sends one request. Redirects are not followed, so that no token reaches another host.
 *
 * @throws CredentialFault when nothing answers in time
 */
export async function ask(
  host: Host,
  source: string,
  url: string,
  init: RequestInit & { timeoutMs: number },
): Promise<{ status: number; text: string }> {
  const { timeoutMs, ...rest } = init;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await host.fetch(url, { ...rest, redirect: "manual", signal });
    const text = await response.text();
    if (text.length > ANSWER_CHARACTERS_MAX) throw new Error("the answer is too long");
    return { status: response.status, text };
  } catch (error) {
    throw new CredentialFault(`${source}: ${new URL(url).host} did not answer`, { cause: error });
  }
}

/** Token in a file that the platform renews: it is read for each request. */
export async function readToken(host: Host, source: string, setting: string, path: string): Promise<string> {
  const text = await host.readFile(path).catch((error: unknown) => {
    const name = error instanceof Error ? error.name : "unknown";
    throw new CredentialFault(
      `${source}: cannot read the file that ${setting} names (${name}); under Deno grant --allow-read=PATH`,
    );
  });
  const token = text.trim();
  if (token === "" || /\s/.test(token))
    throw new CredentialFault(`${source}: the file that ${setting} names does not hold one token`);
  return token;
}

/** Credentials as the container endpoint and EC2 metadata write them. */
export function parseCredentials(source: string, text: string): Credentials {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = parseJsonObject(text) ?? {};
  return checkedCredentials(source, {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    expiresAtMs: typeof Expiration === "string" ? Date.parse(Expiration) : undefined,
  });
}

/** @throws CredentialFault unless all four are there: credentials of a role always have an end. */
export function checkedCredentials(source: string, read: Record<keyof Credentials, unknown>): Credentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = read;
  if (!isText(accessKeyId) || !isText(secretAccessKey) || !isText(sessionToken))
    throw new CredentialFault(`${source}: the answer holds no credentials`);
  if (typeof expiresAtMs !== "number" || !Number.isFinite(expiresAtMs))
    throw new CredentialFault(`${source}: the answer does not say when the credentials expire`);
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs };
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * Whether a token may be sent to this URL: over https, or to this machine.
 *
 * @param linkLocal more hosts that are reached by http, as the AWS SDKs allow them
 */
export function isTrusted({ protocol, hostname }: URL, linkLocal: readonly string[] = []): boolean {
  if (protocol === "https:") return true;
  if (protocol !== "http:") return false;
  return (
    linkLocal.includes(hostname) ||
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(hostname)
  );
}
