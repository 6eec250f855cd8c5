import { WEBHOOK_EVENTS, WEBHOOKS_MAX } from "../../../shared/table/items/webhook.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { listWebhooks } from "../../control/webhooks/list-deliveries.ts";
import { ROTATION_HOURS } from "../../control/webhooks/manage-webhooks.ts";
import type { WebhookView } from "../../control/webhooks/webhook-views.ts";
import type { Deps } from "../../deps.ts";
import { Badge, plural, type Tone } from "../components/badges.tsx";
import { ChangeForm, hiddenFor, whyNoForm } from "../components/change-form.tsx";
import { Icon, type IconName } from "../components/icon.tsx";
import { Empty, Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip } from "../components/notice.tsx";
import { Ago } from "../components/time.tsx";

export const mayIntegrate = (admin: Admin): boolean => may(admin, "manage-settings");
const WHO = "administrators of your organisation see and change integrations";

/** A secret in its only answer, or the outcome of a test. */
export type WebhookAnswer = {
  notice?: Notice | undefined;
  secret?: { webhookId: string; secret: string | undefined } | undefined;
  draft?: { url: string; wrong: string } | undefined;
};

/** Where the organisation's events go: webhooks with their outcomes, and the export that a SIEM reads. */
export async function integrationsPage(admin: Admin, deps: Deps, page: { origin: string } & WebhookAnswer) {
  const why = whyNoForm(admin, mayIntegrate(admin), deps, WHO);
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
        place: "integrations",
        nowMs: now,
        // A secret on the page is shown once: nothing is read anew under it.
        live: page.secret === undefined && page.draft === undefined,
        pollPath: page.notice && "/integrations",
      }}
    >
      <div class="page-head">
        <h1>Integrations</h1>
        <p class="muted">
          What happens here is told to your own systems: pushed by webhooks, or read by a SIEM. Each event is
          recorded with what it tells of, so each goes out at least once, under one id.
        </p>
      </div>
      <NoticeStrip notice={page.notice} />
      {page.secret && <Secret told={page.secret} />}
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
          <Empty title="No webhook">Nobody outside of this page is told of anything yet.</Empty>
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
                No webhook was made: {page.draft.wrong}.
              </p>
            )}
            <WebhookTerms url={page.draft?.url ?? ""} events={[]} wrong={page.draft !== undefined} />
            <button class="primary" type="submit">
              Add the webhook
            </button>
          </ChangeForm>
        </section>
      )}
      <SiemExport origin={page.origin} />
    </Layout>
  );
}

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

export const eventWords = (events: readonly string[]): string =>
  events.length === 0 ? "every event" : events.join(", ");

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
    {health.dead > 0 && ` · ${plural(health.dead, "event")} given up`}
  </p>
);

/** Where it goes and what it is told, for a new one and for one that is changed. */
export const WebhookTerms = (terms: { url: string; events: readonly string[]; wrong: boolean }) => (
  <>
    <div class="field">
      <label for="url">Address</label>
      <input
        id="url"
        name="url"
        type="url"
        required
        maxlength={2000}
        value={terms.url}
        placeholder="https://"
        aria-describedby="url-hint"
        aria-invalid={terms.wrong ? "true" : undefined}
      />
      <p class="muted small" id="url-hint">
        https, of a public host. Redirects are not followed; an address inside of a network is refused each
        time.
      </p>
    </div>
    <fieldset class="group">
      <legend>Events it is told of</legend>
      <p class="muted small">None ticked: every event.</p>
      <div class="ticks">
        {WEBHOOK_EVENTS.filter((kind) => kind !== "webhook.test").map((kind) => (
          <label class="confirm">
            <input type="checkbox" name={`event-${kind}`} value="yes" checked={terms.events.includes(kind)} />
            <span>{kind}</span>
          </label>
        ))}
      </div>
    </fieldset>
  </>
);

/** The one time that the page holds it. */
export const Secret = ({ told }: { told: NonNullable<WebhookAnswer["secret"]> }) => (
  <section class="card" aria-labelledby="secret-title">
    <h2 id="secret-title">The secret of this webhook</h2>
    {told.secret === undefined ? (
      <p class="strip warning">
        <Icon name="warning" />
        It was shown in the first answer to this form and is shown no more. Rotate it to get another.
      </p>
    ) : (
      <>
        <p class="strip warning">
          <Icon name="warning" />
          It is shown this once. Give it to the receiver, which verifies each delivery with it (Standard
          Webhooks, HMAC-SHA256).
        </p>
        <pre class="command">
          <code>{told.secret}</code>
        </pre>
      </>
    )}
    <p class="muted small">
      After a rotation the secret before signs as well for {String(ROTATION_HOURS)} hours.{" "}
      <a href={`/integrations/${told.webhookId}`}>To the webhook</a>
    </p>
  </section>
);

export const EXPORT_PATH = "/v1/events/ocsf";

/** How a SIEM reads on from where it was. */
const SiemExport = ({ origin }: { origin: string }) => (
  <section class="card" aria-labelledby="siem-title">
    <h2 id="siem-title">SIEM export (OCSF)</h2>
    <p>
      Incidents as Detection Findings and containment as Remediation Activities of the Open Cybersecurity
      Schema Framework, in the order in which they were recorded. Make an API key that reads these and nothing
      else, with the session of an administrator; the key is in the answer and nowhere else (
      <a href="/reference#api-keys">API keys in the reference</a>):
    </p>
    <pre class="command" tabindex={0}>
      <code>{`curl -X POST "${origin}/v1/api-keys" \\
  -H "Authorization: Bearer $LZ_SESSION" -H "Idempotency-Key: siem-$(date +%s)" \\
  -H "Content-Type: application/json" \\
  -d '{"name":"SIEM","role":"viewer","scopes":["read-events"],"days":90}'`}</code>
    </pre>
    <p>Then ask with a cursor:</p>
    <pre class="command" tabindex={0}>
      <code>{`curl -H "Authorization: Bearer $LZ_API_KEY" "${origin}${EXPORT_PATH}?limit=500"`}</code>
    </pre>
    <ul class="plain-list">
      <li>
        Every answer has a <code>cursor</code>, also at the end. Keep it and ask again with{" "}
        <code>?cursor=…</code>: nothing is told twice, and nothing is left out.
      </li>
      <li>
        Begin in the past with <code>?since=2026-11-01T00:00:00.000Z</code>; what is recorded is kept as long
        as telemetry is.
      </li>
      <li>The newest ten seconds are held back, so that nothing appears behind a cursor.</li>
      <li>
        The address and its answers are described in the <a href="/reference">API reference</a>.
      </li>
    </ul>
  </section>
);
