import { z } from "zod";
import { WEBHOOK_EVENTS } from "../../../shared/table/items/webhook.ts";
import { isoTimestamp } from "../../../shared/wire/text.ts";
import { named } from "../named-schema.ts";

const isWhen = { lastDeliveredAt: isoTimestamp.optional(), lastFailedAt: isoTimestamp.optional() };

export const webhookView = named(
  "Webhook",
  z.object({
    webhookId: z.string(),
    url: z.string(),
    events: z.array(z.enum(WEBHOOK_EVENTS)).meta({ description: "None: it is told of every event." }),
    createdAt: isoTimestamp.optional(),
    createdBy: z.string().optional(),
    previousSecretUntil: isoTimestamp
      .optional()
      .meta({ description: "The secret was rotated; the one before signs as well until then." }),
    health: z.object({
      state: z
        .enum(["untried", "fine", "failing"])
        .meta({ description: "`failing`: the newest attempt did not get through." }),
      failures: z.int().meta({ description: "Attempts that failed since the last that got through." }),
      dead: z.int().meta({
        description: "Events given up since the last that got through, without those sent again.",
      }),
      ...isWhen,
      lastError: z.string().optional(),
    }),
  }),
);

export type WebhookView = z.infer<typeof webhookView>;

export const madeWebhookView = named(
  "NewWebhook",
  z.object({
    secret: z.string().optional().meta({
      description: "`whsec_…`, in the first answer only: a repeat of the request cannot tell it again.",
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
      description: "`waiting`: not tried yet, or tried again at `nextAttemptAt`. `dead`: given up.",
    }),
    attempts: z.int(),
    status: z.int().optional().meta({ description: "What the receiver answered, if it did." }),
    latencyMs: z.int().optional().meta({ description: "How long the newest attempt took." }),
    error: z.string().optional(),
    deliveredAt: isoTimestamp.optional(),
    deadAt: isoTimestamp.optional().meta({ description: "When it was given up." }),
    nextAttemptAt: isoTimestamp.optional(),
  }),
);

export type DeliveryView = z.infer<typeof deliveryView>;

export const resentView = named(
  "Resent",
  z.object({
    queued: z.int().meta({ description: "Deliveries that are sent again by this request." }),
    cursor: z
      .string()
      .optional()
      .meta({ description: "There may be more that were given up: ask again with it." }),
  }),
);

export type ResentView = z.infer<typeof resentView>;
