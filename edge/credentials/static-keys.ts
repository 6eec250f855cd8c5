import { isRecent } from "../../shared/time/clock.ts";
import type { ChooseCredentials, CredentialSettings, ProviderNeeds } from "./settings.ts";
import type { CredentialProvider, Credentials } from "./types.ts";

const SOURCE = "static-keys";
/** Refused keys are logged at most once in this time. */
const LOGGED_EVERY_MS = 30_000;

/** Keys of the environment; undefined when neither of the two is set. Throws when only one is. */
export function staticKeys(settings: CredentialSettings): Credentials | undefined {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = settings;
  if (!accessKeyId && !secretAccessKey) return undefined;
  if (!accessKeyId || !secretAccessKey)
    throw new Error("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together, or neither of them");
  const sessionToken = settings.AWS_SESSION_TOKEN;
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
}

/**
 * Keys that a person renews (docs/rotation.md). They need no I/O, so requests on workerd may share them. Nobody but AWS
 * knows when they expire.
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
      const fix = "replace AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN: docs/rotation.md";
      log("error", "credentials.refused", { source: SOURCE, code, fix });
      return undefined;
    },
    problem: () => (isRefused ? "refused" : undefined),
  };
}

/** For runtimes that have no other source: Workers keep keys as secrets. */
export const staticCredentials: ChooseCredentials = (settings, needs) => {
  const keys = staticKeys(settings);
  if (keys) return createStaticProvider(keys, needs);
  throw new Error("there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
};
