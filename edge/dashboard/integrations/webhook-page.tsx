import type { Admin } from "../../auth/permissions.ts";
import type { Page } from "../../control/table-query.ts";
import { type DeliveryState, listDeliveries, readWebhook } from "../../control/webhooks/list-deliveries.ts";
import { RESENT_MAX, whyNotResend } from "../../control/webhooks/resend-deliveries.ts";
import type { DeliveryView, ResentView, WebhookView } from "../../control/webhooks/webhook-views.ts";
import type { Deps } from "../../deps.ts";
import { Badge, plural, type Tone } from "../components/badges.tsx";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import { DownloadLinks } from "../components/download-links.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import { JUSTIFICATION_CHARACTERS_MIN, RESOLUTION_CHARACTERS_MAX } from "../routing/parse-form.ts";
import { eventWords, HealthBadge, HealthTimes, mayIntegrate, WebhookTerms } from "./integrations-page.tsx";

const DELIVERIES_MAX = 50;
export const DELIVERY_STATES = ["waiting", "delivered", "dead"] as const satisfies readonly DeliveryState[];

export type WebhookQuery = { state?: DeliveryState | undefined; cursor?: string | undefined };

export type WebhookPageAnswer = {
  notice?: Notice | undefined;
  tested?: DeliveryView | undefined;
  /** What was queued, and a cursor when there may be more to queue. */
  resent?: ResentView | undefined;
  draft?: { url: string; wrong: string } | undefined;
};

/** One webhook: how it is doing, what was sent, and the forms that change, test, rotate and remove it. */
export async function webhookPage(
  admin: Admin,
  webhookId: string,
  { state, cursor }: WebhookQuery,
  deps: Deps,
  answer: WebhookPageAnswer = {},
) {
  if (!mayIntegrate(admin)) return undefined;
  const webhook = await readWebhook(deps, admin.tenantId, webhookId);
  if (!webhook) return undefined;
  const page = { limit: DELIVERIES_MAX, ...(cursor !== undefined && { from: cursor }) };
  const deliveries = await listDeliveries(deps, admin.tenantId, { webhookId, state }, page);
  const now = deps.clock();
  const forms = await formsOf(admin, webhook, now, deps);
  const resend = forms && (await resendForms(admin, webhook, deliveries.items, { state, ...answer }, deps));
  return (
    <Layout
      frame={{
        title: "Webhook",
        admin,
        place: "integrations",
        nowMs: now,
        live: answer.draft === undefined,
        pollPath: `/integrations/${webhookId}${state === undefined ? "" : `?state=${state}`}`,
      }}
    >
      <Head webhook={webhook} now={now} />
      <NoticeStrip notice={answer.notice} />
      {answer.tested && <Tested delivery={answer.tested} />}
      {answer.resent && <Resent resent={answer.resent} />}
      {forms && (
        <ChangeForm look="inline" action={`/integrations/${webhookId}/test`} name="test" hidden={forms.test}>
          <button class="primary" type="submit">
            Send a test
          </button>
          <span class="muted small">Signed like any event, by the worker; its outcome is told here.</span>
        </ChangeForm>
      )}
      <Deliveries webhookId={webhookId} state={state} found={deliveries} resend={resend} now={now} />
      {forms && (
        <div class="columns">
          <Change webhook={webhook} hidden={forms.change} draft={answer.draft} />
          <SecretForms webhookId={webhookId} rotate={forms.rotate} remove={forms.remove} />
        </div>
      )}
    </Layout>
  );
}

type Forms = Record<"test" | "change" | "rotate" | "remove", Hidden>;

/** Each is about the webhook as it stands: once it has changed, the next change has another key. */
async function formsOf(
  admin: Admin,
  { webhookId, url, events, health, previousSecretUntil }: WebhookView,
  now: number,
  deps: Deps,
): Promise<Forms | undefined> {
  if (!deps.controlKey) return undefined;
  const hidden = (action: string, ...about: string[]) =>
    hiddenFor(admin, [action, webhookId, ...about], deps);
  // A test may be asked for again and again: the minute names it, so that a double click is one.
  const minute = String(Math.floor(now / 60_000));
  const [test, change, rotate, remove] = await Promise.all([
    hidden("test", minute, health.lastDeliveredAt ?? "", health.lastFailedAt ?? ""),
    hidden("change", url, ...events),
    hidden("rotate", previousSecretUntil ?? ""),
    hidden("delete"),
  ]);
  return { test, change, rotate, remove };
}

type ResendForms = { of: ReadonlyMap<string, Hidden>; all?: Hidden; isMore: boolean };

/** For each delivery that can be sent again, and for all of them where they are listed or known to be. */
async function resendForms(
  admin: Admin,
  webhook: WebhookView,
  deliveries: readonly DeliveryView[],
  { state, resent }: { state: DeliveryState | undefined; resent?: ResentView | undefined },
  deps: Deps,
): Promise<ResendForms> {
  const { webhookId, health } = webhook;
  const dead = deliveries.filter((delivery) => whyNotResend(webhook, delivery) === undefined);
  const of = await Promise.all(
    dead.map(async ({ eventId, recordedAt, deadAt = "" }): Promise<[string, Hidden]> => {
      const hidden = await hiddenFor(admin, ["resend", webhookId, eventId, deadAt], deps);
      return [eventId, { ...hidden, event: eventId, recordedAt, ...(state && { state }) }];
    }),
  );
  const cursor = resent?.cursor;
  const forms = { of: new Map(of), isMore: cursor !== undefined };
  if (cursor === undefined && health.dead === 0 && !(state === "dead" && dead.length > 0)) return forms;
  // It may be asked for again and again, like a test: the minute names it too, so that a double click is one.
  const minute = Math.floor(deps.clock() / 60_000);
  const about = [minute, cursor ?? "", health.dead, health.lastFailedAt ?? "", health.lastDeliveredAt ?? ""];
  const hidden = await hiddenFor(admin, ["resend-dead", webhookId, ...about], deps);
  return { ...forms, all: { ...hidden, ...(cursor !== undefined && { cursor }) } };
}

const Head = ({ webhook, now }: { webhook: WebhookView; now: number }) => {
  const { url, events, health, createdBy, createdAt, previousSecretUntil } = webhook;
  return (
    <div id="webhook-head" class="asset-head" data-live>
      <p class="crumbs">
        <a href="/integrations">Integrations</a>
      </p>
      <h1>
        <bdi class="mono">{url}</bdi>
      </h1>
      <p class="badges">
        <HealthBadge health={health} />
      </p>
      <HealthTimes health={health} now={now} />
      {health.lastError && health.state === "failing" && (
        <p class="fault">
          <bdi>{health.lastError}</bdi>
        </p>
      )}
      <p class="muted small">
        Told of {eventWords(events)}
        {createdBy && (
          <>
            {" · made by "}
            <bdi>{createdBy}</bdi>
          </>
        )}
        {createdAt && (
          <>
            {" "}
            <Ago at={createdAt} now={now} />
          </>
        )}
        {previousSecretUntil && Date.parse(previousSecretUntil) > now && (
          <>
            {" · the secret before signs as well, until "}
            <Until at={previousSecretUntil} now={now} />
          </>
        )}
      </p>
    </div>
  );
};

const Deliveries = (list: {
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
        <h2 id="deliveries-title">What was sent</h2>
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
        <Empty title={state === undefined ? "Nothing was sent yet" : "None"} />
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

const Change = (change: { webhook: WebhookView; hidden: Hidden; draft: WebhookPageAnswer["draft"] }) => (
  <section class="card" aria-labelledby="change-title">
    <h2 id="change-title">Change it</h2>
    <ChangeForm action={`/integrations/${change.webhook.webhookId}`} hidden={change.hidden}>
      {change.draft && (
        <p class="strip critical" role="alert">
          <Icon name="critical" />
          Nothing was changed: {change.draft.wrong}.
        </p>
      )}
      <WebhookTerms
        url={change.draft?.url ?? change.webhook.url}
        events={change.webhook.events}
        wrong={change.draft !== undefined}
      />
      <button type="submit">Save</button>
    </ChangeForm>
  </section>
);

const SecretForms = (forms: { webhookId: string; rotate: Hidden; remove: Hidden }) => (
  <section class="card" aria-labelledby="rotate-title">
    <h2 id="rotate-title">Secret</h2>
    <ChangeForm action={`/integrations/${forms.webhookId}/rotate`} hidden={forms.rotate}>
      <div class="field">
        <label for="justification">Reason to rotate it</label>
        <input
          id="justification"
          name="justification"
          type="text"
          required
          minlength={JUSTIFICATION_CHARACTERS_MIN}
          maxlength={RESOLUTION_CHARACTERS_MAX}
        />
      </div>
      <button type="submit">Rotate the secret</button>
    </ChangeForm>
    <h2>Remove it</h2>
    <ChangeForm action={`/integrations/${forms.webhookId}/delete`} hidden={forms.remove}>
      <label class="confirm">
        <input type="checkbox" name="confirm" value="yes" required />
        <span>Remove it with its secrets. What still waits for it is not sent.</span>
      </label>
      <button class="danger" type="submit">
        Remove the webhook
      </button>
    </ChangeForm>
  </section>
);

const DELIVERY: Record<DeliveryState, { tone: Tone; icon: IconName; label: string }> = {
  delivered: { tone: "ok", icon: "ok", label: "Delivered" },
  waiting: { tone: "warning", icon: "pending", label: "Waiting" },
  dead: { tone: "critical", icon: "failed", label: "Given up" },
};

const DeliveryBadge = ({ state }: { state: DeliveryState }) => (
  <Badge tone={DELIVERY[state].tone} icon={DELIVERY[state].icon}>
    {DELIVERY[state].label}
  </Badge>
);

const answered = ({ status, latencyMs, error }: DeliveryView): string =>
  [
    status !== undefined && `answered ${status}`,
    latencyMs !== undefined && `in ${latencyMs} ms`,
    error !== undefined && !(status !== undefined && error === `answered ${status}`) && error,
  ]
    .filter(Boolean)
    .join(", ");

const Tested = ({ delivery }: { delivery: DeliveryView }) => (
  <p class={delivery.state === "delivered" ? "strip ok" : "strip warning"} role="status">
    <Icon name={DELIVERY[delivery.state].icon} />
    <span>
      {delivery.state === "delivered"
        ? "The test got through: "
        : delivery.state === "dead"
          ? "The test did not get through: "
          : "No outcome of the test yet: no worker has come to an end with it. "}
      <bdi>{answered(delivery)}</bdi>
    </span>
  </p>
);

const ResendAll = (form: { webhookId: string; hidden: Hidden; isMore: boolean }) => (
  <ChangeForm
    look="inline"
    action={`/integrations/${form.webhookId}/resend-dead`}
    name="resend-dead"
    hidden={form.hidden}
  >
    <button type="submit">{form.isMore ? "Send the next ones again" : "Send all again"}</button>
    <span class="muted small">
      What was given up, the oldest first and at most {String(RESENT_MAX)} at a time, each under the id it
      had.
    </span>
  </ChangeForm>
);

const Resent = ({ resent: { queued, cursor } }: { resent: ResentView }) => (
  <p class={queued > 0 ? "strip ok" : "strip warning"} role="status">
    <Icon name={queued > 0 ? "ok" : "warning"} />
    <span>
      {queued > 0
        ? `${plural(queued, "delivery", "deliveries")} queued and recorded, to be sent again by the worker. `
        : "Nothing was queued and nothing recorded. "}
      {cursor !== undefined
        ? "There may be more that were given up: send the next ones below."
        : queued > 0
          ? "There are no more that can be sent again."
          : "No delivery is given up that could be sent again: tests, and events that the webhook is not told of any more, are not."}
    </span>
  </p>
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
              <bdi>{answered(delivery)}</bdi>
              {delivery.nextAttemptAt && delivery.state === "waiting" && (
                <>
                  {delivery.attempts === 0 ? "due " : " · tried again "}
                  <Until at={delivery.nextAttemptAt} now={now} />
                </>
              )}
              {delivery.deadAt && (
                <>
                  {" · given up "}
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
      <button type="submit" aria-label={`Send again: ${kind} ${eventId}`}>
        Send again
      </button>
    </ChangeForm>
  );
};
