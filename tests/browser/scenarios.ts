import { authenticate } from "../../edge/auth/authenticate.ts";
import { changeContainment } from "../../edge/control/containment/isolate-or-release.ts";
import type { Asker } from "../../edge/control/custody/change-plan.ts";
import { changeSettings, readSettings } from "../../edge/control/tenant/update-tenant.ts";
import { createWebhook } from "../../edge/control/webhooks/manage-webhooks.ts";
import type { Deps } from "../../edge/deps.ts";
import { marshalItem, values } from "../../shared/table/dynamo.ts";
import { type EventItem, eventItem } from "../../shared/table/items/event.ts";
import { webhookHealthItem } from "../../shared/table/items/webhook.ts";
import { assetKey, eventKey, webhookHealthKey } from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import {
  type ContainmentReport,
  containmentReport,
  type StopEnginesBy,
} from "../../shared/wire/heartbeat.ts";
import { signStored } from "../support/control/authority.ts";
import { TENANT } from "./edge.ts";
import { deviceOf, putItems } from "./seed.ts";

/** Returns the user of a session as the caller of changes in tests. */
export async function askerOf(deps: Deps, session: string): Promise<Asker> {
  const request = new Request("http://any/", { headers: { authorization: `Bearer ${session}` } });
  const who = await authenticate(request, deps);
  if (!who.ok) throw new Error(`the operator is not let in: ${who.code}`);
  return {
    admin: who.value,
    idempotencyKey: crypto.randomUUID(),
    sourceIp: "203.0.113.24",
    requestId: "5f0c2d9e81b7a644",
  };
}

/** Turns the approval of isolations by a second person on or off, using the production transaction. */
export async function setFourEyes(
  deps: Deps,
  session: string,
  fourEyes: boolean,
  stopEnginesBy?: StopEnginesBy,
): Promise<void> {
  const { version, value } = await readSettings(deps, TENANT);
  const asker = await askerOf(deps, session);
  const guards = { fourEyes, isolationsPerHourMax: 20, isolationNotice: "Call 4711, whatever the hour." };
  const how = stopEnginesBy && { stopEnginesBy };
  const wanted = { version, value: { ...value, name: "Northwind", ...guards, ...how } };
  const changed = await changeSettings(asker, wanted, deps);
  if (!changed.ok) throw new Error(`the settings were refused: ${changed.code}`);
}

/**
 * Turns on the approval of isolations by a second person, and requests isolations, which then wait for
 * approval. Returns the approval ids.
 */
export async function requestIsolations(
  deps: Deps,
  session: string,
  assetIds: readonly string[],
): Promise<string[]> {
  await setFourEyes(deps, session, true);
  const ids: string[] = [];
  for (const assetId of assetIds) {
    const { admin, ...origin } = await askerOf(deps, session);
    const asked = { assetId, action: "isolate" as const, mode: "network" as const };
    const justification = "INC-2301: weights under a false name beside payments-core";
    const done = await changeContainment(admin, { ...asked, justification, ...origin }, deps);
    if (!done.ok) throw new Error(`the request was refused: ${done.code}`);
    ids.push(done.value.result.approvalId!);
  }
  return ids;
}

/** Writes the containment proof as the worker does after an agent has reported on a generation. */
export async function reportOn(
  deps: Deps,
  assetId: string,
  told: Pick<ContainmentReport, "generation" | "action" | "mode"> & Partial<ContainmentReport>,
): Promise<void> {
  const probes = { controlPlaneReachable: true, forbiddenBlocked: told.mode === "observe" ? null : true };
  const applied = { outcome: "applied" as const, at: timestamp(Date.now()), probes };
  const device = deviceOf(assetId);
  const report = containmentReport.parse({ ...applied, ...told });
  const proof = {
    ...(await device.sign({ tenantId: TENANT, assetId }, report)),
    signedBy: device.x,
  };
  await deps.dynamo("UpdateItem", {
    TableName: deps.table,
    Key: marshalItem(assetKey(TENANT, assetId)),
    UpdateExpression: "SET proof = :proof",
    ExpressionAttributeValues: values({ proof }),
  });
}

/** Isolates or releases a host using the production transaction. Returns the new generation. */
export async function changeHost(
  deps: Deps,
  session: string,
  asked: {
    assetId: string;
    action: "isolate" | "release";
    mode?: "observe" | "network";
    justification: string;
  },
): Promise<number> {
  const { admin, ...origin } = await askerOf(deps, session);
  const changed = await changeContainment(admin, { ...asked, ...origin }, deps);
  if (!changed.ok) throw new Error(`cannot ${asked.action} ${asked.assetId}: ${changed.code}`);
  return changed.value.result.generation;
}

export const OUTCOMES = ["enforced", "failed", "expired", "release-failed"] as const;
export type Outcome = (typeof OUTCOMES)[number];
export const NO_RIGHT = "nft: Operation not permitted (the agent runs without CAP_NET_ADMIN)";

/** Isolates a host and then writes the agent's report for the given outcome. */
export async function containTo(
  deps: Deps,
  session: string,
  assetId: string,
  outcome: Outcome,
): Promise<void> {
  const justification = "INC-2305: weights of an unknown model beside customer data";
  const generation = await changeHost(deps, session, {
    assetId,
    action: "isolate",
    mode: "network",
    justification,
  });
  const isolated = { generation, action: "isolate" as const, mode: "network" as const };
  if (outcome === "enforced") return reportOn(deps, assetId, isolated);
  if (outcome === "failed")
    return reportOn(deps, assetId, { ...isolated, outcome: "failed", reason: NO_RIGHT });
  if (outcome === "expired") {
    await deps.dynamo("UpdateItem", {
      TableName: deps.table,
      Key: marshalItem(assetKey(TENANT, assetId)),
      UpdateExpression: "SET wish.expiresAt = :past",
      ExpressionAttributeValues: values({ past: timestamp(Date.now() - 60_000) }),
    });
    await signStored(deps, TENANT);
    return;
  }
  await reportOn(deps, assetId, isolated);
  const next = await changeHost(deps, session, {
    assetId,
    action: "release",
    justification: "INC-2305 is closed",
  });
  const released = { generation: next, action: "release" as const, mode: "network" as const };
  await reportOn(deps, assetId, { ...released, outcome: "failed", reason: NO_RIGHT });
}

/**
 * Creates a webhook using the production transaction. Also writes deliveries in all states, in the same form
 * as the worker.
 */
export async function furnishWebhook(deps: Deps, session: string, nowMs: number): Promise<string> {
  const terms = { url: "https://hooks.northwind.example/lifecyclezero", events: [] };
  const made = await createWebhook(await askerOf(deps, session), terms, deps);
  if (!made.ok) throw new Error(`the webhook was refused: ${made.code}`);
  const { webhookId } = made.value;
  const event = (minutesAgo: number, kind: EventItem["kind"], forward: object, next?: number) => {
    const recordedAt = timestamp(nowMs - minutesAgo * 60_000);
    const item = eventItem.parse({
      type: "Event",
      tenantId: TENANT,
      recordedAt,
      eventId: `evt_${minutesAgo}`,
      kind,
      at: recordedAt,
      data: {},
      forwards: { [webhookId]: forward },
      ...(next !== undefined && { nextAttemptAt: timestamp(nowMs + next) }),
      expiresAt: Math.floor(nowMs / 1000) + 86_400,
    });
    return marshalItem({ ...eventKey(TENANT, recordedAt, item.eventId), ...item });
  };
  const deliveredAt = timestamp(nowMs - 41 * 60_000);
  const deadAt = timestamp(nowMs - 20 * 60_000);
  const health = webhookHealthItem.parse({
    type: "WebhookHealth",
    tenantId: TENANT,
    webhookId,
    lastDeliveredAt: deliveredAt,
    lastFailedAt: timestamp(nowMs - 60_000),
    lastError: "answered 503",
    failures: 3,
    dead: 1,
  });
  await putItems(deps, [
    event(
      1,
      "incident.opened",
      { attempts: 2, status: 503, latencyMs: 812, lastError: "answered 503" },
      240_000,
    ),
    event(41, "incident.opened", { attempts: 1, deliveredAt, status: 204, latencyMs: 88 }),
    event(180, "isolation.proven", { attempts: 1, deliveredAt, status: 204, latencyMs: 73 }),
    event(2900, "incident.resolved", { attempts: 10, deadAt, lastError: "did not answer" }),
    marshalItem({ ...webhookHealthKey(TENANT, webhookId), ...health }),
  ]);
  return webhookId;
}
