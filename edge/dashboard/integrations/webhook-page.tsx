import type { Admin } from "../../auth/permissions.ts";
import { type DeliveryState, listDeliveries, readWebhook } from "../../control/webhooks/list-deliveries.ts";
import type { DeliveryView, ResentView, WebhookView } from "../../control/webhooks/webhook-views.ts";
import { plural } from "../components/badges.tsx";
import { ChangeForm } from "../components/change-form.tsx";
import { Icon } from "../components/icon.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago, Until } from "../components/time.tsx";
import type { DashboardDeps } from "../deps.ts";
import { DELIVERY, Deliveries, outcomeOf } from "./delivery-table.tsx";
import { mayIntegrate } from "./integrations-page.tsx";
import { EditForm, resendFormsOf, SecretForms, type WebhookDraft, webhookFormsOf } from "./webhook-forms.tsx";
import { eventWords, HealthBadge, HealthTimes } from "./webhook-health.tsx";

const DELIVERIES_MAX = 50;

export type WebhookQuery = { state?: DeliveryState | undefined; cursor?: string | undefined };

export type WebhookPageAnswer = {
  notice?: Notice | undefined;
  tested?: DeliveryView | undefined;
  /**
   * Result of a resend: the number of deliveries that were queued again, and a cursor if more failed
   * deliveries may exist.
   */
  resent?: ResentView | undefined;
  draft?: WebhookDraft | undefined;
};

/**
 * The page of one webhook. It shows the webhook's health and deliveries. It has forms to test and edit the
 * webhook, to rotate its secret, and to delete it.
 */
export async function webhookPage(
  admin: Admin,
  webhookId: string,
  { state, cursor }: WebhookQuery,
  deps: DashboardDeps,
  answer: WebhookPageAnswer = {},
) {
  if (!mayIntegrate(admin)) return undefined;
  const webhook = await readWebhook(deps, admin.tenantId, webhookId);
  if (!webhook) return undefined;
  const page = { limit: DELIVERIES_MAX, ...(cursor !== undefined && { from: cursor }) };
  const deliveries = await listDeliveries(deps, admin.tenantId, { webhookId, state }, page);
  const now = deps.clock();
  const forms = await webhookFormsOf(admin, webhook, now, deps);
  const resend = forms && (await resendFormsOf(admin, webhook, deliveries.items, { state, ...answer }, deps));
  return (
    <Layout
      frame={{
        title: "Webhook",
        admin,
        nav: "integrations",
        nowMs: now,
        live: answer.draft === undefined,
        pollPath: `/integrations/${webhookId}${state === undefined ? "" : `?state=${state}`}`,
      }}
    >
      <WebhookHeader webhook={webhook} now={now} />
      <NoticeStrip notice={answer.notice} />
      {answer.tested && <TestResult delivery={answer.tested} />}
      {answer.resent && <ResendResult resent={answer.resent} />}
      {forms && (
        <ChangeForm look="inline" action={`/integrations/${webhookId}/test`} name="test" hidden={forms.test}>
          <button class="primary" type="submit">
            Send test event
          </button>
          <span class="muted small">
            The worker signs and sends the test event like any other event. The result appears on this page.
          </span>
        </ChangeForm>
      )}
      <Deliveries webhookId={webhookId} state={state} found={deliveries} resend={resend} now={now} />
      {forms && (
        <div class="columns">
          <EditForm webhook={webhook} hidden={forms.change} draft={answer.draft} />
          <SecretForms webhookId={webhookId} rotate={forms.rotate} remove={forms.remove} />
        </div>
      )}
    </Layout>
  );
}

const WebhookHeader = ({ webhook, now }: { webhook: WebhookView; now: number }) => {
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
        Receives {eventWords(events)}
        {createdBy && (
          <>
            {" · created by "}
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
            {" · the previous secret expires "}
            <Until at={previousSecretUntil} now={now} />
          </>
        )}
      </p>
    </div>
  );
};

const TestResult = ({ delivery }: { delivery: DeliveryView }) => (
  <p class={delivery.state === "delivered" ? "strip ok" : "strip warning"} role="status">
    <Icon name={DELIVERY[delivery.state].icon} />
    <span>
      {delivery.state === "delivered"
        ? "Test event delivered: "
        : delivery.state === "dead"
          ? "Test event failed: "
          : "Test event not sent yet. Check that a worker is running, then reload this page. "}
      <bdi>{outcomeOf(delivery)}</bdi>
    </span>
  </p>
);

const ResendResult = ({ resent: { queued, cursor } }: { resent: ResentView }) => (
  <p class={queued > 0 ? "strip ok" : "strip warning"} role="status">
    <Icon name={queued > 0 ? "ok" : "warning"} />
    <span>
      {queued > 0
        ? `${plural(queued, "delivery", "deliveries")} queued again and recorded. `
        : "Nothing was queued. "}
      {cursor !== undefined
        ? "There may be more failed deliveries. Use the button below to send the next ones."
        : queued > 0
          ? "There are no more failed deliveries to send again."
          : "There are no failed deliveries to send again. Test events, and events that this webhook no longer receives, cannot be sent again."}
    </span>
  </p>
);
