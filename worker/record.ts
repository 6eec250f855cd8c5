import { isConditionFailed, marshalItem, values } from "../shared/table/dynamo.ts";
import type { OpenIncident, PresenceItem, TelemetryItem, TenantItem } from "../shared/table/items.ts";
import { assetKey, assetTimeline, presenceKey, telemetryKey, timelineDate } from "../shared/table/keys.ts";
import { stateText } from "../shared/wire/state.ts";
import type { Deps } from "./deps.ts";
import { type Evaluation, evaluate } from "./evaluate/evaluate.ts";
import { nextIncidents, openIncident, resolveIncident } from "./incidents.ts";
import type { Delivery } from "./read.ts";

/**
 * Writes what one heartbeat says. Lossless on change, sampled otherwise:
 *
 * - a change of state: its telemetry item, incidents opened or marked absent, the containment proof, presence;
 * - a state that was left before it arrived: its telemetry item and its incidents, nothing of the present;
 * - nothing new: once per resolution interval a sample and presence, else no write at all.
 *
 * Every key and condition is a function of the heartbeat, so one that comes twice, late, or at two workers
 * leaves the same table. Presence is written last: whatever a crash cut off before it is done again.
 */
export async function record(delivery: Delivery, deps: Deps): Promise<void> {
  const { tenantId, assetId } = delivery;
  const tenant = await deps.tenant(tenantId);
  const stateHash = hashOf(delivery, tenant);
  let presence = await deps.presences.load(tenantId, assetId);
  let place = placeOf(delivery, stateHash, presence);
  if (place !== "same") {
    presence = await deps.presences.reload(tenantId, assetId);
    place = placeOf(delivery, stateHash, presence);
  }
  if (place === "change") await recordChange(delivery, stateHash, presence, tenant, deps);
  else if (place === "late") await recordLate(delivery, presence!, tenant, deps);
  else await recordSame(delivery, presence!, tenant, deps);
}

/** The policy is part of it: when an admin changes that, every asset is judged anew with its next heartbeat. */
const hashOf = ({ heartbeat }: Delivery, { policy }: TenantItem): string =>
  Bun.hash.wyhash(stateText(heartbeat) + JSON.stringify(policy)).toString(36);

/**
 * Timestamp in the key of the item that holds this state: the first heartbeat that had it, but at least one a
 * day, so that retention never takes away the state an asset is in.
 */
function stateAt({ at, heartbeat }: Delivery): string {
  const startOfDay = `${at.slice(0, 10)}T00:00:00.000Z`;
  const since = heartbeat.stateSince > at ? at : heartbeat.stateSince;
  return since > startOfDay ? since : startOfDay;
}

/** `late`: of a state the asset has left since, told after a newer one. */
type Place = "change" | "same" | "late";

function placeOf(delivery: Delivery, stateHash: string, presence: PresenceItem | undefined): Place {
  if (!presence || stateAt(delivery) > presence.stateAt) return "change";
  // The agent says "as before" and shows something else: believe what it shows.
  if (stateHash !== presence.stateHash && delivery.at > presence.lastSeenAt) return "change";
  return stateAt(delivery) < presence.stateAt ? "late" : "same";
}

async function recordChange(
  delivery: Delivery,
  stateHash: string,
  before: PresenceItem | undefined,
  tenant: TenantItem,
  deps: Deps,
): Promise<void> {
  const evaluation = evaluate(delivery.heartbeat, tenant.policy);
  const claimedAt = stateAt(delivery);
  const keyAt = before && claimedAt <= before.stateAt ? delivery.at : claimedAt;
  await putTelemetry(changeItem(delivery, keyAt, evaluation, tenant), tenant, deps);
  const incidents = nextIncidents(before?.openIncidents ?? [], evaluation.findings, delivery.at);
  for (const finding of incidents.seen) await openIncident(delivery, finding, tenant.shards, deps);
  const open = await resolveQuiet(incidents.open, delivery, tenant, deps);
  await recordProof(delivery, deps);
  const isNewest = await putPresence(presenceOf(delivery, keyAt, stateHash, evaluation, open, tenant), deps);
  if (isNewest) return;
  // Another worker wrote a newer presence meanwhile, without what was opened here.
  const newer = await deps.presences.reload(delivery.tenantId, delivery.assetId);
  await recordLate(delivery, newer!, tenant, deps);
}

/**
 * A state the asset has left: it belongs to the timeline, and what it showed is an incident all the same, which
 * the quiet period ends from where the newest heartbeat stands.
 */
async function recordLate(
  delivery: Delivery,
  presence: PresenceItem,
  tenant: TenantItem,
  deps: Deps,
): Promise<void> {
  const evaluation = evaluate(delivery.heartbeat, tenant.policy);
  await putTelemetry(changeItem(delivery, stateAt(delivery), evaluation, tenant), tenant, deps);
  const unknown = evaluation.findings.filter(
    ({ rule, engine }) =>
      !presence.openIncidents.some((open) => open.rule === rule && open.engine === engine),
  );
  if (unknown.length === 0) return;
  for (const finding of unknown) await openIncident(delivery, finding, tenant.shards, deps);
  const added = unknown.map(({ rule, engine, risk }) => ({
    rule,
    engine,
    risk,
    absentSince: presence.lastSeenAt,
  }));
  const openIncidents = [...presence.openIncidents, ...added];
  if (!(await putPresence({ ...presence, openIncidents }, deps))) {
    throw new Error("a newer heartbeat was recorded while a late one was: it has to be looked at again");
  }
}

/** Resolves what has been absent for the tenant's quiet period and returns what stays open. */
async function resolveQuiet(
  open: readonly OpenIncident[],
  delivery: Delivery,
  tenant: TenantItem,
  deps: Deps,
): Promise<OpenIncident[]> {
  const stays: OpenIncident[] = [];
  for (const incident of open) {
    const absentMs = incident.absentSince ? Date.parse(delivery.at) - Date.parse(incident.absentSince) : -1;
    if (absentMs >= tenant.quietPeriodSeconds * 1000)
      await resolveIncident(delivery, incident, tenant.shards, deps);
    else stays.push(incident);
  }
  return stays;
}

/** Start of the resolution interval a time lies in; with resolution 0 the time itself. */
function intervalStart(at: string, resolutionSeconds: number): string {
  if (resolutionSeconds === 0) return at;
  const ms = Date.parse(at);
  return new Date(ms - (ms % (resolutionSeconds * 1000))).toISOString();
}

async function recordSame(
  delivery: Delivery,
  presence: PresenceItem,
  tenant: TenantItem,
  deps: Deps,
): Promise<void> {
  if (delivery.at <= presence.lastSeenAt) return; // older than what is known, and no change: nothing to add
  const sampledAt = intervalStart(delivery.at, tenant.telemetryResolutionSeconds);
  const open = await resolveQuiet(presence.openIncidents, delivery, tenant, deps);
  const resolvedSome = open.length < presence.openIncidents.length;
  if (sampledAt <= presence.sampledAt && !resolvedSome) return;
  const { tenantId, assetId } = delivery;
  const sample: TelemetryItem = {
    type: "Telemetry",
    kind: "sample",
    tenantId,
    assetId,
    at: sampledAt,
    expiresAt: expiry(delivery.at, tenant),
  };
  await putTelemetry(sample, tenant, deps);
  await putPresence(
    {
      ...presence,
      lastSeenAt: delivery.at,
      sequence: delivery.heartbeat.sequence,
      spoolDropped: delivery.heartbeat.spool.dropped,
      sampledAt,
      openIncidents: open,
    },
    deps,
  );
}

const expiry = (at: string, tenant: TenantItem): number =>
  Math.floor(Date.parse(at) / 1000) + tenant.retentionDays * 24 * 3600;

function changeItem(
  delivery: Delivery,
  at: string,
  evaluation: Evaluation,
  tenant: TenantItem,
): TelemetryItem {
  const { heartbeat } = delivery;
  return {
    type: "Telemetry",
    kind: "change",
    tenantId: delivery.tenantId,
    assetId: delivery.assetId,
    at,
    receivedAt: delivery.receivedAt,
    sequence: heartbeat.sequence,
    ...evaluation,
    engines: heartbeat.engines,
    collectors: heartbeat.collectors,
    containment: heartbeat.containment,
    agentVersion: heartbeat.agent.version,
    hostname: heartbeat.host.hostname,
    expiresAt: expiry(delivery.at, tenant),
  };
}

/** Only changes are in GSI1: the timeline of an asset is what happened to it. Samples cost one write, not two. */
async function putTelemetry(item: TelemetryItem, tenant: TenantItem, deps: Deps): Promise<void> {
  const { tenantId, assetId, at } = item;
  const index =
    item.kind === "change" ? { GSI1PK: assetTimeline(tenantId, assetId), GSI1SK: timelineDate(at) } : {};
  await ignoreStale(
    deps.dynamo("PutItem", {
      TableName: deps.table,
      Item: marshalItem({ ...telemetryKey(tenantId, assetId, at, tenant.shards), ...index, ...item }),
      // A change is never overwritten, by a sample least of all.
      ConditionExpression: "attribute_not_exists(PK)",
    }),
  );
}

function presenceOf(
  delivery: Delivery,
  keyAt: string,
  stateHash: string,
  { risk, score }: Evaluation,
  openIncidents: OpenIncident[],
  tenant: TenantItem,
): PresenceItem {
  const { heartbeat, tenantId, assetId, at } = delivery;
  return {
    type: "Presence",
    tenantId,
    assetId,
    lastSeenAt: at,
    sequence: heartbeat.sequence,
    stateAt: keyAt,
    stateSince: heartbeat.stateSince,
    stateHash,
    sampledAt: intervalStart(at, tenant.telemetryResolutionSeconds),
    intervalMs: heartbeat.agent.intervalMs,
    agentVersion: heartbeat.agent.version,
    catalogue: heartbeat.agent.catalogue,
    hostname: heartbeat.host.hostname,
    risk,
    score,
    engines: heartbeat.engines.map(({ id, name, kind, confidence }) => ({ id, name, kind, confidence })),
    models: loadedModels(delivery),
    failedCollectors: heartbeat.collectors
      .filter(({ status }) => status === "failed")
      .map(({ name }) => name),
    spoolDropped: heartbeat.spool.dropped,
    openIncidents,
  };
}

/** Names only, for lists; the whole of it is in the telemetry item. */
const MODEL_NAMES_MAX = 16;

const loadedModels = ({ heartbeat }: Delivery): string[] =>
  heartbeat.engines
    .flatMap((engine) => engine.models.filter((model) => model.loaded).map((model) => model.name))
    .slice(0, MODEL_NAMES_MAX);

/** An older heartbeat never overwrites a newer presence. True when it was written. */
async function putPresence(presence: PresenceItem, deps: Deps): Promise<boolean> {
  const { tenantId, assetId, lastSeenAt } = presence;
  const written = await ignoreStale(
    deps.dynamo("PutItem", {
      TableName: deps.table,
      Item: marshalItem({ ...presenceKey(tenantId, assetId), ...presence }),
      ConditionExpression: "attribute_not_exists(PK) OR lastSeenAt <= :at",
      ExpressionAttributeValues: values({ at: lastSeenAt }),
    }),
  );
  if (written) deps.presences.keep(presence);
  else deps.presences.forget(tenantId, assetId);
  return written;
}

/** The agent's word on the newest directive becomes the asset's proof, and a proven release ends the action. */
async function recordProof({ tenantId, assetId, heartbeat }: Delivery, deps: Deps): Promise<void> {
  const report = heartbeat.containment;
  if (report.generation === 0) return;
  const isReleased = report.action === "release" && report.outcome === "applied";
  await ignoreStale(
    deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(tenantId, assetId)),
      UpdateExpression: `SET proof = :report${isReleased ? " REMOVE GSI2PK, GSI2SK" : ""}`,
      // A report on an older wish proves nothing about the present one.
      ConditionExpression:
        "attribute_exists(PK) AND generation = :generation AND attribute_not_exists(revokedAt) AND " +
        "(attribute_not_exists(proof) OR proof.generation < :generation OR proof.#at < :at)",
      ExpressionAttributeNames: { "#at": "at" },
      ExpressionAttributeValues: values({ report, generation: report.generation, at: report.at }),
    }),
  );
}

/** True when written; false when the condition said that the table already knows better. */
export async function ignoreStale(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isConditionFailed(error)) return false;
    throw error;
  }
}
