import { z } from "zod";
import type { Log } from "../../shared/observability/log.ts";
import type { Clock } from "../../shared/time/clock.ts";
import type { CredentialProvider } from "./types.ts";

const text = z.string().optional();

/** The AWS SDKs' own names and meanings. An empty value counts as unset, as it does there. */
export const credentialSettings = {
  AWS_ACCESS_KEY_ID: text,
  AWS_SECRET_ACCESS_KEY: text,
  AWS_SESSION_TOKEN: text,
  AWS_WEB_IDENTITY_TOKEN_FILE: text,
  AWS_ROLE_ARN: text,
  AWS_ROLE_SESSION_NAME: text,
  AWS_ENDPOINT_URL_STS: text,
  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: text,
  AWS_CONTAINER_CREDENTIALS_FULL_URI: text,
  AWS_CONTAINER_AUTHORIZATION_TOKEN: text,
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: text,
  AWS_EC2_METADATA_DISABLED: text,
  AWS_EC2_METADATA_SERVICE_ENDPOINT: text,
};

export type CredentialSettings = z.infer<z.ZodObject<typeof credentialSettings>>;

export type ProviderNeeds = {
  clock: Clock;
  /** At least 0, below 1. */
  random: () => number;
  log: Log;
};

/** Chooses where credentials come from. Throws when the settings name no source, or are wrong. */
export type ChooseCredentials = (
  settings: CredentialSettings & { AWS_REGION: string },
  needs: ProviderNeeds,
) => CredentialProvider;
