import { ulid } from "ulid";
import { base64url } from "../../../shared/encoding/bytes.ts";
import { marshalItem } from "../../../shared/table/dynamo.ts";
import { type ApiKeyItem, apiKeyItem } from "../../../shared/table/items/api-key.ts";
import { apiKeyKey, API_KEY_PREFIX as ITEM_PREFIX } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept } from "../../../shared/verdict.ts";
import { formatApiKey, SECRET_BYTES, secretHash } from "../../auth/authenticate-api-key.ts";
import { PERMISSIONS, type Permission, type Role } from "../../auth/permissions.ts";
import type { Asker, Decision, Draft, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import type { Reader } from "../table-query.ts";
import { type CredentialKind, listCredentials, readCredential, revokeCredential } from "./credential.ts";
import type { ApiKeyView } from "./credential-views.ts";

export type KeyTerms = { name: string; role: Role; scopes?: Permission[] | undefined; days: number };

/** Time in seconds for which the item of an expired key is kept. */
const KEPT_SECONDS = 30 * 24 * 3600;

/**
 * Creates an API key. Only the first response contains the key. The secret is stored as a hash, so the
 * response to a repeated request cannot contain the key. To replace a lost key, revoke it and create a new
 * key.
 */
export async function createApiKey(
  asker: Asker,
  terms: KeyTerms,
  deps: ControlDeps,
): Promise<Decision<{ keyId: string; key?: string }>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number): Promise<Decision<Plan<{ keyId: string }>>> => {
    const keyId = ulid(nowMs, () => deps.random(1)[0]! / 256);
    const secret = base64url(deps.random(SECRET_BYTES));
    const item = await keyItem(asker, terms, { keyId, secret }, nowMs);
    const put: Write = {
      Put: {
        TableName: deps.table,
        ConditionExpression: "attribute_not_exists(PK)",
        Item: marshalItem({ ...apiKeyKey(tenantId, keyId), ...item }),
      },
    };
    const after = `${terms.role}${terms.scopes ? ` for ${terms.scopes.join(", ")}` : ""} until ${item.validUntil}`;
    const records: Draft[] = [{ action: "create-api-key", target: keyId, after }];
    const key = formatApiKey(tenantId, keyId, secret);
    return accept({ records, writes: [put], result: { keyId }, secret: key });
  };
  const made = await commit(asker, ["create-api-key", { ...terms }], decide, deps);
  if (!made.ok) return made;
  const { result, secret: key } = made.value;
  return accept(key === undefined ? result : { ...result, key });
}

async function keyItem(
  asker: Asker,
  { name, role, scopes, days }: KeyTerms,
  { keyId, secret }: { keyId: string; secret: string },
  nowMs: number,
): Promise<ApiKeyItem> {
  const untilMs = nowMs + days * 24 * 3_600_000;
  return {
    type: "ApiKey",
    tenantId: asker.admin.tenantId,
    keyId,
    name,
    role,
    ...(scopes && { scopes }),
    secretHash: await secretHash(secret),
    createdAt: timestamp(nowMs),
    createdBy: asker.admin.userId,
    validUntil: timestamp(untilMs),
    expiresAt: Math.floor(untilMs / 1000) + KEPT_SECONDS,
  };
}

const API_KEYS: CredentialKind<ApiKeyItem, ApiKeyView> = {
  noun: "key",
  schema: apiKeyItem,
  prefix: ITEM_PREFIX,
  keyOf: apiKeyKey,
  view(item, nowMs) {
    const { type: _type, tenantId: _tenant, secretHash: _hash, expiresAt: _ttl, scopes, ...view } = item;
    const known = scopes?.filter((scope): scope is Permission => PERMISSIONS.includes(scope as Permission));
    const lived = nowMs < Date.parse(item.validUntil) ? "valid" : "expired";
    return {
      ...view,
      ...(known && { scopes: known }),
      status: item.revokedAt === undefined ? lived : "revoked",
    };
  },
};

/** Revokes an API key. Requests that start afterwards are refused. */
export const revokeApiKey = (
  asker: Asker,
  { keyId, justification }: { keyId: string; justification: string },
  deps: ControlDeps,
) => revokeCredential(API_KEYS, asker, { id: keyId, action: "revoke-api-key", justification }, deps);

export const listApiKeys = (reader: Reader, tenantId: string, page: { limit: number; from?: string }) =>
  listCredentials(API_KEYS, reader, tenantId, page);

export const readApiKey = (reader: Reader, tenantId: string, keyId: string) =>
  readCredential(API_KEYS, reader, tenantId, keyId);
