import { clientName } from "../../shared/fleet/client-name.ts";
import type { Evaluation } from "../../shared/policy/evaluate/evaluate.ts";
import type { OpenIncident, PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { isTimely } from "../assess/baseline.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { intervalStart, later, phaseOf, seenThrough } from "../heartbeat/timeline-position.ts";

/** Maximum number of model names in presence. Lists show these names. The telemetry item has the details. */
const MODEL_NAMES_MAX = 16;
const CLIENT_NAMES_MAX = 8;

const loadedModels = ({ engines }: Heartbeat): string[] =>
  // Two quantisations of a model have the same name, so duplicates are removed.
  [
    ...new Set(
      engines.flatMap(({ models }) => models.filter(({ loaded }) => loaded).map(({ name }) => name)),
    ),
  ].slice(0, MODEL_NAMES_MAX);

const clientNames = ({ engines }: Heartbeat): string[] =>
  [...new Set(engines.flatMap(({ clients }) => clients.map(clientName)))].sort().slice(0, CLIENT_NAMES_MAX);

/** Presence of a changed state. `revision` is set when the item is written. */
export function presenceOf(
  delivery: Delivery,
  key: string,
  stateHash: string,
  { risk, score }: Evaluation,
  openIncidents: OpenIncident[],
  tenant: TenantItem,
): PresenceItem {
  const { tenantId, assetId, at } = delivery;
  const heartbeat = delivery.heartbeat();
  const seen = seenThrough(delivery, tenant);
  return {
    type: "Presence",
    tenantId,
    assetId,
    lastSeenAt: later(seen, key),
    sequence: heartbeat.sequence,
    stateAt: key,
    stateSince: delivery.stateSince,
    stateHash,
    stateSequence: heartbeat.sequence,
    isLearnt: isTimely(delivery),
    sampledAt: intervalStart(at, phaseOf(assetId), tenant.telemetryResolutionSeconds),
    intervalMs: heartbeat.agent.intervalMs,
    agentVersion: heartbeat.agent.version,
    catalogue: heartbeat.agent.catalogue,
    hostname: heartbeat.host.hostname,
    risk,
    score,
    engines: heartbeat.engines.map(({ id, name, kind, confidence }) => ({ id, name, kind, confidence })),
    models: loadedModels(heartbeat),
    clients: clientNames(heartbeat),
    failedCollectors: heartbeat.collectors
      .filter(({ status }) => status === "failed")
      .map(({ name }) => name),
    spoolDropped: heartbeat.spool.dropped,
    openIncidents,
  };
}
