import { AuthorityFault } from "../../shared/authority/types.ts";
import { equalBytes, utf8 } from "../../shared/encoding/bytes.ts";
import { assetId as ulidPattern } from "../../shared/ids.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import { type ApiKeyItem, apiKeyItem } from "../../shared/table/items/api-key.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { apiKeyKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";
import type { AuthDeps } from "./deps.ts";
import { type Admin, keyPermissions } from "./permissions.ts";

/** Prefix of every API key. It lets people and secret scanners recognise an API key. */
export const API_KEY_PREFIX = "lzk_";

/** Prefix of the user id of an API key, before the key's id. */
export const KEY_USER_PREFIX = "key_";

/** Ids of API keys and enrolment tokens are ULIDs, like those of assets. */
export const keyId = ulidPattern;

/** Length of an API key's secret in bytes (256 random bits). The secret is encoded as base64url. */
export const SECRET_BYTES = 32;

const FORM = /^lzk_([A-Za-z0-9_-]{1,64})_([0-7][0-9A-HJKMNP-TV-Z]{25})_([A-Za-z0-9_-]{43})$/;

export const formatApiKey = (tenantId: string, id: string, secret: string): string =>
  `${API_KEY_PREFIX}${tenantId}_${id}_${secret}`;

/** SHA-256 of the secret in hex. Only this hash is stored. 256 random bits cannot be guessed, so no slow hash is needed. */
export async function secretHash(secret: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(secret)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Authenticates an API key. The ids in the key only select the record to read, and the tenant is taken from
 * the stored record. Unknown, revoked, expired and wrong keys are all refused with `admin.unauthenticated`.
 */
export async function authenticateKey(key: string, deps: AuthDeps): Promise<Verdict<Admin>> {
  const [, tenant, id, secret] = FORM.exec(key) ?? [];
  if (!tenant || !id || !secret) return refuse("admin.unauthenticated");
  // This read is strongly consistent, so a key is refused immediately after it is revoked.
  const stored = await deps.authority.read(apiKeyKey(tenant, id)).catch((error: unknown) => {
    if (error instanceof AuthorityFault) return undefined;
    throw error;
  });
  const given = utf8(await secretHash(secret));
  const record = stored && decodeItem(apiKeyItem, stored);
  if (!record || !equalBytes(given, utf8(record.secretHash))) return refuse("admin.unauthenticated");
  if (record.revokedAt !== undefined) return refuse("admin.unauthenticated");
  if (!(deps.clock() < Date.parse(record.validUntil))) return refuse("admin.unauthenticated");
  await noteUse(record, deps);
  return accept({
    tenantId: record.tenantId,
    userId: `${KEY_USER_PREFIX}${record.keyId}`,
    sessionId: `${KEY_USER_PREFIX}${record.keyId}`,
    role: record.role,
    impersonated: false,
    via: "api-key",
    keyMadeBy: record.createdBy,
    permissions: keyPermissions(record.role, record.scopes),
  });
}

const USE_NOTED_MS = 3_600_000;

/**
 * Stores the time at which the key was last used, at most once per hour, so that administrators can find
 * unused keys. The request succeeds even if this write fails.
 */
async function noteUse({ tenantId, keyId, lastUsedAt }: ApiKeyItem, deps: AuthDeps): Promise<void> {
  const nowMs = deps.clock();
  if (lastUsedAt !== undefined && nowMs - Date.parse(lastUsedAt) < USE_NOTED_MS) return;
  try {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(apiKeyKey(tenantId, keyId)),
      UpdateExpression: "SET lastUsedAt = :now",
      ConditionExpression: "attribute_exists(PK)",
      ExpressionAttributeValues: values({ now: timestamp(nowMs) }),
    });
  } catch (error) {
    deps.log("warn", "api-key.use-unnoted", { tenantId, keyId, error });
  }
}
