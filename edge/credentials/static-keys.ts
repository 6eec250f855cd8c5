import { isRecent } from "../../shared/time/clock.ts";
import type { ChooseCredentials, CredentialSettings, ProviderNeeds } from "./settings.ts";
import type { CredentialProvider, Credentials } from "./types.ts";

const SOURCE = "static-keys";
/** Minimum time between two log lines about refused keys. */
const LOGGED_EVERY_MS = 30_000;

/** Reads the keys from the environment. Undefined if both settings are unset. Throws if only one is set. */
export function staticKeys(settings: CredentialSettings): Credentials | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = settings;
  if (!accessKeyId && !secretAccessKey) return undefined;
  if (!accessKeyId || !secretAccessKey)
    throw new Error("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither of them");
  const sessionToken = settings.AWS_SESSION_TOKEN;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/**
 * Provider for keys that an operator renews (docs/rotation.md). The provider does no I/O, so requests on
 * workerd can share it. The expiry of the keys is unknown.
 */
export function createStaticProvider(keys: Credentials, { log, clock }: ProviderNeeds): CredentialProvider {
  let isRefused = false;
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  log("info", "credentials.loaded", { source: SOURCE, isTemporary: keys.sessionToken !== undefined });
  return {
    async get() {
      return keys;
    },
    async replace(_refused, code) {
      isRefused = true;
      if (isRecent(loggedAtMs, clock(), LOGGED_EVERY_MS)) return undefined;
      loggedAtMs = clock();
      const fix =
        "replace AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN as described in docs/rotation.md";
      log("error", "credentials.refused", { source: SOURCE, code, fix });
      return undefined;
    },
    problem: () => (isRefused ? "refused" : undefined),
  };
}

/** Chooses static keys, for runtimes without another source. On Workers the keys are stored as secrets. */
export const staticCredentials: ChooseCredentials = (settings, needs) => {
  const keys = staticKeys(settings);
  if (keys) return createStaticProvider(keys, needs);
  throw new Error("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
};
