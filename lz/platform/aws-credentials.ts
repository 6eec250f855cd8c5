import type { Deps } from "./deps.ts";

/** Environment variables from which an AWS SDK takes credentials. */
const SOURCES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_PROFILE",
  "AWS_WEB_IDENTITY_TOKEN_FILE",
  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
  "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/**
 * Credential options of an SDK client for `endpoint`. For AWS, including private endpoints, the SDK finds the
 * credentials itself: in the environment, a profile, web identity, container or EC2 metadata. An embedded
 * service accepts any credentials.
 */
export function clientCredentials(endpoint: string | undefined, env: Deps["env"]) {
  const isAws = endpoint === undefined || /\.amazonaws\.com(?:\.cn)?$/.test(new URL(endpoint).hostname);
  if (isAws || SOURCES.some((name) => env[name])) return {};
  return { credentials: { accessKeyId: "local", secretAccessKey: "local" } };
}
