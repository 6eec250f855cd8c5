import type { JWTVerifyGetKey } from "jose";
import type { Authority } from "../../shared/authority/read-authority.ts";
import type { Dynamo } from "../../shared/table/dynamo.ts";
import type { HttpDeps } from "../http/deps.ts";
import type { RoleMap } from "./permissions.ts";

/** Dependencies of authentication. */
export type AuthDeps = HttpDeps & {
  dynamo: Dynamo;
  table: string;
  /** Reads items with authority, such as assets and settings, and verifies their signatures. */
  authority: Authority;
  admin: {
    issuer: string;
    parties: readonly string[];
    /** Whether sessions without the `azp` claim are accepted. */
    allowsMissingParty?: boolean;
    /** Public keys of the identity provider. */
    keys: JWTVerifyGetKey;
    /** The LifecycleZero role for each role and permission name of the identity provider. */
    roles: RoleMap;
  };
};
