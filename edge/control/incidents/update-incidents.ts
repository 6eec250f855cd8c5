import { marshalItem, values } from "../../../shared/table/dynamo.ts";
import type { IncidentItem } from "../../../shared/table/items/incident.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import { readAssetItem } from "../assets/read-asset-item.ts";
import type { Asker, AssetChange, Committed, Decision, Draft, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import type { News } from "../custody/outbox.ts";
import type { Write } from "../custody/transaction-write.ts";
import type { ControlDeps } from "../deps.ts";
import { incidentParts } from "./incident-name.ts";
import { readIncidentItem } from "./search-incidents.ts";

/**
 * Maximum number of incidents per request. Each incident takes up to 3 of the 100 items of a transaction: the
 * incident, its custody record, and an asset or event.
 */
export const BULK_INCIDENTS_MAX = 30;

type Found = { id: string; key: { PK: string; SK: string }; item: IncidentItem };

export type Acknowledged = {
  acknowledged: string[];
  skipped: { id: string; reason: "not-found" | "resolved" | "acknowledged" }[];
};

/**
 * Acknowledges open incidents, in one transaction with a custody record for each. Incidents that cannot be acknowledged
 * are returned in `skipped` with the reason. If all are skipped, nothing is written and the request is refused.
 */
export async function acknowledgeIncidents(
  asker: Asker,
  asked: { ids: readonly string[]; justification?: string | undefined },
  deps: ControlDeps,
): Promise<Decision<Committed<Acknowledged>>> {
  const { tenantId, userId } = asker.admin;
  const ids = [...new Set(asked.ids)];
  const decide = async (nowMs: number): Promise<Decision<Plan<Acknowledged>>> => {
    const found = await Promise.all(
      ids.map(async (id) => ({ id, stored: await readIncidentItem(deps, tenantId, id) })),
    );
    const skipped: Acknowledged["skipped"] = [];
    const open: Found[] = [];
    for (const { id, stored } of found) {
      const reason = !stored ? "not-found" : whyNotAcknowledge(stored.item);
      if (reason) skipped.push({ id, reason });
      else open.push({ id, ...stored! });
    }
    if (open.length === 0) {
      const [first] = skipped;
      if (first?.reason === "not-found") return refuse("admin.not-found");
      return refuse("admin.conflict", `the incident is already ${first?.reason ?? "gone"}`);
    }
    const at = timestamp(nowMs);
    const writes = open.map((incident) =>
      updateOpen(incident, { acknowledgedAt: at, acknowledgedBy: userId }, [], deps),
    );
    const records = draftsOf(open, "acknowledge", asked.justification);
    const assets = await assetChanges(tenantId, open, records, deps);
    return accept({ assets, writes, result: { acknowledged: open.map(({ id }) => id), skipped } });
  };
  return commit(asker, ["acknowledge", ids, asked.justification], decide, deps);
}

/**
 * Reason why an incident cannot be acknowledged. An acknowledgement that is older than the reopening of the
 * incident does not count.
 */
function whyNotAcknowledge(item: IncidentItem): "resolved" | "acknowledged" | undefined {
  if (item.status !== "OPEN") return "resolved";
  return item.acknowledgedAt !== undefined && item.acknowledgedAt >= item.openedAt
    ? "acknowledged"
    : undefined;
}

/**
 * Resolves an open incident and stores the reason. The incident is reopened if its condition occurs again in
 * a later state.
 */
export async function resolveIncident(
  asker: Asker,
  asked: { id: string; reason: string },
  deps: ControlDeps,
): Promise<Decision<Committed<{ id: string }>>> {
  const { tenantId, userId } = asker.admin;
  const { id, reason } = asked;
  const decide = async (nowMs: number): Promise<Decision<Plan<{ id: string }>>> => {
    const stored = await readIncidentItem(deps, tenantId, id);
    if (!stored) return refuse("admin.not-found");
    if (stored.item.status !== "OPEN") return refuse("admin.conflict", "the incident is already resolved");
    const found = { id, ...stored };
    const set = { status: "RESOLVED", resolvedAt: timestamp(nowMs), resolvedBy: userId, resolution: reason };
    const writes = [updateOpen(found, set, ["GSI2PK", "GSI2SK"], deps)];
    const assets = await assetChanges(tenantId, [found], draftsOf([found], "resolve", reason), deps);
    return accept({ assets, writes, news: [resolvedNews(found, reason)], result: { id } });
  };
  return commit(asker, ["resolve", id, reason], decide, deps);
}

/**
 * Resolves the open incidents among the given ids, in one transaction with a custody record for each. All
 * incidents must belong to one asset. Returns the number of resolved incidents. Accepts at most {@link
 * BULK_INCIDENTS_MAX} ids.
 */
export async function closeIncidents(
  asker: Asker,
  { ids, reason }: { ids: readonly string[]; reason: string },
  deps: ControlDeps,
): Promise<number> {
  const { tenantId, userId } = asker.admin;
  const decide = async (nowMs: number): Promise<Decision<Plan<number>>> => {
    const stored = await Promise.all(
      ids.map(async (id) => ({ id, found: await readIncidentItem(deps, tenantId, id) })),
    );
    const open = stored.flatMap(({ id, found }) => (found?.item.status === "OPEN" ? [{ id, ...found }] : []));
    if (open.length === 0) return refuse("admin.conflict", "all of these incidents are already resolved");
    const set = { status: "RESOLVED", resolvedAt: timestamp(nowMs), resolvedBy: userId, resolution: reason };
    return accept({
      assets: await assetChanges(tenantId, open, draftsOf(open, "resolve", reason), deps),
      writes: open.map((found) => updateOpen(found, set, ["GSI2PK", "GSI2SK"], deps)),
      news: open.map((found) => resolvedNews(found, reason)),
      result: open.length,
    });
  };
  const done = await commit(asker, ["close", ids, reason], decide, deps);
  if (done.ok) return done.value.result;
  if (done.code === "admin.conflict") return 0;
  throw new Error(`cannot resolve the incidents of a merged asset: ${done.code}`);
}

/**
 * Event for a resolved incident. It has the same members as the event that the worker creates after a quiet
 * period, and also the person's reason.
 */
const resolvedNews = ({ item }: Found, reason: string): News => {
  const { assetId, hostname, rule, engine, engineName, risk, points, explanation, openedAt, title, atlas } =
    item;
  return {
    kind: "incident.resolved",
    assetId,
    hostname,
    data: {
      ...{ rule, engine, engineName, risk, points, explanation, openedAt, resolution: reason },
      ...(title !== undefined && { title }),
      ...(atlas !== undefined && { atlas }),
    },
  };
};

const draftsOf = (
  found: readonly Found[],
  action: "acknowledge" | "resolve",
  justification: string | undefined,
): Draft[] =>
  found.map(({ id, item }) => ({
    action,
    target: id,
    before: item.status,
    after: action === "resolve" ? "RESOLVED" : item.status,
    ...(justification !== undefined && { justification }),
  }));

/**
 * Update of an incident. Its condition fails if the incident is no longer open, or was reopened after it was
 * read.
 */
function updateOpen(
  { key, item }: Found,
  set: Record<string, string>,
  remove: string[],
  deps: ControlDeps,
): Write {
  const names = [...Object.keys(set), "status", "openedAt"];
  const sets = Object.keys(set).map((name) => `#${name} = :${name}`);
  return {
    Update: {
      TableName: deps.table,
      Key: marshalItem(key),
      UpdateExpression: `SET ${sets.join(", ")}${remove.length > 0 ? ` REMOVE ${remove.join(", ")}` : ""}`,
      ConditionExpression: "#status = :open AND #openedAt = :seen",
      ExpressionAttributeNames: Object.fromEntries(names.map((name) => [`#${name}`, name])),
      ExpressionAttributeValues: values({ ...set, open: "OPEN", seen: item.openedAt }),
    },
  };
}

/** Groups custody records by asset, because each record belongs to the custody chain of its asset. */
async function assetChanges(
  tenantId: string,
  found: readonly Found[],
  drafts: readonly Draft[],
  deps: ControlDeps,
): Promise<AssetChange[]> {
  const ids = [...new Set(found.map(({ item }) => item.assetId))];
  return Promise.all(
    ids.map(async (assetId) => {
      const before = await readAssetItem(deps, tenantId, assetId);
      if (!before) throw new Error(`an incident refers to the asset ${assetId}, which does not exist`);
      const records = drafts.filter(({ target }) => incidentParts(target!).assetId === assetId);
      return { before, records };
    }),
  );
}
