import { ulid } from "ulid";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { type EnrolmentItem, enrolmentItem } from "../../../shared/table/items/enrolment.ts";
import { ENROLMENT_PREFIX, enrolmentKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { signEnrolmentToken } from "../../../shared/wire/enrolment-token.ts";
import type { Deps } from "../../deps.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import {
  type Asker,
  type Committed,
  commit,
  type Decision,
  type Draft,
  type Plan,
} from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { Reader } from "../table-query.ts";
import { type CredentialKind, listCredentials, readCredential, revokeCredential } from "./credential.ts";
import type { EnrolmentTokenView } from "./credential-views.ts";

type Terms = { uses: number; hours: number };
/** What is kept of a new token. The token itself is signed again from it when the request is repeated. */
type Issued = { tokenId: string; uses: number; expiresAtSeconds: number; assetId?: string };
export type MadeToken = { token: string; tokenId: string; expiresAt: string; uses: number };

/** The record of a used-up or expired token stays this long, so that the list can still say what became of it. */
const KEPT_SECONDS = 30 * 24 * 3600;

/** Makes a token that lets `uses` devices in until it expires, and records it so that it can be revoked. */
export async function createEnrolmentToken(
  asker: Asker,
  terms: Terms,
  deps: Deps,
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
 * Makes a token of one use that gives this asset a new device key. Until the device comes with it the old key
 * stays good; from then on it opens no session. Sessions it has open end within the hour, so a key that was
 * stolen is answered with a revocation, which takes effect at once.
 */
export async function rotateDeviceKey(
  asker: Asker,
  { assetId, hours, justification }: { assetId: string; hours: number; justification: string },
  deps: Deps,
): Promise<Decision<MadeToken>> {
  const decide = async (nowMs: number): Promise<Decision<Plan<Issued>>> => {
    const before: AssetItem | undefined = await readAssetItem(deps, asker.admin.tenantId, assetId);
    if (!before) return refuse("admin.not-found");
    if (before.revokedAt !== undefined) return refuse("admin.conflict", "the asset was revoked");
    const issued = { ...issue({ uses: 1, hours }, nowMs, deps), assetId };
    const records: Draft[] = [{ action: "rotate-key", target: issued.tokenId, justification }];
    const writes = [recordOf(asker, issued, nowMs, deps)];
    return accept({ assets: [{ before, records, absent: ["revokedAt"] }], writes, result: issued });
  };
  const asked = ["rotate-key", assetId, hours, justification];
  return signed(asker, await commit(asker, asked, decide, deps), deps);
}

function issue({ uses, hours }: Terms, nowMs: number, deps: Deps): Issued {
  const tokenId = ulid(nowMs, () => deps.random(1)[0]! / 256);
  return { tokenId, uses, expiresAtSeconds: Math.floor(nowMs / 1000) + hours * 3600 };
}

function recordOf(asker: Asker, issued: Issued, nowMs: number, deps: Deps): Write {
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

/** Ed25519 signs the same claims to the same token: a repeated request gets the very same one. */
async function signed(
  asker: Asker,
  made: Decision<Committed<Issued>>,
  deps: Deps,
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
    if (!issued) return undefined; // made before tokens were recorded: nothing is known of it but its uses
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

/** Revokes a token: no device gets in with it any more. Those that did stay. */
export const revokeEnrolmentToken = (
  asker: Asker,
  { tokenId, justification }: { tokenId: string; justification: string },
  deps: Deps,
) =>
  revokeCredential(
    ENROLMENT_TOKENS,
    asker,
    { id: tokenId, action: "revoke-enrolment-token", justification },
    deps,
  );

/** The tokens themselves are stored nowhere. */
export const listEnrolmentTokens = (
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
) => listCredentials(ENROLMENT_TOKENS, reader, tenantId, page);

export const readEnrolmentToken = (reader: Reader, tenantId: string, tokenId: string) =>
  readCredential(ENROLMENT_TOKENS, reader, tenantId, tokenId);
