import { isJsonObject, parseJsonObject } from "../../shared/encoding/json-object.ts";
import { ask, checkedCredentials, type Host, isTrusted, readToken } from "./ask.ts";
import type { CredentialSettings } from "./settings.ts";
import { CredentialFault, type CredentialSource, type Credentials } from "./types.ts";

const SOURCE = "web-identity";
const TIMEOUT_MS = 5000;
const SESSION_NAME = "lifecyclezero-edge";

/**
 * Exchanges an OpenID Connect token of the platform for credentials of a role (STS API Reference,
 * "AssumeRoleWithWebIdentity"). The request is not signed, because the token authenticates it.
 */
export function webIdentity(
  settings: CredentialSettings & { AWS_REGION: string },
  host: Host,
): CredentialSource {
  const { AWS_ROLE_ARN: roleArn, AWS_WEB_IDENTITY_TOKEN_FILE: path, AWS_ROLE_SESSION_NAME: name } = settings;
  if (!roleArn || !path) throw new Error("set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN together");
  const url = endpointOf(settings);
  return {
    name: SOURCE,
    async fetch() {
      const WebIdentityToken = await readToken(host, SOURCE, "AWS_WEB_IDENTITY_TOKEN_FILE", path);
      const asked = {
        Action: "AssumeRoleWithWebIdentity",
        Version: "2011-06-15",
        RoleArn: roleArn,
        RoleSessionName: name || SESSION_NAME,
        WebIdentityToken,
      };
      const { status, text } = await ask(host, SOURCE, url.href, {
        method: "POST",
        headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(asked).toString(),
        timeoutMs: TIMEOUT_MS,
      });
      if (status === 200) return parseAnswer(text);
      throw new CredentialFault(`${SOURCE}: STS responded with ${status} ${errorCode(text)}`.trimEnd());
    },
  };
}

function endpointOf({ AWS_ENDPOINT_URL_STS, AWS_REGION }: CredentialSettings & { AWS_REGION: string }): URL {
  const url = URL.parse(AWS_ENDPOINT_URL_STS || `https://sts.${AWS_REGION}.amazonaws.com/`);
  if (url && isTrusted(url)) return url;
  throw new Error("AWS_ENDPOINT_URL_STS must use https, or http to a loopback address");
}

/**
 * Parses the response of STS. The response is JSON, as requested by the Accept header, or XML from an
 * endpoint that only supports XML.
 */
function parseAnswer(text: string): Credentials {
  const json = parseJsonObject(text);
  const read = json ? memberOf(json, "Credentials") : xmlMembers(text);
  const { Expiration } = read;
  return checkedCredentials(SOURCE, {
    accessKeyId: read.AccessKeyId,
    secretAccessKey: read.SecretAccessKey,
    sessionToken: read.SessionToken,
    // The expiry is in seconds in JSON, and a date in XML.
    expiresAtMs: typeof Expiration === "number" ? Expiration * 1000 : Date.parse(String(Expiration)),
  });
}

function memberOf(answer: Record<string, unknown>, name: string): Record<string, unknown> {
  const response = answer.AssumeRoleWithWebIdentityResponse;
  const result = isJsonObject(response) ? response.AssumeRoleWithWebIdentityResult : undefined;
  const member = isJsonObject(result) ? result[name] : undefined;
  return isJsonObject(member) ? member : {};
}

const xmlMembers = (text: string): Record<string, unknown> =>
  Object.fromEntries(
    ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"].map((name) => [
      name,
      new RegExp(`<${name}>\\s*([^<\\s]+)\\s*</${name}>`).exec(text)?.[1],
    ]),
  );

/** Error code of a response. The error message is not read, because it can contain the request with its token. */
const errorCode = (text: string): string =>
  /(?:"Code"\s*:\s*"|<Code>)([A-Za-z.]{1,64})/.exec(text)?.[1] ?? "";
