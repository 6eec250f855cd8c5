import type { OpenIncident, PresenceItem, TenantItem } from "../shared/table/items.ts";
import type { Heartbeat } from "../shared/wire/heartbeat.ts";
import type { Evaluation } from "./evaluate/evaluate.ts";
import { intervalStart, later, seenThrough } from "./place.ts";
import type { Delivery } from "./read.ts";

/** Names only, for lists; the whole of it is in the telemetry item. */
const MODEL_NAMES_MAX = 16;

const loadedModels = ({ engines }: Heartbeat): string[] =>
  engines
    .flatMap((engine) => engine.models.filter((model) => model.loaded).map((model) => model.name))
    .slice(0, MODEL_NAMES_MAX);

/** Presence as a changed state makes it. `revision` is set where it is written. */
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
    stateSince: heartbeat.stateSince,
    stateHash,
    stateSequence: heartbeat.sequence,
    sampledAt: intervalStart(at, tenant.telemetryResolutionSeconds),
    intervalMs: heartbeat.agent.intervalMs,
    agentVersion: heartbeat.agent.version,
    catalogue: heartbeat.agent.catalogue,
    hostname: heartbeat.host.hostname,
    risk,
    score,
    engines: heartbeat.engines.map(({ id, name, kind, confidence }) => ({ id, name, kind, confidence })),
    models: loadedModels(heartbeat),
    failedCollectors: heartbeat.collectors
      .filter(({ status }) => status === "failed")
      .map(({ name }) => name),
    spoolDropped: heartbeat.spool.dropped,
    openIncidents,
  };
}
