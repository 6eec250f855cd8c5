import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { CredentialFault, type Credentials } from "./types.ts";

/**
 * Maximum length of a response in characters. Credentials are a few kilobytes long, so a longer response
 * comes from a different service.
 */
const ANSWER_CHARACTERS_MAX = 64 * 1024;

/** Network and file access for credential sources. The entry file of each runtime provides it. */
export type Host = {
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Reads a file as text. */
  readFile: (path: string) => Promise<string>;
};

/**
 * Sends one request. Does not follow redirects, so that no token is sent to another host.
 *
 * @throws CredentialFault if there is no response before the timeout
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
    if (text.length > ANSWER_CHARACTERS_MAX) throw new Error("the response is too long");
    return { status: response.status, text };
  } catch (error) {
    throw new CredentialFault(`${source}: no valid response from ${new URL(url).host}`, { cause: error });
  }
}

/** Reads a token from a file. The file is read for each request, because the platform renews the token. */
export async function readToken(host: Host, source: string, setting: string, path: string): Promise<string> {
  const text = await host.readFile(path).catch((error: unknown) => {
    const name = error instanceof Error ? error.name : "unknown";
    throw new CredentialFault(
      `${source}: cannot read the file in ${setting} (${name}); under Deno grant --allow-read=PATH`,
    );
  });
  const token = text.trim();
  if (token === "" || /\s/.test(token))
    throw new CredentialFault(`${source}: invalid file in ${setting}: expected exactly one token`);
  return token;
}

/** Parses credentials in the JSON format of the container endpoint and of EC2 metadata. */
export function parseCredentials(source: string, text: string): Credentials {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = parseJsonObject(text) ?? {};
  return checkedCredentials(source, {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: Token,
    expiresAtMs: typeof Expiration === "string" ? Date.parse(Expiration) : undefined,
  });
}

/**
 * Checks that all four fields are present. Credentials of a role always have an expiry.
 *
 * @throws CredentialFault if a field is missing
 */
export function checkedCredentials(source: string, read: Record<keyof Credentials, unknown>): Credentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = read;
  if (!isText(accessKeyId) || !isText(secretAccessKey) || !isText(sessionToken))
    throw new CredentialFault(`${source}: the response contains no credentials`);
  if (typeof expiresAtMs !== "number" || !Number.isFinite(expiresAtMs))
    throw new CredentialFault(`${source}: the response contains no expiry time of the credentials`);
  return { accessKeyId, secretAccessKey, sessionToken, expiresAtMs };
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * Whether a token can be sent safely to this URL. True for https, and for http to a loopback address.
 *
 * @param linkLocal other hosts to which http is allowed, as in the AWS SDKs
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
