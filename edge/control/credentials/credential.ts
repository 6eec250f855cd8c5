import type { z } from "zod";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { tenantKey } from "../../../shared/table/keys.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Committed, Decision, Draft, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { ControlDeps } from "../deps.ts";
import { type Page, queryPage, type Reader } from "../table-query.ts";

/**
 * A kind of credential that administrators create and revoke: enrolment tokens and API keys. The secret of a
 * credential is not stored.
 */
export type CredentialKind<Item, View> = {
  /** Name of this kind of credential in messages. */
  noun: string;
  schema: z.ZodType<Item>;
  prefix: string;
  keyOf(tenantId: string, id: string): { PK: string; SK: string };
  /** Builds the view of an item for the API. Undefined for an item that the API does not show. */
  view(item: Item, nowMs: number): View | undefined;
};

type Revocable = { revokedAt?: string | undefined };

async function readItem<Item>(
  { schema, keyOf }: CredentialKind<Item, unknown>,
  { authority }: Pick<ControlDeps, "authority">,
  tenantId: string,
  id: string,
): Promise<Item | undefined> {
  const stored = await authority.read(keyOf(tenantId, id));
  return stored && decodeItem(schema, stored);
}

/**
 * Revokes a credential. Refuses an unknown id with `admin.not-found`, and a credential that is
 * already revoked with `admin.conflict`.
 */
export async function revokeCredential<Item extends Revocable>(
  kind: CredentialKind<Item, unknown>,
  asker: Asker,
  { id, action, justification }: { id: string; action: Draft["action"]; justification: string },
  deps: ControlDeps,
): Promise<Decision<Committed<{ id: string }>>> {
  const { tenantId } = asker.admin;
  const decide = async (nowMs: number): Promise<Decision<Plan<{ id: string }>>> => {
    const item = await readItem(kind, deps, tenantId, id);
    if (!item) return refuse("admin.not-found");
    if (item.revokedAt !== undefined) return refuse("admin.conflict", `the ${kind.noun} is already revoked`);
    const change = {
      key: kind.keyOf(tenantId, id),
      set: { revokedAt: timestamp(nowMs) },
      condition: "attribute_exists(PK) AND attribute_not_exists(revokedAt)",
    };
    return accept({ records: [{ action, target: id, justification }], changes: [change], result: { id } });
  };
  return commit(asker, [action, id, justification], decide, deps);
}

/** Lists the tenant's credentials of one kind, newest first. The views contain no secrets. */
export async function listCredentials<Item, View>(
  { prefix, schema, view }: CredentialKind<Item, View>,
  reader: Reader,
  tenantId: string,
  page: { limit: number; from?: string },
): Promise<Page<View>> {
  const { PK } = tenantKey(tenantId);
  const found = await queryPage(reader, { partition: PK, prefix, newestFirst: true, ...page });
  const views = found.items.map((stored) => view(decodeItem(schema, stored), reader.clock()));
  const items = views.filter((each): each is View & {} => each !== undefined);
  return found.cursor === undefined ? { items } : { items, cursor: found.cursor };
}

/** Reads one credential. Returns undefined if the tenant has no credential with this id. */
export async function readCredential<Item, View>(
  kind: CredentialKind<Item, View>,
  reader: Reader,
  tenantId: string,
  id: string,
): Promise<View | undefined> {
  const item = await readItem(kind, reader, tenantId, id);
  return item && kind.view(item, reader.clock());
}
