import { z } from "zod";
import { assetId, slug, tenantId } from "../../ids.ts";
import { isoTimestamp, text } from "../../wire/text.ts";
import { provenReport } from "./asset/asset.ts";
import { count } from "./count.ts";
import { WEBHOOK_EVENTS } from "./webhook.ts";

/** Delivery state of an event for one webhook. */
const forward = z.object({
  attempts: count,
  /** Result of the newest attempt: the HTTP status of the response, if there was one, and the duration. */
  status: z.int().optional(),
  latencyMs: count.optional(),
  /** Time of the next attempt for this webhook. If absent, the event's own `nextAttemptAt` applies. */
  nextAttemptAt: isoTimestamp.optional(),
  deliveredAt: isoTimestamp.optional(),
  /**
   * Time at which the delivery failed permanently. The failure is also recorded in the log, in the metrics
   * and in the webhook's own item.
   */
  deadAt: isoTimestamp.optional(),
  lastError: text(200).optional(),
});

/** An event. Webhooks and the SIEM export read the same items. */
export const eventItem = z.object({
  type: z.literal("Event"),
  tenantId,
  /**
   * Time at which the event was recorded, not when it happened. The event can therefore not appear before a
   * reader's cursor.
   */
  recordedAt: isoTimestamp,
  /** Id of the event. Receivers get the same id. */
  eventId: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
  kind: z.enum(WEBHOOK_EVENTS),
  /** Time at which the event happened, by the clock of the node or host that caused it. */
  at: isoTimestamp,
  assetId: assetId.optional(),
  hostname: text(253).optional(),
  /** Facts of the event. Values are strings, numbers and booleans only. */
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** Signed report of the device. Only present for an event about what a host has proven, see `checkEvents`. */
  report: provenReport.optional(),
  /** Deliveries by webhook id. */
  forwards: z.record(slug, forward).default({}),
  /** Time of the earliest next delivery attempt, or the end of a worker's lease. */
  nextAttemptAt: isoTimestamp.optional(),
  /**
   * Number of times that administrators resent deliveries. A worker that is sending the event detects a
   * resend by this number.
   */
  resends: count.optional(),
  expiresAt: z.int(),
});
export type EventItem = z.infer<typeof eventItem>;
