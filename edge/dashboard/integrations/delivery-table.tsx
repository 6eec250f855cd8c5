import type { Page } from "../../control/table-query.ts";
import type { DeliveryState } from "../../control/webhooks/list-deliveries.ts";
import { RESENT_MAX } from "../../control/webhooks/resend-deliveries.ts";
import type { DeliveryView } from "../../control/webhooks/webhook-views.ts";
import { Badge, type Tone } from "../components/badges.tsx";
import { ChangeForm, type Hidden } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import type { IconName } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { Ago, Until } from "../components/time.tsx";
import type { ResendForms } from "./webhook-forms.tsx";

export const DELIVERY_STATES = ["waiting", "delivered", "dead"] as const satisfies readonly DeliveryState[];

export const DELIVERY: Record<DeliveryState, { tone: Tone; icon: IconName; label: string }> = {
  delivered: { tone: "ok", icon: "ok", label: "Delivered" },
  waiting: { tone: "warning", icon: "pending", label: "Waiting" },
  dead: { tone: "critical", icon: "failed", label: "Failed" },
};

const DeliveryBadge = ({ state }: { state: DeliveryState }) => (
  <Badge tone={DELIVERY[state].tone} icon={DELIVERY[state].icon}>
    {DELIVERY[state].label}
  </Badge>
);

/** Describes the last delivery attempt: status, latency and error. */
export const outcomeOf = ({ status, latencyMs, error }: DeliveryView): string =>
  [
    status !== undefined && `answered ${status}`,
    latencyMs !== undefined && `in ${latencyMs} ms`,
    error !== undefined && !(status !== undefined && error === `answered ${status}`) && error,
  ]
    .filter(Boolean)
    .join(", ");

/** Deliveries of a webhook, with a filter by state and with forms that resend failed deliveries. */
export const Deliveries = (list: {
  webhookId: string;
  state: DeliveryState | undefined;
  found: Page<DeliveryView>;
  resend: ResendForms | undefined;
  now: number;
}) => {
  const { webhookId, state, found, resend, now } = list;
  const path = `/integrations/${webhookId}`;
  return (
    <section id="deliveries" class="card" data-live aria-labelledby="deliveries-title">
      <div class="card-head">
        <h2 id="deliveries-title">Deliveries</h2>
        <p class="legend">
          {[undefined, ...DELIVERY_STATES].map((each) => (
            <a
              href={each === undefined ? path : `${path}?state=${each}`}
              {...(each === state && { "aria-current": "true" as const })}
            >
              {each === undefined ? "All" : DELIVERY[each].label}
            </a>
          ))}
        </p>
      </div>
      {resend?.all && <ResendAll webhookId={webhookId} hidden={resend.all} isMore={resend.isMore} />}
      {found.items.length === 0 ? (
        <Empty title={state === undefined ? "No deliveries yet" : "No deliveries in this state"} />
      ) : (
        <>
          <DownloadLinks list="deliveries" filter={{ webhook: webhookId, state }} />
          <DeliveryTable webhookId={webhookId} deliveries={found.items} resend={resend?.of} now={now} />
        </>
      )}
      <p class="pager">
        {found.cursor !== undefined && (
          <a
            rel="next"
            href={`${path}?${new URLSearchParams({ ...(state && { state }), cursor: found.cursor })}`}
          >
            Older
          </a>
        )}
      </p>
    </section>
  );
};

const ResendAll = (form: { webhookId: string; hidden: Hidden; isMore: boolean }) => (
  <ChangeForm
    look="inline"
    action={`/integrations/${form.webhookId}/resend-dead`}
    name="resend-dead"
    hidden={form.hidden}
  >
    <button type="submit">{form.isMore ? "Resend the next deliveries" : "Resend all failed"}</button>
    <span class="muted small">
      {`Resends failed deliveries with their event ids, oldest first, at most ${RESENT_MAX} at a time.`}
    </span>
  </ChangeForm>
);

const DeliveryTable = ({
  webhookId,
  deliveries,
  resend,
  now,
}: {
  webhookId: string;
  deliveries: readonly DeliveryView[];
  resend: ReadonlyMap<string, Hidden> | undefined;
  now: number;
}) => (
  <table class="assets">
    <thead>
      <tr>
        <th scope="col">Event</th>
        <th scope="col">Outcome</th>
        <th scope="col">Attempts</th>
        <th scope="col">Recorded</th>
      </tr>
    </thead>
    <tbody>
      {deliveries.map((delivery) => (
        <tr data-key={delivery.eventId}>
          <th scope="row">
            {delivery.kind}
            <p class="muted small">
              {delivery.assetId ? (
                <a href={`/assets/${delivery.assetId}`}>
                  <bdi>{delivery.hostname ?? delivery.assetId}</bdi>
                </a>
              ) : (
                <code>{delivery.eventId}</code>
              )}
            </p>
          </th>
          <td data-label="Outcome">
            <span class="badges">
              <DeliveryBadge state={delivery.state} />
            </span>
            <p class="muted small">
              <bdi>{outcomeOf(delivery)}</bdi>
              {delivery.nextAttemptAt && delivery.state === "waiting" && (
                <>
                  {delivery.attempts === 0 ? "due " : " · next attempt "}
                  <Until at={delivery.nextAttemptAt} now={now} />
                </>
              )}
              {delivery.deadAt && (
                <>
                  {" · failed "}
                  <Ago at={delivery.deadAt} now={now} />
                </>
              )}
            </p>
            <ResendOne webhookId={webhookId} delivery={delivery} hidden={resend?.get(delivery.eventId)} />
          </td>
          <td data-label="Attempts">{String(delivery.attempts)}</td>
          <td data-label="Recorded" class="nowrap">
            <Ago at={delivery.recordedAt} now={now} />
          </td>
        </tr>
      ))}
    </tbody>
  </table>
);

const ResendOne = (form: { webhookId: string; delivery: DeliveryView; hidden: Hidden | undefined }) => {
  const { kind, eventId } = form.delivery;
  if (!form.hidden) return null;
  return (
    <ChangeForm
      look="inline"
      action={`/integrations/${form.webhookId}/resend`}
      name={`resend-${eventId}`}
      hidden={form.hidden}
    >
      <button type="submit" aria-label={`Resend ${kind} ${eventId}`}>
        Resend
      </button>
    </ChangeForm>
  );
};
