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
import type { Deps } from "../../deps.ts";
import type { Write } from "./transaction-write.ts";

/** An item that grants or decides, as a transaction leaves it. */
export type Grant = {
  key: Key;
  /** The whole item after the change, from what is stored before; `undefined`: there is none yet. */
  after: (before: AttributeMap | undefined) => AttributeMap;
};

type Signing = {
  tenantId: string;
  /** Number of the custody record that this change ends with: grows with every change of the tenant. */
  version: number;
  control: ControlKey;
  nowMs: number;
};

/**
 * Writes that make a change of granting items count: a record for each of them, and the tenant's new head. A change
 * without such items signs the head too, because its version says how long the custody log is. Nothing is signed over
 * an item whose present content is not signed, so an edit of the table never gains a signature.
 *
 * @throws AuthorityFault when an item or the head is not what was signed (mode `observe` logs it and signs)
 */
export async function signGrants(
  grants: readonly Grant[],
  { tenantId, version, control, nowMs }: Signing,
  deps: Pick<Deps, "dynamo" | "table" | "authority" | "log">,
): Promise<Write[]> {
  const headKey = authorityHeadKey(tenantId);
  const found = await readConsistently(deps, [headKey, ...grants.flatMap(({ key }) => keysOf(key))]);
  const before = await Promise.all(grants.map(({ key }) => claimsBefore(key, tenantId, found, deps)));
  const items = grants.map(({ key, after }) => {
    const item = after(found(key));
    if (!needsAuthority(item)) throw new Error(`no kind of authority is known for the item ${key.SK}`);
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

/** Claims of the control key's record before this change; undefined where there is none. */
async function claimsBefore(
  key: Key,
  tenantId: string,
  found: Found,
  { authority, log }: Pick<Deps, "authority" | "log">,
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
  { authority }: Pick<Deps, "authority">,
): Promise<Pick<AuthorityHeadClaims, "count" | "digest">> {
  if (!stored) return { count: 0, digest: EMPTY_DIGEST };
  return authority.verifier.head(stored, tenantId);
}
