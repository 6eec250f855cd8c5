import { z } from "zod";
import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { CredentialProvider } from "./types.ts";

const text = (description: string) => z.string().optional().describe(description);

/** These settings have the same names and meanings as in the AWS SDKs. An empty value counts as unset. */
export const credentialSettings = {
  AWS_ACCESS_KEY_ID: text("Static keys: access key ID. Set it together with the secret access key."),
  AWS_SECRET_ACCESS_KEY: text("Secret. Static keys: secret access key."),
  AWS_SESSION_TOKEN: text("Secret. Static keys: session token of temporary keys."),
  AWS_WEB_IDENTITY_TOKEN_FILE: text("Web identity: path of the token file. Needs `AWS_ROLE_ARN`."),
  AWS_ROLE_ARN: text("Web identity: ARN of the role to assume."),
  AWS_ROLE_SESSION_NAME: text("Web identity: name of the session."),
  AWS_ENDPOINT_URL_STS: text("Web identity: STS endpoint to use instead of the regional endpoint."),
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: text("Container credentials: path at the ECS endpoint."),
  AWS_CONTAINER_CREDENTIALS_FULL_URI: text("Container credentials: full URL of the endpoint."),
  AWS_CONTAINER_AUTHORIZATION_TOKEN: text("Secret. Container credentials: authorisation header."),
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: text(
    "Container credentials: path of the file that contains the authorisation header.",
  ),
  AWS_EC2_METADATA_DISABLED: text("`true` disables instance metadata (IMDSv2)."),
  AWS_EC2_METADATA_SERVICE_ENDPOINT: text(
    "Instance metadata: endpoint to use instead of the link-local address.",
  ),
};

export type CredentialSettings = z.infer<z.ZodObject<typeof credentialSettings>>;

export type ProviderNeeds = {
  clock: Clock;
  /** Returns a random number from 0 (inclusive) to 1 (exclusive), for jitter. */
  random: () => number;
  log: Log;
};

/** Chooses the source of credentials. Throws if the settings name no source or are invalid. */
export type ChooseCredentials = (
  settings: CredentialSettings & { AWS_REGION: string },
  needs: ProviderNeeds,
) => CredentialProvider;
