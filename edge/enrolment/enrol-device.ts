import { AuthorityFault } from "../../shared/authority/types.ts";
import { DynamoFault, marshalItem } from "../../shared/table/dynamo.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { enrolledItem, enrolmentItem } from "../../shared/table/items/enrolment.ts";
import { enrolledKey, enrolmentKey } from "../../shared/table/keys.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import type { EnrolmentAnswer, EnrolmentRequest } from "../../shared/wire/enrolment.ts";
import { verifyEnrolmentToken } from "../../shared/wire/enrolment-token.ts";
import { CONFLICT_ROUNDS_MAX, conflictPauseMs } from "../platform/conflict-retry.ts";
import { readAgentSettings } from "./agent-settings.ts";
import type { EnrolmentDeps } from "./deps.ts";
import { isSignedBy, type Limited, parseSigned, type Signed } from "./device-signature.ts";
import { replaceDeviceKey } from "./replace-device-key.ts";
import type { Claims } from "./token-use.ts";
import { writeNewAsset } from "./write-new-asset.ts";

/** Verifies that the enrolment was signed with the device key in the `keyid` parameter. Does not read the body. */
export async function verifyEnrolment(request: Request, deps: EnrolmentDeps): Promise<Verdict<Signed>> {
  const signed = parseSigned(request, deps);
  if (!signed.ok) return signed;
  return (await isSignedBy(signed.value.input.keyid, signed.value)) ? signed : refuse("wire.bad-signature");
}

/** Handles `POST /v1/enroll`: a device with a valid token becomes an asset of the token's tenant. */
export async function enrol(
  { input }: Signed,
  body: EnrolmentRequest,
  deps: EnrolmentDeps,
): Promise<Verdict<EnrolmentAnswer> | Limited> {
  if (input.keyid !== body.deviceKey) return refuse("wire.bad-signature");
  const claims = await verifyEnrolmentToken(body.token, deps.controlJwks, deps.clock()).catch(
    () => undefined,
  );
  if (!claims) return refuse("enrolment.invalid-token");
  const taken = deps.limits.enrolment.take(`${claims.tenant} ${claims.jti}`);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.enrolment, taken };
  const assetId = await claimUse(claims, body, deps);
  if (!assetId.ok) return assetId;
  const settings = await readAgentSettings(deps, claims.tenant);
  deps.log("info", "asset.enrolled", { tenantId: claims.tenant, assetId: assetId.value });
  return accept({
    tenantId: claims.tenant,
    assetId: assetId.value,
    jwks: deps.controlJwks as EnrolmentAnswer["jwks"],
    ...settings,
  });
}

/**
 * Maximum number of reads of an asset whose signature does not verify. After that many reads, the asset
 * counts as modified in the table.
 */
const AUTHORITY_ROUNDS = 3;

/**
 * Counts one use of the token and writes the asset, in one transaction. Idempotent: the same device gets the
 * same asset. On this node, a keyed mutex orders the uses of one token. A software distribution can start a
 * thousand hosts at the same time. Without the mutex, these enrolments would cause one optimistic-lock
 * conflict after another.
 */
function claimUse(claims: Claims, body: EnrolmentRequest, deps: EnrolmentDeps): Promise<Verdict<string>> {
  const claim = () => claimNow(claims, body, deps);
  return deps.mutex ? deps.mutex(`enrol ${claims.tenant} ${claims.jti}`, claim) : claim();
}

async function claimNow(
  claims: Claims,
  body: EnrolmentRequest,
  deps: EnrolmentDeps,
): Promise<Verdict<string>> {
  const enrolled = (assetId: string, conflicts: number) => {
    const { tenant: tenantId, jti } = claims;
    if (conflicts > 0) deps.log("info", "enrolment.conflicts", { tenantId, assetId, jti, conflicts });
    return accept(assetId);
  };
  for (let round = 0; round < CONFLICT_ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(conflictPauseMs(round, deps.random(1)[0]! / 255));
    const [stored, used] = await Promise.all([
      deps.authority.read(enrolmentKey(claims.tenant, claims.jti)),
      deps.dynamo("GetItem", {
        TableName: deps.table,
        Key: marshalItem(enrolledKey(claims.tenant, claims.jti, body.deviceKey)),
        ConsistentRead: true,
      }),
    ]);
    const token = stored && decodeItem(enrolmentItem, stored);
    if (token?.revokedAt !== undefined) return refuse("enrolment.invalid-token");
    const known = used.Item && decodeItem(enrolledItem, used.Item).assetId;
    if (known) return accept(known);
    if ((token?.uses ?? 0) >= claims.uses) return refuse("enrolment.used-up");
    try {
      if (claims.asset === undefined) return enrolled(await writeNewAsset(claims, body, token, deps), round);
      if (!deps.controlKey) return refuse("enrolment.needs-control-key");
      if (await replaceDeviceKey(claims.asset, claims, body, token, deps))
        return enrolled(claims.asset, round);
      return refuse("enrolment.invalid-token");
    } catch (error) {
      // Another node may have changed the asset between the read of its item and the read of its signature.
      // Read both again.
      if (error instanceof AuthorityFault && round < AUTHORITY_ROUNDS) continue;
      if (!(error instanceof DynamoFault) || error.code !== "TransactionCanceledException") throw error;
    }
  }
  throw new Error(`an enrolment had ${CONFLICT_ROUNDS_MAX} consecutive optimistic-lock conflicts`);
}
