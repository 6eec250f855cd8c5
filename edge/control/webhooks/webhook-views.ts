import { z } from "zod";
import { WEBHOOK_EVENTS } from "../../../shared/table/items/webhook.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import { named } from "../named-schema.ts";

const lastAttempts = { lastDeliveredAt: isoTimestamp.optional(), lastFailedAt: isoTimestamp.optional() };

export const webhookView = named(
  "Webhook",
  z.object({
    webhookId: z.string(),
    url: z.string(),
    events: z
      .array(z.enum(WEBHOOK_EVENTS))
      .meta({ description: "Events that the webhook receives. Empty: all events." }),
    createdAt: isoTimestamp.optional(),
    createdBy: z.string().optional(),
    previousSecretUntil: isoTimestamp.optional().meta({
      description: "After a rotation: deliveries are also signed with the previous secret until then.",
    }),
    health: z.object({
      state: z
        .enum(["untried", "fine", "failing"])
        .meta({ description: "`failing`: the last attempt failed. `untried`: there was no attempt yet." }),
      failures: z.int().meta({ description: "Failed attempts since the last successful delivery." }),
      dead: z.int().meta({
        description: "Deliveries that failed for good since the last successful one, without resent ones.",
      }),
      ...lastAttempts,
      lastError: z.string().optional(),
    }),
  }),
);

export type WebhookView = z.infer<typeof webhookView>;

export const madeWebhookView = named(
  "NewWebhook",
  z.object({
    secret: z.string().optional().meta({
      description:
        "Signing secret, `whsec_…`. Only the first response contains it; a repeat of the request does not.",
    }),
    webhook: webhookView,
  }),
);

export const deliveryView = named(
  "Delivery",
  z.object({
    eventId: z.string(),
    kind: z.enum(WEBHOOK_EVENTS),
    at: isoTimestamp,
    recordedAt: isoTimestamp,
    assetId: z.string().optional(),
    hostname: z.string().optional(),
    state: z.enum(["waiting", "delivered", "dead"]).meta({
      description:
        "`waiting`: not tried yet, or retried at `nextAttemptAt`. `dead`: failed after the last attempt. Resend it to try again.",
    }),
    attempts: z.int(),
    status: z
      .int()
      .optional()
      .meta({ description: "HTTP status of the receiver's response, if there was one." }),
    latencyMs: z.int().optional().meta({ description: "Duration of the last attempt in milliseconds." }),
    error: z.string().optional(),
    deliveredAt: isoTimestamp.optional(),
    deadAt: isoTimestamp.optional().meta({ description: "Time at which the last attempt failed." }),
    nextAttemptAt: isoTimestamp.optional(),
  }),
);

export type DeliveryView = z.infer<typeof deliveryView>;

export const resentView = named(
  "Resent",
  z.object({
    queued: z.int().meta({ description: "Number of deliveries that this request resends." }),
    cursor: z
      .string()
      .optional()
      .meta({ description: "There may be more failed deliveries. Send it with the next request." }),
  }),
);

export type ResentView = z.infer<typeof resentView>;
