import { ulid } from "ulid";
import { base64 } from "../../../shared/encoding/bytes.ts";
import { SECRET_PREFIX } from "../../../shared/export/standard-webhooks.ts";
import { targetFault } from "../../../shared/public-address.ts";
import type { TenantItem } from "../../../shared/table/items/tenant.ts";
import { WEBHOOKS_MAX, type Webhook } from "../../../shared/table/items/webhook.ts";
import { tenantKey } from "../../../shared/table/keys.ts";
import { readTenant } from "../../../shared/tenant/read-tenant.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { accept, refuse } from "../../../shared/verdict.ts";
import type { Asker, Committed, Decision, Draft, ItemChange, Plan } from "../custody/change-plan.ts";
import { commit } from "../custody/custody-transaction.ts";
import { newEventId } from "../custody/outbox.ts";
import type { ControlDeps } from "../deps.ts";

/** Length of a new secret in bytes (192 bits). The Standard Webhooks specification requires 24 to 64 bytes. */
const SECRET_BYTES = 24;
/** Hours after a rotation during which deliveries are also signed with the previous secret. */
export const ROTATION_HOURS = 24;

export type WebhookTerms = { url: string; events: Webhook["events"] };
type Named = { webhookId: string };
type WithSecret = Named & { secret?: string };

const newSecret = (deps: Pick<ControlDeps, "random">) =>
  `${SECRET_PREFIX}${base64(deps.random(SECRET_BYTES))}`;

/**
 * Adds a webhook. Only the first response contains its secret. Refuses a URL that is not allowed with
 * `admin.invalid`. Refuses the request with `admin.conflict` if the tenant already has {@link WEBHOOKS_MAX}
 * webhooks.
 */
export async function createWebhook(
  asker: Asker,
  terms: WebhookTerms,
  deps: ControlDeps,
): Promise<Decision<WithSecret>> {
  const secret = newSecret(deps);
  const fault = targetFault(terms.url, deps.allowPrivateWebhooks);
  if (fault) return refuse("admin.invalid", `url: ${fault}`);
  const decide = async (nowMs: number) => {
    const tenant = await readTenant(deps, asker.admin.tenantId);
    if (tenant.webhooks.length >= WEBHOOKS_MAX)
      return refuse("admin.conflict", `a tenant can have at most ${WEBHOOKS_MAX} webhooks: delete one first`);
    const webhookId = ulid(nowMs, () => deps.random(1)[0]! / 256).toLowerCase();
    const made: Webhook = {
      id: webhookId,
      ...terms,
      secret,
      createdAt: timestamp(nowMs),
      createdBy: asker.admin.userId,
    };
    const record: Draft = { action: "create-webhook", target: webhookId, after: recorded(made) };
    return accept(planOf(tenant, [...tenant.webhooks, made], record));
  };
  return withSecret(await commit(asker, ["create-webhook", terms], decide, deps), secret);
}

/** Replaces the URL and the event list of a webhook. Its secret does not change. */
export async function changeWebhook(
  asker: Asker,
  { webhookId, ...terms }: Named & WebhookTerms,
  deps: ControlDeps,
): Promise<Decision<Committed<Named>>> {
  const fault = targetFault(terms.url, deps.allowPrivateWebhooks);
  if (fault) return refuse("admin.invalid", `url: ${fault}`);
  return changeOne(asker, ["change-webhook", webhookId, terms], webhookId, deps, (webhook) => {
    const after = { ...webhook, ...terms };
    const record: Draft = {
      action: "change-webhook",
      target: webhookId,
      before: recorded(webhook),
      after: recorded(after),
    };
    return { after, record };
  });
}

/**
 * Replaces the secret of a webhook. Only the first response contains the new secret. For {@link
 * ROTATION_HOURS} hours, deliveries are also signed with the previous secret.
 */
export async function rotateWebhookSecret(
  asker: Asker,
  { webhookId, justification }: Named & { justification: string },
  deps: ControlDeps,
): Promise<Decision<WithSecret>> {
  const secret = newSecret(deps);
  const asked = ["rotate-webhook-secret", webhookId, justification];
  const done = await changeOne(asker, asked, webhookId, deps, (webhook, nowMs) => {
    const until = timestamp(nowMs + ROTATION_HOURS * 3_600_000);
    const after = { ...webhook, secret, previous: { secret: webhook.secret, until } };
    const record: Draft = { action: "rotate-webhook-secret", target: webhookId, justification };
    return { after, record };
  });
  return withSecret(done, secret);
}

/** Deletes a webhook with its secrets. Its pending deliveries are dropped. */
export const deleteWebhook = (
  asker: Asker,
  { webhookId }: Named,
  deps: ControlDeps,
): Promise<Decision<Committed<Named>>> =>
  changeOne(asker, ["delete-webhook", webhookId], webhookId, deps, (webhook) => ({
    after: undefined,
    record: { action: "delete-webhook", target: webhookId, before: recorded(webhook) },
  }));

/**
 * Puts a test event into the outbox. The test event is delivered like any other event, but is attempted only
 * once.
 */
export async function orderTest(
  asker: Asker,
  { webhookId }: Named,
  deps: ControlDeps,
): Promise<Decision<{ eventId: string; recordedAt: string }>> {
  const decide = async (nowMs: number) => {
    const { webhooks } = await readTenant(deps, asker.admin.tenantId);
    if (!webhooks.some(({ id }) => id === webhookId)) return refuse("admin.not-found");
    const ordered = { eventId: newEventId(nowMs, deps), recordedAt: timestamp(nowMs) };
    const data = { webhook: webhookId, text: "Test of this webhook, requested by an administrator." };
    const records: Draft[] = [{ action: "test-webhook", target: webhookId }];
    return accept({ records, news: [{ kind: "webhook.test" as const, ...ordered, data }], result: ordered });
  };
  const done = await commit(asker, ["test-webhook", webhookId], decide, deps);
  return done.ok ? accept(done.value.result) : done;
}

/** Text that describes a webhook in a custody record. The text contains no secrets. */
const recorded = ({ url, events }: Webhook): string => JSON.stringify({ url, events });

const withSecret = (done: Decision<Committed<Named>>, secret: string): Decision<WithSecret> => {
  if (!done.ok) return done;
  const { result, replayed } = done.value;
  return accept(replayed ? result : { ...result, secret });
};

/**
 * Changes one webhook of the tenant, or removes it if `change` returns no `after`. `asked` identifies the
 * request for idempotency.
 */
function changeOne(
  asker: Asker,
  asked: readonly unknown[],
  webhookId: string,
  deps: ControlDeps,
  change: (webhook: Webhook, nowMs: number) => { after: Webhook | undefined; record: Draft },
): Promise<Decision<Committed<Named>>> {
  const decide = async (nowMs: number): Promise<Decision<Plan<Named>>> => {
    const tenant = await readTenant(deps, asker.admin.tenantId);
    const webhook = tenant.webhooks.find(({ id }) => id === webhookId);
    if (!webhook) return refuse("admin.not-found");
    const { after, record } = change(webhook, nowMs);
    const webhooks = tenant.webhooks.flatMap((each) => (each === webhook ? (after ?? []) : each));
    return accept(planOf(tenant, webhooks, { ...record, target: webhookId }));
  };
  return commit(asker, asked, decide, deps);
}

/**
 * Replaces the tenant's whole list of webhooks if its version is unchanged. A concurrent change by another
 * administrator causes an optimistic-lock conflict.
 */
function planOf(tenant: TenantItem, webhooks: readonly Webhook[], record: Draft): Plan<Named> {
  const { tenantId, name, webhooksVersion: seen } = tenant;
  const change: ItemChange = {
    key: tenantKey(tenantId),
    set: { type: "Tenant", tenantId, webhooks: webhooks as never, webhooksVersion: seen + 1 },
    initial: { name },
    condition:
      seen === 0
        ? "attribute_not_exists(webhooksVersion) OR webhooksVersion = :seen"
        : "webhooksVersion = :seen",
    values: { seen },
  };
  return { records: [record], changes: [change], result: { webhookId: record.target! } };
}
