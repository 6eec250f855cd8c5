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
    events: z.array(z.enum(WEBHOOK_EVENTS)).meta({
      description: "Events that the webhook receives. If the list is empty, it receives all events.",
    }),
    createdAt: isoTimestamp.optional(),
    createdBy: z.string().optional(),
    previousSecretUntil: isoTimestamp.optional().meta({
      description:
        "Time until which deliveries are also signed with the previous secret. Only present after a rotation.",
    }),
    health: z.object({
      state: z.enum(["untried", "fine", "failing"]).meta({
        description: "`failing`: the last attempt failed. `untried`: no delivery was attempted yet.",
      }),
      failures: z
        .int()
        .meta({ description: "Number of failed attempts since the last successful delivery." }),
      dead: z.int().meta({
        description:
          "Number of deliveries that failed permanently since the last successful delivery. Resent deliveries are not counted.",
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
        "Signing secret, `whsec_…`. Only the first response contains it. The response to a repeated request does not.",
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
        "`waiting`: no delivery was attempted yet, or the next attempt is at `nextAttemptAt`. `dead`: the delivery failed permanently, and you can resend it.",
    }),
    attempts: z.int(),
    status: z
      .int()
      .optional()
      .meta({ description: "HTTP status of the receiver's response, if there was one." }),
    latencyMs: z.int().optional().meta({ description: "Duration of the last attempt in milliseconds." }),
    error: z.string().optional(),
    deliveredAt: isoTimestamp.optional(),
    deadAt: isoTimestamp.optional().meta({ description: "Time at which the delivery failed permanently." }),
    nextAttemptAt: isoTimestamp.optional(),
  }),
);

export type DeliveryView = z.infer<typeof deliveryView>;

export const resentView = named(
  "Resent",
  z.object({
    queued: z.int().meta({ description: "Number of deliveries that this request resends." }),
    cursor: z.string().optional().meta({
      description:
        "Only present if there may be more failed deliveries. Send this cursor with the next request.",
    }),
  }),
);

export type ResentView = z.infer<typeof resentView>;
