import { utf8 } from "../../../shared/encoding/bytes.ts";
import { canonicalJson } from "../../../shared/encoding/canonical-json.ts";
import { type AttributeMap, marshalItem, values } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import type { Policy } from "../../../shared/table/items/policy.ts";
import { type TenantItem, tenantDefaults, tenantItem } from "../../../shared/table/items/tenant.ts";
import { tenantKey } from "../../../shared/table/keys.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Committed, Decision, Draft, ItemChange, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import { type Settings, settings } from "./settings-schema.ts";

/** A member of the tenant's item that is read and replaced as a whole. Each of these members has its own version. */
type Part = "settings" | "policy";
const VERSION = { settings: "settingsVersion", policy: "policyVersion" } as const;
const ACTION = { settings: "change-settings", policy: "change-policy" } as const;

export type Versioned<T> = { version: number; value: T };

/** Reads the settings of a tenant and their version. */
export async function readSettings(deps: Pick<ControlDeps, "authority">, tenantId: string) {
  const { item } = await readTenantItem(deps, tenantId);
  return { version: item.settingsVersion, value: settingsOf(item) };
}

/** Reads the policy of a tenant and its version. */
export async function readPolicy(deps: Pick<ControlDeps, "authority">, tenantId: string) {
  const { item } = await readTenantItem(deps, tenantId);
  return { version: item.policyVersion, value: item.policy };
}

/**
 * Reads the tenant's item. `stored` is the item in the table, or undefined if no administrator has changed
 * the settings or policy yet.
 */
async function readTenantItem({ authority }: Pick<ControlDeps, "authority">, tenantId: string) {
  const stored = await authority.read(tenantKey(tenantId));
  return { item: stored ? decodeItem(tenantItem, stored) : tenantDefaults(tenantId), stored };
}

const settingsOf = (tenant: TenantItem): Settings =>
  settings.parse(
    Object.fromEntries(Object.keys(settings.shape).map((name) => [name, tenant[name as never]])),
  );

/** Condition for a transaction that depends on the settings. The transaction fails if their version has changed. */
export const settingsStill = (tenantId: string, version: number, table: string): Write => ({
  ConditionCheck: {
    TableName: table,
    Key: marshalItem(tenantKey(tenantId)),
    // A tenant that never changed its settings has no stored version, and may have no item.
    ConditionExpression:
      version === 0 ? "attribute_not_exists(#version) OR #version = :seen" : "#version = :seen",
    ExpressionAttributeNames: { "#version": VERSION.settings },
    ExpressionAttributeValues: values({ seen: version }),
  },
});

/** Replaces the settings. Refuses with `admin.outdated` if they have changed since the administrator read them. */
export const changeSettings = (asker: Asker, wanted: Versioned<Settings>, deps: ControlDeps) =>
  changePart(asker, "settings", wanted, deps);

/** Replaces the policy. Refuses with `admin.outdated` if it has changed since the administrator read it. */
export const changePolicy = (asker: Asker, wanted: Versioned<Policy>, deps: ControlDeps) =>
  changePart(asker, "policy", wanted, deps);

async function changePart(
  asker: Asker,
  part: Part,
  { version, value }: Versioned<object>,
  deps: ControlDeps,
): Promise<Decision<Committed<{ version: number }>>> {
  const { tenantId } = asker.admin;
  const decide = async (): Promise<Decision<Plan<{ version: number }>>> => {
    const { item, stored } = await readTenantItem(deps, tenantId);
    if (item[VERSION[part]] !== version) return refuse("admin.outdated");
    const before = part === "policy" ? item.policy : settingsOf(item);
    const set = part === "policy" ? { policy: value } : value;
    const [was, is] = await differences(before as Members, value as Members);
    const records: Draft[] = [{ action: ACTION[part], before: was, after: is }];
    const changes = [tenantChange(item, stored, part, { ...set, [VERSION[part]]: version + 1 })];
    return accept({ records, changes, result: { version: version + 1 } });
  };
  return commit(asker, [ACTION[part], version, value], decide, deps);
}

/** Sets the members of one `Part`. Members of the other part keep their values. */
function tenantChange(
  item: TenantItem,
  stored: AttributeMap | undefined,
  part: Part,
  set: Readonly<Record<string, unknown>>,
): ItemChange {
  const isVersioned = stored?.[VERSION[part]] !== undefined;
  const isUnversioned = stored ? "attribute_not_exists(#version)" : "attribute_not_exists(PK)";
  const members = Object.entries(set).filter(([, value]) => value !== undefined);
  return {
    key: tenantKey(item.tenantId),
    set: {
      type: "Tenant",
      tenantId: item.tenantId,
      name: item.name,
      ...(Object.fromEntries(members) as ItemChange["set"]),
    },
    condition: isVersioned ? "#version = :seen" : isUnversioned,
    ...(stored && { names: { "#version": VERSION[part] } }),
    ...(isVersioned && { values: { seen: item[VERSION[part]] } }),
  };
}

type Members = Readonly<Record<string, unknown>>;

/** Maximum length of a text in a custody record. A longer text is replaced by its hash and never truncated. */
const RECORDED_CHARACTERS_MAX = 4000;

/**
 * Compares two sets of members. Returns the members that differ, before and after the change. Each result is
 * canonical JSON or, if that is too long, its SHA-256.
 */
async function differences(before: Members, after: Members): Promise<[string, string]> {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => canonicalJson(before[name] ?? null) !== canonicalJson(after[name] ?? null),
  );
  const recorded = async (members: Members) => {
    const json = canonicalJson(Object.fromEntries(names.map((name) => [name, members[name]])));
    if (json.length <= RECORDED_CHARACTERS_MAX) return json;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(json)));
    return `sha256:${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  };
  return [await recorded(before), await recorded(after)];
}
