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

/** A secret: `whsec_` followed by 24 to 64 bytes in base64. */
const secret = z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/);

/** A webhook of a tenant (standardwebhooks.com). */
export const webhook = z.strictObject({
  id: slug,
  url: z.url({ protocol: /^https?$/ }).max(2000),
  /**
   * Secret in plain text, because the worker signs with it. The API returns it only in the response to the
   * request that creates it.
   */
  secret,
  /**
   * The previous secret. Until the time `until`, deliveries are also signed with it, so that receivers can
   * switch without an interruption.
   */
  previous: z.strictObject({ secret, until: isoTimestamp }).optional(),
  /** Kinds of events to send. If the list is empty, all events are sent. */
  events: z.array(z.enum(WEBHOOK_EVENTS)).max(WEBHOOK_EVENTS.length).default([]),
  createdAt: isoTimestamp.optional(),
  createdBy: text(200).optional(),
});
export type Webhook = z.infer<typeof webhook>;

/** Whether a webhook subscribes to events of a kind. A test event is always sent to the webhook that it names. */
export const isSubscribed = ({ events }: Pick<Webhook, "events">, kind: Webhook["events"][number]): boolean =>
  events.length === 0 || events.includes(kind);

/** Health of a webhook. It shows failures from the first failed delivery on. */
export const webhookHealthItem = z.object({
  type: z.literal("WebhookHealth"),
  tenantId,
  webhookId: slug,
  lastDeliveredAt: isoTimestamp.optional(),
  lastFailedAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
  /** Number of failed attempts since the last success. */
  failures: count.default(0),
  /** Number of events whose delivery failed permanently since the last success. */
  dead: count.default(0),
});
export type WebhookHealthItem = z.infer<typeof webhookHealthItem>;
