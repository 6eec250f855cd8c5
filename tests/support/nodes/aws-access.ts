import type { CredentialProvider } from "../../../edge/credentials/types.ts";
import type { AwsAccess } from "../../../edge/platform/aws-client.ts";

const LOCAL_KEYS = { accessKeyId: "local", secretAccessKey: "local" };

const localKeys: CredentialProvider = {
  get: async () => LOCAL_KEYS,
  replace: async () => undefined,
  problem: () => undefined,
};

/** Returns access to an embedded service, which accepts any credentials. */
export const localAccess = (pause: AwsAccess["pause"] = (ms) => Bun.sleep(ms)): AwsAccess => ({
  credentials: localKeys,
  region: "us-east-1",
  pause,
});
