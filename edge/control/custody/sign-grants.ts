import { needsAuthority } from "../../../shared/authority/covered-members.ts";
import { addToDigest, EMPTY_DIGEST } from "../../../shared/authority/digest.ts";
import {
  checkAuthority,
  type Found,
  keysOf,
  readConsistently,
  recordsOf,
} from "../../../shared/authority/read-authority.ts";
import {
  claimsOf,
  signAuthority,
  signAuthorityHead,
  signSettingsOf,
} from "../../../shared/authority/sign-authority.ts";
import { AuthorityFault } from "../../../shared/authority/types.ts";
import { type AttributeMap, marshalItem, values } from "../../../shared/table/dynamo.ts";
import type { AuthorityClaims, AuthorityHeadClaims } from "../../../shared/table/items/authority.ts";
import { authorityHeadKey, type Key } from "../../../shared/table/keys.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import type { ControlDeps } from "../deps.ts";
import type { Write } from "./transaction-write.ts";

/**
 * A changed item with authority, which means an item that grants or decides something. Such an item needs a
 * signature.
 */
export type Grant = {
  key: Key;
  /**
   * Builds the complete item as it is after the change, from the stored item. `before` is undefined for a new
   * item.
   */
  after: (before: AttributeMap | undefined) => AttributeMap;
};

type Signing = {
  tenantId: string;
  /** Number of the last custody record of this change. The number increases with every change of the tenant. */
  version: number;
  control: ControlKey;
  nowMs: number;
};

/**
 * Builds the signed records of the changed items, and the tenant's new authority head. The head is signed
 * even if no item changed, because its version is the length of the custody log. An item is signed only if
 * its stored content has a valid signature. An edit of the table therefore never receives a valid signature.
 *
 * @throws AuthorityFault if the signature of an item or of the head is not valid (in mode `observe` it is
 * logged, and the item is signed)
 */
export async function signGrants(
  grants: readonly Grant[],
  { tenantId, version, control, nowMs }: Signing,
  deps: Pick<ControlDeps, "dynamo" | "table" | "authority" | "log">,
): Promise<Write[]> {
  const headKey = authorityHeadKey(tenantId);
  const found = await readConsistently(deps, [headKey, ...grants.flatMap(({ key }) => keysOf(key))]);
  const before = await Promise.all(grants.map(({ key }) => claimsBefore(key, tenantId, found, deps)));
  const items = grants.map(({ key, after }) => {
    const item = after(found(key));
    if (!needsAuthority(item)) throw new Error(`the item ${key.SK} has a type that is never signed`);
    return { ...item, ...marshalItem(key) };
  });
  const after: AuthorityClaims[] = await Promise.all(items.map((item) => claimsOf(tenantId, item, version)));
  const records = await Promise.all(
    items.map(async (item, index) => {
      const { record } = recordsOf(grants[index]!.key, found);
      const changed = { tenantId, item, before: record, nowMs };
      const settings = await signSettingsOf(control, changed, deps.authority.verifier);
      return signAuthority(control, after[index]!, settings);
    }),
  );
  const stored = found(headKey);
  const hasRecords = before.some((claims) => claims !== undefined);
  if (!stored && hasRecords) throw new AuthorityFault(tenantId, headKey.SK, "head");
  const head = await headBefore(tenantId, stored, deps);
  const next = await signAuthorityHead(control, {
    tenant: tenantId,
    version,
    count: head.count + before.filter((claims) => claims === undefined).length,
    digest: await addToDigest(
      head.digest,
      after,
      before.filter((claims) => claims !== undefined),
    ),
  });
  return [
    ...records.map((record) => ({ Put: { TableName: deps.table, Item: marshalItem(record) } })),
    {
      Put: {
        TableName: deps.table,
        Item: marshalItem(next),
        ConditionExpression: stored ? "signature = :seen" : "attribute_not_exists(PK)",
        ...(stored && { ExpressionAttributeValues: values({ seen: stored.signature!.S! }) }),
      },
    },
  ];
}

/** Claims in the item's signed record before this change. Undefined if the item has no signed record. */
async function claimsBefore(
  key: Key,
  tenantId: string,
  found: Found,
  { authority, log }: Pick<ControlDeps, "authority" | "log">,
): Promise<AuthorityClaims | undefined> {
  const records = recordsOf(key, found);
  try {
    return await checkAuthority(authority.verifier, tenantId, key.SK, { item: found(key), ...records });
  } catch (error) {
    if (!(error instanceof AuthorityFault) || authority.mode === "enforce") throw error;
    log("error", "security.authority-refused", {
      tenantId,
      item: key.SK,
      reason: error.code,
      mode: authority.mode,
    });
    return (
      records.record &&
      (await authority.verifier.record(records.record, tenantId, key.SK).catch(() => undefined))
    );
  }
}

async function headBefore(
  tenantId: string,
  stored: AttributeMap | undefined,
  { authority }: Pick<ControlDeps, "authority">,
): Promise<Pick<AuthorityHeadClaims, "count" | "digest">> {
  if (!stored) return { count: 0, digest: EMPTY_DIGEST };
  return authority.verifier.head(stored, tenantId);
}
