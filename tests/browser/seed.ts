import { ulid } from "ulid";
import { catalogue } from "../../agent/catalogue/engines/list.ts";
import { confidenceOf, evidenceOf, weighed } from "../../agent/scan/identify/confidence.ts";
import type { Deps } from "../../edge/deps.ts";
import { type Device, makeDevice } from "../../lz/platform/simulated-agents.ts";
import { needsAuthority } from "../../shared/authority/covered-members.ts";
import { clientName } from "../../shared/fleet/client-name.ts";
import { RULES_BY_ID } from "../../shared/policy/rules/rules.ts";
import { type AttributeMap, marshalItem } from "../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import { INVENTORY_MODELS_MAX, inventoryItem } from "../../shared/table/items/asset/inventory.ts";
import { type PresenceItem, presenceItem } from "../../shared/table/items/asset/presence.ts";
import {
  type Adjudication,
  type Finding,
  type TelemetryChange,
  telemetryItem,
} from "../../shared/table/items/asset/telemetry.ts";
import { fleetHourItem } from "../../shared/table/items/fleet.ts";
import { incidentItem } from "../../shared/table/items/incident.ts";
import {
  actionRequired,
  alerts,
  assetKey,
  assetState,
  assetTimeline,
  employeeAssets,
  fleetHourKey,
  incidentKey,
  indexSort,
  inventoryKey,
  presenceKey,
  SHARDS_DEFAULT,
  telemetryKey,
  timelineDate,
} from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { Collector, ContainmentReport, Engine, Evidence, Store } from "../../shared/wire/heartbeat.ts";
import { signStored } from "../support/control/authority.ts";

/**
 * A host for tests and screenshots. {@link itemsOf} creates the items that the edge and the worker would have
 * written.
 */
export type Host = {
  tenantId: string;
  assetId: string;
  hostname: string;
  employeeId: string;
  os: string;
  enrolledAtMs: number;
  /** Time of the last heartbeat. Absent if the host has never reported. */
  lastSeenAtMs?: number;
  /** States of the host, oldest first. The last state is the current one. */
  states: {
    atMs: number;
    engines: Engine[];
    stores?: Store[];
    score?: number;
    collectors?: Collector[];
    containment?: ContainmentReport;
    novelty?: string[];
    adjudication?: Adjudication;
  }[];
  findings?: { finding: Finding; openedAtMs: number; resolvedAtMs?: number }[];
  containment?: Pick<AssetItem, "status" | "generation" | "wish" | "proof">;
};

const NO_REPORT = (atMs: number): ContainmentReport => ({
  generation: 0,
  action: "none",
  mode: "observe",
  outcome: "none",
  at: timestamp(atMs),
});

const ok = (name: string, detail?: string): Collector => ({ name, status: "ok", ...(detail && { detail }) });
const unsupported = (name: string, detail: string): Collector => ({ name, status: "unsupported", detail });

/**
 * Returns the status of all sources on a host with this operating system. Every source works, and the agent
 * runs as a service.
 */
export function sourcesOf(os: string): Collector[] {
  const processes = ok("processes", "312 processes");
  const http = ok("http", "14 listeners probed");
  if (os.startsWith("Windows"))
    return [
      ...[processes, ok("listeners"), ok("libraries")],
      unsupported("weights", "Windows does not show which data files a process maps"),
      ...[ok("gpu"), http, ok("clients", "Windows does not show the working directory of a client")],
      ok("at-rest"),
    ];
  const isMac = os.startsWith("macOS");
  return [
    ...[processes, isMac ? ok("listeners") : ok("listeners", "21 listeners"), ok("weights"), ok("libraries")],
    isMac ? unsupported("gpu", "macOS does not report GPU memory per process") : ok("gpu"),
    ...[http, ok("clients"), ok("at-rest")],
  ];
}

/** Returns the items of a host, with their keys for the table and both indexes. */
export function itemsOf(host: Host): AttributeMap[] {
  return [
    assetOf(host),
    ...presenceOf(host),
    ...inventoryOf(host),
    ...host.states.map((_, index) => stateOf(host, index)),
    ...incidentsOf(host),
  ];
}

/** Device keys of the seeded hosts. Several hosts share a key. This is safe because each signature names its host. */
const DEVICES: Device[] = await Promise.all(Array.from({ length: 16 }, makeDevice));

/** Returns the device key of a seeded host, which signs the host's proofs. */
export const deviceOf = (assetId: string): Device =>
  DEVICES[[...assetId].reduce((sum, character) => sum + character.charCodeAt(0), 0) % DEVICES.length]!;

function assetOf(host: Host): AttributeMap {
  const { tenantId, assetId, hostname, employeeId, os } = host;
  const contained = host.containment ?? { status: "ACTIVE" as const, generation: 0 };
  const asset: AssetItem = assetItem.parse({
    type: "Asset",
    tenantId,
    assetId,
    employeeId,
    hostname,
    os,
    arch: "x64",
    deviceKey: deviceOf(assetId).x,
    enrolledAt: timestamp(host.enrolledAtMs),
    custodyCount: 0,
    ...contained,
  });
  const action = asset.wish && {
    GSI2PK: actionRequired(tenantId),
    GSI2SK: indexSort(asset.wish.requestedAt, assetId),
  };
  return marshalItem({
    ...assetKey(tenantId, assetId),
    GSI1PK: employeeAssets(tenantId, employeeId),
    GSI1SK: assetState(asset.status),
    ...action,
    ...asset,
  });
}

function presenceOf(host: Host): AttributeMap[] {
  const newest = host.states.at(-1);
  if (host.lastSeenAtMs === undefined || !newest) return [];
  const open = (host.findings ?? []).filter(({ resolvedAtMs }) => resolvedAtMs === undefined);
  const at = timestamp(host.lastSeenAtMs);
  const presence: PresenceItem = presenceItem.parse({
    type: "Presence",
    tenantId: host.tenantId,
    assetId: host.assetId,
    lastSeenAt: at,
    sequence: 41_233,
    stateAt: timestamp(newest.atMs),
    stateSince: timestamp(newest.atMs),
    stateHash: "0",
    sampledAt: at,
    intervalMs: 5000,
    agentVersion: "0.1.0",
    catalogue: "2026-11-18",
    hostname: host.hostname,
    risk: riskOf(newest.score ?? 0),
    score: newest.score ?? 0,
    engines: newest.engines.map(({ id, name, kind, confidence }) => ({ id, name, kind, confidence })),
    models: newest.engines.flatMap((engine) =>
      engine.models.filter(({ loaded }) => loaded).map(({ name }) => name),
    ),
    clients: [...new Set(newest.engines.flatMap(({ clients }) => clients.map(clientName)))],
    failedCollectors: (newest.collectors ?? sourcesOf(host.os))
      .filter(({ status }) => status === "failed")
      .map(({ name }) => name),
    spoolDropped: 0,
    openIncidents: open.map(({ finding: { rule, engine, risk } }) => ({ rule, engine, risk })),
  });
  return [marshalItem({ ...presenceKey(host.tenantId, host.assetId), ...presence })];
}

function inventoryOf({ tenantId, assetId, lastSeenAtMs, states }: Host): AttributeMap[] {
  const newest = states.at(-1);
  if (lastSeenAtMs === undefined || !newest) return [];
  const models = [...newest.engines, ...(newest.stores ?? [])].flatMap(({ id, models }) =>
    models.map((model) => ({ loaded: false, ...model, engine: id })),
  );
  const modelsLeft = models.length - INVENTORY_MODELS_MAX;
  const inventory = inventoryItem.parse({
    type: "Inventory",
    tenantId,
    assetId,
    stateAt: timestamp(newest.atMs),
    models: models.slice(0, INVENTORY_MODELS_MAX),
    ...(modelsLeft > 0 && { modelsLeft }),
    clients: newest.engines.flatMap(({ id, clients }) =>
      clients.map((client) => ({ name: clientName(client), engine: id })),
    ),
  });
  return [marshalItem({ ...inventoryKey(tenantId, assetId), ...inventory })];
}

/**
 * Returns the hourly fleet counts of one week up to `nowMs`. The fleet grows during the week, and the counts
 * of one night are missing.
 */
export function fleetHours(tenantId: string, nowMs: number, hosts: number): AttributeMap[] {
  return Array.from({ length: 7 * 24 }, (_, index) => index)
    .filter((index) => index < 70 || index > 78)
    .map((index) => {
      const at = timestamp(nowMs - (7 * 24 - index) * 3600_000);
      const day = Math.sin(((index % 24) / 24) * Math.PI);
      const enrolled = Math.round(hosts * (0.6 + (0.4 * index) / 168));
      const hour = fleetHourItem.parse({
        type: "FleetHour",
        tenantId,
        at,
        hosts: enrolled,
        reporting: Math.round(enrolled * (0.72 + 0.2 * day)),
        withAi: Math.round(enrolled * (0.3 + (0.2 * index) / 168)),
        critical: index > 120 ? 1 + (index > 150 ? 2 : 0) : index > 60 && index < 90 ? 2 : 0,
        warning: 2 + Math.round(index / 60) + (index % 30 > 20 ? 2 : 0),
        expiresAt: Math.floor(nowMs / 1000) + 400 * 86_400,
      });
      return marshalItem({ ...fleetHourKey(tenantId, at.slice(0, 13)), ...hour });
    });
}

/** Returns the findings that the worker would have recorded in a state at that time. */
const findingsAt = ({ findings = [] }: Host, atMs: number): Finding[] =>
  findings
    .filter(({ openedAtMs, resolvedAtMs = Number.POSITIVE_INFINITY }) => {
      return atMs >= openedAtMs && atMs < resolvedAtMs;
    })
    .map(({ finding }) => finding);

const riskOf = (score: number) => (score >= 70 ? "CRITICAL" : score >= 30 ? "WARNING" : "INFO");

function stateOf(host: Host, index: number): AttributeMap {
  const {
    atMs,
    engines,
    stores,
    score = 0,
    collectors = sourcesOf(host.os),
    containment = NO_REPORT(atMs),
    novelty,
    adjudication,
  } = host.states[index]!;
  const at = timestamp(atMs);
  const state = telemetryItem.parse({
    type: "Telemetry",
    kind: "change",
    tenantId: host.tenantId,
    assetId: host.assetId,
    at,
    receivedAt: timestamp(atMs + 18),
    sequence: index + 1,
    risk: riskOf(score),
    score,
    engines,
    ...(stores && { stores }),
    collectors,
    containment,
    findings: findingsAt(host, atMs),
    ...(novelty && { novelty }),
    ...(adjudication && { adjudication }),
    agentVersion: "0.1.0",
    hostname: host.hostname,
    expiresAt: Math.floor(atMs / 1000) + 180 * 86_400,
  }) as TelemetryChange;
  return marshalItem({
    ...telemetryKey(host.tenantId, host.assetId, at, SHARDS_DEFAULT),
    GSI1PK: assetTimeline(host.tenantId, host.assetId),
    GSI1SK: timelineDate(at),
    ...state,
  });
}

function incidentsOf(host: Host): AttributeMap[] {
  return (host.findings ?? []).map(({ finding, openedAtMs, resolvedAtMs }) => {
    const openedAt = timestamp(openedAtMs);
    const open = resolvedAtMs === undefined;
    const { risk, rule, engine } = finding;
    const told = RULES_BY_ID.get(rule);
    const incident = incidentItem.parse({
      type: "Incident",
      tenantId: host.tenantId,
      assetId: host.assetId,
      ...finding,
      ...(told && { title: told.title, atlas: told.atlas, remediation: told.remediation }),
      status: open ? "OPEN" : "RESOLVED",
      hostname: host.hostname,
      openedAt,
      lastSeenAt: timestamp(resolvedAtMs ?? host.lastSeenAtMs ?? openedAtMs),
      ...(!open && {
        resolvedAt: timestamp(resolvedAtMs),
        resolution: "the condition was gone for the quiet period",
      }),
    });
    return marshalItem({
      ...incidentKey(host.tenantId, { assetId: host.assetId, rule, engine }, SHARDS_DEFAULT),
      ...(open && { GSI2PK: alerts(host.tenantId, risk), GSI2SK: indexSort(openedAt, host.assetId) }),
      ...incident,
    });
  });
}

/**
 * Writes items. Signs items that need an authority record, as admin and enrol nodes do. BatchWriteItem
 * accepts 25 items per call.
 */
export async function putItems(deps: Deps, items: AttributeMap[]): Promise<void> {
  await writeAll(deps, items);
  const tenants = items.filter(needsAuthority).map(({ tenantId }) => tenantId!.S!);
  for (const tenantId of new Set(tenants)) await signStored(deps, tenantId);
}

async function writeAll(deps: Deps, items: AttributeMap[]): Promise<void> {
  for (let i = 0; i < items.length; i += 25) {
    let requests = items.slice(i, i + 25).map((Item) => ({ PutRequest: { Item } }));
    while (requests.length > 0) {
      const answer = await deps.dynamo("BatchWriteItem", { RequestItems: { [deps.table]: requests } });
      requests = (answer.UnprocessedItems?.[deps.table] ?? []) as typeof requests;
    }
  }
}

export const putHosts = (deps: Deps, hosts: Host[]): Promise<void> => putItems(deps, hosts.flatMap(itemsOf));

const REPORTING_MS = 60_000;

/**
 * Writes newer presence items for the hosts that reported at `seededAtMs`, so that they are not silent after
 * a long run.
 */
export const reportAgain = (deps: Deps, hosts: Host[], seededAtMs: number, nowMs: number): Promise<void> =>
  putItems(
    deps,
    hosts
      .filter(({ lastSeenAtMs }) => lastSeenAtMs !== undefined && seededAtMs - lastSeenAtMs < REPORTING_MS)
      .flatMap((host) => presenceOf({ ...host, lastSeenAtMs: host.lastSeenAtMs! + nowMs - seededAtMs })),
  );

/** Creates ids in ascending order, so that lists have the same order in every run. */
export function createIds(fromMs: number): () => string {
  let count = 0;
  let state = 42;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
  return () => ulid(fromMs + count++ * 60_000, random);
}

/** Returns HTTP evidence of a product from the agent's catalogue, with the product's default port if it has one. */
export function answersAs(id: string, port: number): Evidence[] {
  const entry = catalogue.find((one) => one.id === id);
  const [trait] = (entry?.traits ?? []).filter(({ weight }) => weight === "identity");
  if (!entry || !trait) return [];
  return [
    evidenceOf("httpIdentity", `GET ${trait.path} on http port ${port}: ${trait.says}`),
    ...(entry.ports.includes(port)
      ? [evidenceOf("port", `listens on ${port}, a default port of ${entry.name}`)]
      : []),
  ];
}

/** Creates an engine as an agent reports it. The agent's code computes the evidence weights and the confidence. */
export function engineOf(more: Partial<Omit<Engine, "confidence">> = {}): Engine {
  const { id = "ollama", ports = [11434] } = more;
  const evidence = weighed(more.evidence ?? answersAs(id, ports[0] ?? 0));
  return {
    name: "Ollama",
    kind: "inference-engine",
    pid: 4121,
    parents: [],
    bind: ["127.0.0.1"],
    auth: "open",
    models: [],
    clients: [],
    ...more,
    ...{ id, ports, evidence, confidence: confidenceOf(evidence) },
  };
}
