import { checkReports, createReportVerifier } from "../../../shared/authority/check-reports.ts";
import { createKeyedMutex } from "../../../shared/keyed-mutex.ts";
import { type AttributeMap, unmarshalItem } from "../../../shared/table/dynamo.ts";
import { type TenantItem, tenantDefaults } from "../../../shared/table/items/tenant.ts";
import { type Heartbeat, heartbeat as heartbeatSchema } from "../../../shared/wire/heartbeat.ts";
import { createBaselineStore } from "../../../worker/assess/baseline-store.ts";
import { withoutLlmReview } from "../../../worker/assess/llm-review.ts";
import { createPresenceCache } from "../../../worker/assess/presence-cache.ts";
import { type Delivery, parseDelivery } from "../../../worker/heartbeat/parse-heartbeat.ts";
import { createMetrics } from "../../../worker/platform/metrics.ts";
import type { Deps } from "../../../worker/receive/deps.ts";
import { believing } from "../control/authority.ts";
import type { MemoryDynamo } from "./memory-dynamo.ts";

export const TENANT = "org_memory";
export const ASSET = "01K00000000000000000000000";

/** Creates the dependencies of a worker with an in-memory table. Each worker has its own presence cache. */
export function createWorkerDeps(table: MemoryDynamo, tenant: TenantItem, more: Partial<Deps> = {}): Deps {
  const pause = async () => {};
  const verify = createReportVerifier();
  return {
    clock: () => Date.parse("2026-11-22T12:00:00.000Z"),
    log: () => {},
    dynamo: table.dynamo,
    authority: { ...believing(table.dynamo), checkReports: (asset) => checkReports(asset, verify) },
    table: "memory",
    queue: { receive: async () => [], remove: async () => {}, extend: async () => {}, bury: async () => {} },
    queueKeys: new Map(),
    presences: createPresenceCache(table.dynamo, "memory", pause),
    baselines: createBaselineStore({ dynamo: table.dynamo, table: "memory" }),
    metrics: createMetrics(),
    withLock: createKeyedMutex(),
    lookUpVerdict: withoutLlmReview,
    pause,
    tenant: async () => tenant,
    onOutboxEvent: () => {},
    ...more,
  };
}

export const makeTenant = (more: Partial<TenantItem> = {}): TenantItem => ({
  ...tenantDefaults(TENANT),
  ...more,
});

/** A heartbeat as the worker gets it from a verified message. */
export function deliver(beat: Heartbeat, assetId = ASSET, receivedAt = beat.sentAt): Delivery {
  const message = { id: "m", receipt: "r", body: "", receives: 1, sentAtMs: 0 };
  const body = JSON.stringify(heartbeatSchema.parse(beat));
  const delivery = parseDelivery({ assetId, receivedAt, body }, { message, tenantId: TENANT });
  if (!delivery) throw new Error("the test made a heartbeat that is none");
  return delivery;
}

/** Attributes that count writes. They depend on the number of writes of an item. */
const BOOKKEEPING = new Set(["revision", "reopens"]);

/**
 * Returns the contents of the table that must not depend on the order of messages. Events are left out,
 * because they record the order of decisions.
 */
export function contents(table: MemoryDynamo): Record<string, unknown> {
  const kept = [...table.items].filter(([, item]) => item.type?.S !== "Event");
  const plain = (item: AttributeMap) =>
    Object.fromEntries(Object.entries(unmarshalItem(item)).filter(([name]) => !BOOKKEEPING.has(name)));
  return Object.fromEntries(
    kept.map(([key, item]) => [key, plain(item)] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
