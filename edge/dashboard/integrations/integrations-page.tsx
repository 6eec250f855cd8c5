import { WEBHOOKS_MAX } from "../../../shared/table/items/webhook.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listWebhooks } from "../../control/webhooks/list-deliveries.ts";
import { ROTATION_HOURS } from "../../control/webhooks/manage-webhooks.ts";
import type { WebhookView } from "../../control/webhooks/webhook-views.ts";
import { ChangeForm, hiddenFor, readOnlyReason } from "../components/change-form.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import type { DashboardDeps } from "../deps.ts";
import { SiemExport } from "./siem-export.tsx";
import { WebhookFields } from "./webhook-fields.tsx";
import { eventWords, HealthBadge, HealthTimes } from "./webhook-health.tsx";

export const mayIntegrate = (admin: Admin): boolean => may(admin, "manage-settings");
const ALLOWED_ROLES = "administrators of your organisation can see and change integrations";

/** Result of a form. `secret`: the new secret, which only this response shows. */
export type WebhookAnswer = {
  notice?: Notice | undefined;
  secret?: { webhookId: string; secret: string | undefined } | undefined;
  draft?: { url: string; wrong: string } | undefined;
};

/** The page of webhooks and their health. It also has a form for a new webhook, and explains the SIEM export. */
export async function integrationsPage(
  admin: Admin,
  deps: DashboardDeps,
  page: { origin: string } & WebhookAnswer,
) {
  const why = readOnlyReason(admin, mayIntegrate(admin), deps, ALLOWED_ROLES);
  const webhooks = mayIntegrate(admin) ? await listWebhooks(deps, admin.tenantId) : [];
  const now = deps.clock();
  const create =
    why === ""
      ? await hiddenFor(admin, ["create-webhook", ...webhooks.map(({ webhookId }) => webhookId)], deps)
      : undefined;
  return (
    <Layout
      frame={{
        title: "Integrations",
        admin,
        nav: "integrations",
        nowMs: now,
        // The page has no live updates while it shows a new secret or the user corrects a rejected form.
        live: page.secret === undefined && page.draft === undefined,
        pollPath: page.notice && "/integrations",
      }}
    >
      <div class="page-head">
        <h1>Integrations</h1>
        <p class="muted">
          Send events to your own systems with webhooks, or let a SIEM read them. Each event is delivered at
          least once and keeps its id.
        </p>
      </div>
      <NoticeStrip notice={page.notice} />
      {page.secret && <NewSecret secret={page.secret} />}
      <section id="webhooks" class="card" data-live aria-labelledby="webhooks-title">
        <div class="card-head">
          <h2 id="webhooks-title">Webhooks</h2>
          <span class="muted">
            {mayIntegrate(admin) ? `${webhooks.length} of at most ${WEBHOOKS_MAX}` : ""}
          </span>
        </div>
        {!mayIntegrate(admin) ? (
          <p class="muted">{why}</p>
        ) : webhooks.length === 0 ? (
          <Empty title="No webhooks yet">Add one below to send events to another system.</Empty>
        ) : (
          <ul class="rows">
            {webhooks.map((webhook) => (
              <WebhookRow webhook={webhook} now={now} />
            ))}
          </ul>
        )}
      </section>
      {create && webhooks.length < WEBHOOKS_MAX && (
        <section class="card" aria-labelledby="create-title">
          <h2 id="create-title">Add a webhook</h2>
          <ChangeForm action="/integrations/webhooks" hidden={create}>
            {page.draft && (
              <p class="strip critical" role="alert">
                <Icon name="critical" />
                No webhook was created: {page.draft.wrong}.
              </p>
            )}
            <WebhookFields url={page.draft?.url ?? ""} events={[]} wrong={page.draft !== undefined} />
            <button class="primary" type="submit">
              Add webhook
            </button>
          </ChangeForm>
        </section>
      )}
      <SiemExport origin={page.origin} />
    </Layout>
  );
}

const WebhookRow = ({ webhook, now }: { webhook: WebhookView; now: number }) => {
  const { webhookId, url, events, health } = webhook;
  return (
    <li data-key={webhookId}>
      <div>
        <p>
          <a href={`/integrations/${webhookId}`}>
            <bdi class="mono">{url}</bdi>
          </a>
        </p>
        <p class="muted small">{eventWords(events)}</p>
        {health.lastError && health.state === "failing" && (
          <p class="fault">
            <bdi>{health.lastError}</bdi>
          </p>
        )}
      </div>
      <div class="end">
        <HealthBadge health={health} />
        <HealthTimes health={health} now={now} />
      </div>
    </li>
  );
};

/** Shows a new secret, or says that the secret cannot be shown again. */
const NewSecret = ({ secret }: { secret: NonNullable<WebhookAnswer["secret"]> }) => (
  <section class="card" aria-labelledby="secret-title">
    <h2 id="secret-title">Webhook secret</h2>
    {secret.secret === undefined ? (
      <p class="strip warning">
        <Icon name="warning" />
        The secret was shown when you first sent this form and cannot be shown again. To get a new one, rotate
        the secret.
      </p>
    ) : (
      <>
        <p class="strip warning">
          <Icon name="warning" />
          Copy the secret now, because it is shown only once. The receiver needs it to verify deliveries
          (Standard Webhooks, HMAC-SHA256).
        </p>
        <pre class="command">
          <code>{secret.secret}</code>
        </pre>
      </>
    )}
    <p class="muted small">
      {`After a rotation, deliveries are also signed with the previous secret for ${ROTATION_HOURS} hours. `}
      <a href={`/integrations/${secret.webhookId}`}>Open the webhook</a>
    </p>
  </section>
);
