import type { Host } from "./ask.ts";
import { containerEndpoint } from "./container-endpoint.ts";
import { instanceMetadata } from "./instance-metadata.ts";
import { createRenewingProvider } from "./renewing-provider.ts";
import type { ChooseCredentials } from "./settings.ts";
import { createStaticProvider, staticKeys } from "./static-keys.ts";
import type { CredentialSource } from "./types.ts";
import { webIdentity } from "./web-identity.ts";

type Settings = Parameters<ChooseCredentials>[0];

/**
 * Chooses the first configured source, in the order of the AWS SDKs: static keys, web identity, container
 * endpoint, EC2 metadata. Throws if the settings of that source are invalid, or if no source is configured.
 */
export const chooseCredentials =
  (host: Host): ChooseCredentials =>
  (settings, needs) => {
    const keys = staticKeys(settings);
    if (keys) return createStaticProvider(keys, needs);
    return createRenewingProvider(chooseSource(settings, host), needs);
  };

function chooseSource(settings: Settings, host: Host): CredentialSource {
  if (settings.AWS_WEB_IDENTITY_TOKEN_FILE) return webIdentity(settings, host);
  if (settings.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI || settings.AWS_CONTAINER_CREDENTIALS_FULL_URI)
    return containerEndpoint(settings, host);
  if (settings.AWS_EC2_METADATA_DISABLED?.toLowerCase() !== "true") return instanceMetadata(settings, host);
  throw new Error(
    "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or configure another source from docs/edge.md",
  );
}
