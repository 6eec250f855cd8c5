import { z } from "zod";
import { slug, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { count } from "./count.ts";

export const WEBHOOK_EVENTS = [
  "incident.opened",
  "incident.reopened",
  "incident.escalated",
  "incident.resolved",
  "isolation.requested",
  "isolation.proven",
  "isolation.failed",
  "release.requested",
  "isolation.released",
  "webhook.test",
] as const;

export const WEBHOOKS_MAX = 10;

/** `whsec_` and 24 to 64 bytes in base64. */
const secret = z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/);

/** Where a tenant wants to be told (standardwebhooks.com). */
export const webhook = z.strictObject({
  id: slug,
  url: z.url({ protocol: /^https?$/ }).max(2000),
  /** Kept as it is, for the worker signs with it; no answer of the API but the first ever holds it. */
  secret,
  /** The secret before, which signs as well until that time: receivers change over without missing anything. */
  previous: z.strictObject({ secret, until: isoTimestamp }).optional(),
  /** Empty: every event. */
  events: z.array(z.enum(WEBHOOK_EVENTS)).max(WEBHOOK_EVENTS.length).default([]),
  createdAt: isoTimestamp.optional(),
  createdBy: text(200).optional(),
});
export type Webhook = z.infer<typeof webhook>;

/** A test is told to the webhook it names, whatever that is told of. */
export const isToldOf = ({ events }: Pick<Webhook, "events">, kind: Webhook["events"][number]): boolean =>
  events.length === 0 || events.includes(kind);

/** How a webhook is doing: a failed forward is itself visible, from its first failure on. */
export const webhookHealthItem = z.object({
  type: z.literal("WebhookHealth"),
  tenantId,
  webhookId: slug,
  lastDeliveredAt: isoTimestamp.optional(),
  lastFailedAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
  /** Attempts that failed since the last one that got through. */
  failures: count.default(0),
  /** Events given up since the last one that got through. */
  dead: count.default(0),
});
export type WebhookHealthItem = z.infer<typeof webhookHealthItem>;
