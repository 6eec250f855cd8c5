import { ask, type Host, isTrusted, parseCredentials, readToken } from "./ask.ts";
import type { CredentialSettings } from "./settings.ts";
import { CredentialFault, type CredentialSource } from "./types.ts";

const SOURCE = "container-endpoint";
const TIMEOUT_MS = 2000;
const ECS_ORIGIN = "http://169.254.170.2";
/**
 * Credential endpoints of ECS and EKS Pod Identity (IPv4 and IPv6). The AWS SDKs use these endpoints over
 * plain http.
 */
const LINK_LOCAL = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/**
 * Credentials of an ECS task or an EKS pod (AWS SDKs and Tools Reference Guide, "Container credential
 * provider"). Throws if the token must not be sent to the configured host.
 */
export function containerEndpoint(settings: CredentialSettings, host: Host): CredentialSource {
  const url = endpointOf(settings);
  return {
    name: SOURCE,
    async fetch() {
      const token = await authorizationOf(settings, host);
      const { status, text } = await ask(host, SOURCE, url.href, {
        headers: { accept: "application/json", ...(token && { authorization: token }) },
        timeoutMs: TIMEOUT_MS,
      });
      if (status !== 200) {
        const fix = status === 401 || status === 403 ? ": check the authorization token" : "";
        throw new CredentialFault(`${SOURCE}: ${url.host} responded with ${status}${fix}`);
      }
      return parseCredentials(SOURCE, text);
    },
  };
}

function endpointOf(settings: CredentialSettings): URL {
  const { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: path, AWS_CONTAINER_CREDENTIALS_FULL_URI: full } = settings;
  if (path) {
    const url = URL.parse(path, ECS_ORIGIN);
    if (path.startsWith("/") && url?.origin === ECS_ORIGIN) return url;
    throw new Error("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must be a path that starts with a single /");
  }
  const url = URL.parse(full ?? "");
  if (url && isTrusted(url, LINK_LOCAL)) return url;
  throw new Error(
    `AWS_CONTAINER_CREDENTIALS_FULL_URI must use https, or http to a loopback address or ${LINK_LOCAL.join(", ")}`,
  );
}

/**
 * Reads the authorization token from the file or, if no file is set, from the setting. The file takes
 * precedence, because the platform renews it.
 */
async function authorizationOf(settings: CredentialSettings, host: Host): Promise<string | undefined> {
  const name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
  const path = settings[name];
  if (path) return readToken(host, SOURCE, name, path);
  const token = settings.AWS_CONTAINER_AUTHORIZATION_TOKEN;
  if (token && /[\r\n]/.test(token))
    throw new CredentialFault(`${SOURCE}: AWS_CONTAINER_AUTHORIZATION_TOKEN must not contain a line break`);
  return token;
}
