import { publicJwk, type Secrets } from "../../../local/secrets.ts";
import { edgeEnvironment } from "../../../local/stack.ts";
import { newControlKey, publicHalf } from "../../../shared/key-generation.ts";

type Environment = Record<string, string>;

/** Creates the keys of an installation with separate roles. Each kind of node gets only its own keys. */
export async function makeRoleKeys() {
  const enrol = await newControlKey("enrol-1");
  return { enrolKey: JSON.stringify(enrol), enrolJwks: JSON.stringify({ keys: [publicHalf(enrol)] }) };
}
export type RoleKeys = Awaited<ReturnType<typeof makeRoleKeys>>;

const without = (environment: Environment, names: readonly string[]): Environment =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !names.includes(name)));

/** Returns the environment of each kind of edge node, with only the secrets of its role. */
export function roleEnvironments(
  secrets: Secrets,
  { enrolKey, enrolJwks }: RoleKeys,
  edgeUrl: string,
  issuer: { url: string; jwksUrl: string },
  shared: Environment,
): Record<"ingest" | "enrol" | "admin", Environment> {
  const all = { ...edgeEnvironment(secrets, issuer, edgeUrl, shared), LZ_ENROL_JWKS: enrolJwks };
  const people = ["LZ_ADMIN_ISSUER", "LZ_ADMIN_JWKS_URL", "LZ_ADMIN_PARTIES", "LZ_SIGN_IN_URL"];
  return {
    ingest: { ...without(all, ["LZ_CONTROL_KEY", ...people]), LZ_ROLE: "ingest" },
    enrol: {
      ...without(all, ["LZ_CONTROL_KEY", "LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "SQS_QUEUE_URL", ...people]),
      LZ_ROLE: "enrol",
      LZ_ENROL_KEY: enrolKey,
    },
    admin: { ...all, LZ_ROLE: "admin" },
  };
}

/** Returns the public control key in the format of the configuration of workers and edge nodes. */
export const controlJwks = ({ controlKey }: Secrets): string =>
  JSON.stringify({ keys: [publicJwk(controlKey)] });
