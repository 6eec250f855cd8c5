import { ulid } from "ulid";
import { base64url } from "../../shared/bytes.ts";
import { timestamp } from "../../shared/clock.ts";
import { accept, refuse } from "../../shared/refusal.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import { type ApiKeyItem, apiKeyItem, decodeItem } from "../../shared/table/items.ts";
import { apiKeyKey, API_KEY_PREFIX as ITEM_PREFIX, tenantKey } from "../../shared/table/keys.ts";
import type { Deps } from "../deps.ts";
import { formatApiKey, SECRET_BYTES, secretHash } from "./api-key.ts";
import {
  type Asker,
  type Committed,
  commit,
  type Decision,
  type Draft,
  type Plan,
  type Write,
} from "./commit.ts";
import { PERMISSIONS, type Permission, type Role } from "./permissions.ts";
import { type Page, queryPage, type Reader } from "./read.ts";
import type { ApiKeyView } from "./views.ts";

export type KeyTerms = { name: string; role: Role; scopes?: Permission[] | undefined; days: number };

/** The record of an expired key stays this long. */
const KEPT_SECONDS = 30 * 24 * 3600;

/**
 * Makes an API key. The secret is in the first answer and nowhere else: it is stored as a hash, so a repeat of
 * the request cannot tell it again. Who lost it revokes the key and makes another.
 */
export async function createApiKey(
  asker: Asker,
  terms: KeyTerms,
  deps: Deps,
): Promise<Decision<{ keyId: string; key?: string }>> {
  const { tenantId } = asker.admin;
  let key: string | undefined;
  const decide = async (nowMs: number): Promise<Decision<Plan<{ keyId: string }>>> => {
    const keyId = ulid(nowMs, () => deps.random(1)[0]! / 256);
    const secret = base64url(deps.random(SECRET_BYTES));
    key = formatApiKey(tenantId, keyId, secret);
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
    return accept({ records, writes: [put], result: { keyId } });
  };
  const made = await commit(asker, ["create-api-key", { ...terms }], decide, deps);
  if (!made.ok) return made;
  const { result, replayed } = made.value;
  return accept(replayed ? result : { ...result, key: key! });
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

/** Revokes a key: the next request with it is refused. */
export async function revokeApiKey(
  asker: Asker,
  { keyId, justification }: { keyId: string; justification: string },
  deps: Deps,
): Promise<Decision<Committed<{ keyId: string }>>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number): Promise<Decision<Plan<{ keyId: string }>>> => {
    const item = await readKeyItem(deps, tenantId, keyId);
    if (!item) return refuse("admin.not-found");
    if (item.revokedAt !== undefined) return refuse("admin.conflict", "the key was revoked already");
    const update: Write = {
      Update: {
        TableName: deps.table,
        Key: marshalItem(apiKeyKey(tenantId, keyId)),
        UpdateExpression: "SET revokedAt = :now",
        ConditionExpression: "attribute_exists(PK) AND attribute_not_exists(revokedAt)",
        ExpressionAttributeValues: values({ now: timestamp(nowMs) }),
      },
    };
    const records: Draft[] = [{ action: "revoke-api-key", target: keyId, justification }];
    return accept({ records, writes: [update], result: { keyId } });
  };
  return commit(asker, ["revoke-api-key", keyId, justification], decide, deps);
}

async function readKeyItem(deps: Pick<Deps, "dynamo" | "table">, tenantId: string, keyId: string) {
  const { Item } = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(apiKeyKey(tenantId, keyId)),
    ConsistentRead: true,
  });
  return Item && decodeItem(apiKeyItem, Item);
}

/** Keys of the tenant without anything of their secrets, newest first. */
export async function listApiKeys(
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<ApiKeyView>> {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, { partition: PK, prefix: ITEM_PREFIX, newestFirst: true, ...page });
  const items = found.items.map((stored) => keyView(decodeItem(apiKeyItem, stored), reader.clock()));
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

/** One key as the API shows it; undefined when there is none. */
export async function readApiKey(
  reader: Reader,
  tenantId: string,
  keyId: string,
): Promise<ApiKeyView | undefined> {
  const item = await readKeyItem(reader, tenantId, keyId);
  return item && keyView(item, reader.clock());
}

function keyView(item: ApiKeyItem, nowMs: number): ApiKeyView {
  const { type: _type, tenantId: _tenant, secretHash: _hash, expiresAt: _ttl, scopes, ...view } = item;
  const known = scopes?.filter((scope): scope is Permission => PERMISSIONS.includes(scope as Permission));
  const lived = nowMs < Date.parse(item.validUntil) ? "valid" : "expired";
  return {
    ...view,
    ...(known && { scopes: known }),
    status: item.revokedAt === undefined ? lived : "revoked",
  };
}
