import type { WebhookView } from "../../control/webhooks/webhook-views.ts";
import { Badge, plural, type Tone } from "../components/badges.tsx";
import type { IconName } from "../components/icon.tsx";
import { Ago } from "../components/time.tsx";

const HEALTH: Record<WebhookView["health"]["state"], { tone: Tone; icon: IconName; label: string }> = {
  fine: { tone: "ok", icon: "ok", label: "Delivering" },
  failing: { tone: "critical", icon: "failed", label: "Failing" },
  untried: { tone: "quiet", icon: "absent", label: "Nothing sent yet" },
};

export const HealthBadge = ({ health }: { health: WebhookView["health"] }) => (
  <Badge tone={HEALTH[health.state].tone} icon={HEALTH[health.state].icon}>
    {HEALTH[health.state].label}
  </Badge>
);

/** Describes the kinds of events that a webhook receives. An empty list means all events. */
export const eventWords = (events: readonly string[]): string =>
  events.length === 0 ? "every event" : events.join(", ");

/** Shows the times of the last delivery and of the last failure. */
export const HealthTimes = ({ health, now }: { health: WebhookView["health"]; now: number }) => (
  <p class="muted small">
    {health.lastDeliveredAt && (
      <>
        delivered <Ago at={health.lastDeliveredAt} now={now} />
      </>
    )}
    {health.failures > 0 && health.lastFailedAt && (
      <>
        {health.lastDeliveredAt && " · "}
        {plural(health.failures, "failed attempt")}, the last <Ago at={health.lastFailedAt} now={now} />
      </>
    )}
    {health.dead > 0 && ` · ${plural(health.dead, "failed delivery", "failed deliveries")}`}
  </p>
);
