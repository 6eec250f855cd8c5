import { createLocalJWKSet, jwtVerify } from "jose";
import type { CustodyHeadItem } from "../../shared/table/items/custody.ts";
import type { Deps } from "../deps.ts";

/** The head is signed with a control key this node knows, and says what the table says. */
export async function isSigned(head: CustodyHeadItem, tenantId: string, deps: Deps): Promise<boolean> {
  const keys = createLocalJWKSet(deps.controlJwks);
  const verified = await jwtVerify(head.checkpoint, keys, {
    algorithms: ["EdDSA"],
    typ: "lz-checkpoint+jwt",
    currentDate: new Date(deps.clock()),
  }).catch(() => undefined);
  const { tenant, hash, count } = verified?.payload ?? {};
  return tenant === tenantId && hash === head.hash && count === head.count;
}
