import { ulid } from "ulid";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { type EnrolmentItem, enrolmentItem } from "../../../shared/table/items/enrolment.ts";
import { ENROLMENT_PREFIX, enrolmentKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { signEnrolmentToken } from "../../../shared/wire/enrolment-token.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import type { Asker, Committed, Decision, Draft, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import type { Reader } from "../table-query.ts";
import { type CredentialKind, listCredentials, readCredential, revokeCredential } from "./credential.ts";
import type { EnrolmentTokenView } from "./credential-views.ts";

type Terms = { uses: number; hours: number };
/** Stored result of creating a token. A repeated request signs the same token again using this result. */
type Issued = { tokenId: string; uses: number; expiresAtSeconds: number; assetId?: string };
export type MadeToken = { token: string; tokenId: string; expiresAt: string; uses: number };

/** Time in seconds for which the item of a used-up or expired token is kept, so that lists can show the token. */
const KEPT_SECONDS = 30 * 24 * 3600;

/**
 * Creates a token with which `uses` devices can enrol before it expires. The token's item is stored so that
 * the token can be revoked.
 */
export async function createEnrolmentToken(
  asker: Asker,
  terms: Terms,
  deps: ControlDeps,
): Promise<Decision<MadeToken>> {
  const decide = async (nowMs: number): Promise<Decision<Plan<Issued>>> => {
    const issued = issue(terms, nowMs, deps);
    const until = timestamp(issued.expiresAtSeconds * 1000);
    const after = `${terms.uses} uses until ${until}`;
    const records: Draft[] = [{ action: "create-enrolment-token", target: issued.tokenId, after }];
    return accept({ records, writes: [recordOf(asker, issued, nowMs, deps)], result: issued });
  };
  return signed(asker, await commit(asker, ["create-enrolment-token", { ...terms }], decide, deps), deps);
}

/**
 * Creates a single-use token that replaces the device key of this asset. The old key stays valid until the
 * device uses the token. After that, no new sessions can be opened with the old key, and open sessions end
 * within an hour. If the key was stolen, revoke the asset instead, which takes effect within seconds.
 */
export async function rotateDeviceKey(
  asker: Asker,
  { assetId, hours, justification }: { assetId: string; hours: number; justification: string },
  deps: ControlDeps,
): Promise<Decision<MadeToken>> {
  const decide = async (nowMs: number): Promise<Decision<Plan<Issued>>> => {
    const before: AssetItem | undefined = await readAssetItem(deps, asker.admin.tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (before.revokedAt !== undefined) return refuse("admin.conflict", "the asset is revoked");
    const issued = { ...issue({ uses: 1, hours }, nowMs, deps), assetId };
    const records: Draft[] = [{ action: "rotate-key", target: issued.tokenId, justification }];
    const writes = [recordOf(asker, issued, nowMs, deps)];
    return accept({ assets: [{ before, records, absent: ["revokedAt"] }], writes, result: issued });
  };
  const asked = ["rotate-key", assetId, hours, justification];
  return signed(asker, await commit(asker, asked, decide, deps), deps);
}

function issue({ uses, hours }: Terms, nowMs: number, deps: ControlDeps): Issued {
  const tokenId = ulid(nowMs, () => deps.random(1)[0]! / 256);
  return { tokenId, uses, expiresAtSeconds: Math.floor(nowMs / 1000) + hours * 3600 };
}

function recordOf(asker: Asker, issued: Issued, nowMs: number, deps: ControlDeps): Write {
  const { tenantId, userId } = asker.admin;
  const { tokenId, uses, expiresAtSeconds, assetId } = issued;
  const item: EnrolmentItem = {
    type: "Enrolment",
    tenantId,
    jti: tokenId,
    uses: 0,
    issued: {
      usesMax: uses,
      at: timestamp(nowMs),
      by: userId,
      until: timestamp(expiresAtSeconds * 1000),
      ...(assetId !== undefined && { assetId }),
    },
    expiresAt: expiresAtSeconds + KEPT_SECONDS,
  };
  return {
    Put: {
      TableName: deps.table,
      ConditionExpression: "attribute_not_exists(PK)",
      Item: marshalItem({ ...enrolmentKey(tenantId, tokenId), ...item }),
    },
  };
}

/** Signs the token. Ed25519 is deterministic, so a repeated request returns the same token. */
async function signed(
  asker: Asker,
  made: Decision<Committed<Issued>>,
  deps: ControlDeps,
): Promise<Decision<MadeToken>> {
  if (!made.ok) return made;
  const { tokenId, uses, expiresAtSeconds, assetId } = made.value.result;
  const claims = {
    tenant: asker.admin.tenantId,
    jti: tokenId,
    uses,
    ...(assetId !== undefined && { asset: assetId }),
  };
  const token = await signEnrolmentToken(deps.controlKey!, claims, expiresAtSeconds);
  return accept({ token, tokenId, uses, expiresAt: timestamp(expiresAtSeconds * 1000) });
}

const ENROLMENT_TOKENS: CredentialKind<EnrolmentItem, EnrolmentTokenView> = {
  noun: "token",
  schema: enrolmentItem,
  prefix: ENROLMENT_PREFIX,
  keyOf: enrolmentKey,
  view({ jti: tokenId, uses: used, issued, revokedAt }, nowMs) {
    if (!issued) return undefined; // The token was created by a version that stored only the number of uses.
    const { usesMax: uses, at: createdAt, by: createdBy, until: validUntil, assetId } = issued;
    const lived = nowMs < Date.parse(validUntil) ? "valid" : "expired";
    const left = used >= uses ? "used-up" : lived;
    return {
      tokenId,
      uses,
      used,
      createdAt,
      createdBy,
      validUntil,
      ...(assetId !== undefined && { assetId }),
      status: revokedAt === undefined ? left : "revoked",
      ...(revokedAt !== undefined && { revokedAt }),
    };
  },
};

/** Revokes an enrolment token. Devices that enrolled with it stay enrolled. */
export const revokeEnrolmentToken = (
  asker: Asker,
  { tokenId, justification }: { tokenId: string; justification: string },
  deps: ControlDeps,
) =>
  revokeCredential(
    ENROLMENT_TOKENS,
    asker,
    { id: tokenId, action: "revoke-enrolment-token", justification },
    deps,
  );

/**
 * Lists enrolment tokens, newest first. The list does not contain the tokens themselves, because they are not
 * stored.
 */
export const listEnrolmentTokens = (
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
) => listCredentials(ENROLMENT_TOKENS, reader, tenantId, page);

export const readEnrolmentToken = (reader: Reader, tenantId: string, tokenId: string) =>
  readCredential(ENROLMENT_TOKENS, reader, tenantId, tokenId);
