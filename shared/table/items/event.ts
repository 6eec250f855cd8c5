import { z } from "zod";
import { assetId, slug, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { provenReport } from "./asset/asset.ts";
import { count } from "./count.ts";
import { WEBHOOK_EVENTS } from "./webhook.ts";

/** How far one event got on its way to one webhook. */
export const forward = z.object({
  attempts: count,
  /** Of the newest attempt: what the receiver answered, if it did, and how long that took. */
  status: z.int().optional(),
  latencyMs: count.optional(),
  /** Of this webhook alone: others of the same event may be due earlier. Absent: with the event. */
  nextAttemptAt: isoTimestamp.optional(),
  deliveredAt: isoTimestamp.optional(),
  /** Given up: told in the log, the metrics, here and in the webhook's own item. */
  deadAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
});

/** Something the company may want to be told of; webhooks and the SIEM export read the same items. */
export const eventItem = z.object({
  type: z.literal("Event"),
  tenantId,
  /** When it was recorded here, not when it happened: what is read by cursor must not appear behind it. */
  recordedAt: isoTimestamp,
  /** Id for the receiver too: the same event never has two. */
  eventId: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  kind: z.enum(WEBHOOK_EVENTS),
  /** When it happened, by the clock of whoever caused it. */
  at: isoTimestamp,
  assetId: assetId.optional(),
  hostname: text(253).optional(),
  /** Facts of the event; strings, numbers and booleans only. */
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** The device's signed report, of an event that says what a host proved: see `checkEvents`. */
  report: provenReport.optional(),
  /** By webhook id. */
  forwards: z.record(slug, forward).default({}),
  /** The earliest of its webhooks', or the end of a worker's lease. */
  nextAttemptAt: isoTimestamp.optional(),
  /** How often admins had deliveries of it sent again: a worker that was at it knows by it that there is more to do. */
  resends: count.optional(),
  expiresAt: z.int(),
});
export type EventItem = z.infer<typeof eventItem>;
