import { parseJsonObject } from "../../shared/encoding/json-object.ts";
import { ask, type Host, parseCredentials } from "./ask.ts";
import type { CredentialSettings } from "./settings.ts";
import { CredentialFault, type CredentialSource } from "./types.ts";

const SOURCE = "ec2-instance-metadata";
const ORIGIN = "http://169.254.169.254";
const TIMEOUT_MS = 1500;
/** Lifetime of a metadata token. Each token is used for one renewal of the credentials. */
const TOKEN_SECONDS = 300;
const ROLES_PATH = "/latest/meta-data/iam/security-credentials/";
/** Valid name of an IAM role (IAM API Reference, "CreateRole"). */
const ROLE = /^[\w+=,.@-]{1,64}$/;

const OTHER_SOURCES =
  "outside EC2, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or configure another source from docs/edge.md";

/**
 * Credentials of the IAM role of an EC2 instance. Only uses version 2 of the instance metadata service.
 * Fetches a metadata token, then the role name, and then the credentials of the role (EC2 User Guide, "Use
 * the Instance Metadata Service").
 */
export function instanceMetadata(settings: CredentialSettings, host: Host): CredentialSource {
  const origin = originOf(settings);

  const get = (path: string, token: string) =>
    ask(host, SOURCE, `${origin}${path}`, {
      headers: { "x-aws-ec2-metadata-token": token },
      timeoutMs: TIMEOUT_MS,
    });

  async function sessionToken(): Promise<string> {
    const { status, text } = await ask(host, SOURCE, `${origin}/latest/api/token`, {
      method: "PUT",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_SECONDS) },
      timeoutMs: TIMEOUT_MS,
    }).catch((error: unknown) => {
      // The PUT response has a default hop limit of 1, so it does not reach a container.
      const hint = "in a container on EC2, set the instance's metadata hop limit to 2";
      const { message, cause } = error as CredentialFault;
      throw new CredentialFault(`${message}: ${hint}; ${OTHER_SOURCES}`, { cause });
    });
    if (status === 403)
      throw new CredentialFault(`${SOURCE}: the metadata service of the instance is disabled: enable it`);
    if (status !== 200 || !/^[\x21-\x7e]{1,1024}$/.test(text))
      throw new CredentialFault(
        `${SOURCE}: the token request failed with status ${status}; ${OTHER_SOURCES}`,
      );
    return text;
  }

  return {
    name: SOURCE,
    async fetch() {
      const token = await sessionToken();
      const roles = await get(ROLES_PATH, token);
      const role = roles.text.trim().split("\n")[0]!.trim();
      if (roles.status === 404 || (roles.status === 200 && role === ""))
        throw new CredentialFault(`${SOURCE}: the instance has no role: attach an instance profile`);
      if (roles.status !== 200 || !ROLE.test(role))
        throw new CredentialFault(
          `${SOURCE}: the request for the role name failed with status ${roles.status}`,
        );
      const { status, text } = await get(`${ROLES_PATH}${role}`, token);
      const code = parseJsonObject(text)?.Code;
      if (status !== 200 || (code !== undefined && code !== "Success"))
        throw new CredentialFault(
          `${SOURCE}: the request for the credentials of the role ${role} failed with status ${status}`,
        );
      return parseCredentials(SOURCE, text);
    },
  };
}

function originOf({ AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint }: CredentialSettings): string {
  const url = URL.parse(endpoint || ORIGIN);
  if (url && /^https?:$/.test(url.protocol)) return url.origin;
  throw new Error("AWS_EC2_METADATA_SERVICE_ENDPOINT must be an http or https URL");
}
