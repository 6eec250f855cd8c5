import type { Admin } from "../../auth/permissions.ts";
import { JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import type { DeliveryState } from "../../control/webhooks/list-deliveries.ts";
import { whyNotResend } from "../../control/webhooks/resend-deliveries.ts";
import type { DeliveryView, ResentView, WebhookView } from "../../control/webhooks/webhook-views.ts";
import { ChangeForm, type Hidden, hiddenFor } from "../components/change-form.tsx";
import { Icon } from "../components/icon.tsx";
import type { DashboardDeps } from "../deps.ts";
import { RESOLUTION_CHARACTERS_MAX } from "../routing/parse-form.ts";
import { WebhookFields } from "./webhook-fields.tsx";

export type WebhookDraft = { url: string; wrong: string };

/** Hidden fields of the forms of a webhook. */
export type WebhookForms = Record<"test" | "change" | "rotate" | "remove", Hidden>;

/**
 * Creates the hidden fields. Returns undefined if this node has no control key. The idempotency keys change
 * when the webhook changes.
 */
export async function webhookFormsOf(
  admin: Admin,
  { webhookId, url, events, health, previousSecretUntil }: WebhookView,
  now: number,
  deps: DashboardDeps,
): Promise<WebhookForms | undefined> {
  if (!deps.controlKey) return undefined;
  const hidden = (action: string, ...about: string[]) =>
    hiddenFor(admin, [action, webhookId, ...about], deps);
  // Users can repeat a test. The key contains the current minute, so that a double click sends only one test
  // event.
  const minute = String(Math.floor(now / 60_000));
  const [test, change, rotate, remove] = await Promise.all([
    hidden("test", minute, health.lastDeliveredAt ?? "", health.lastFailedAt ?? ""),
    hidden("change", url, ...events),
    hidden("rotate", previousSecretUntil ?? ""),
    hidden("delete"),
  ]);
  return { test, change, rotate, remove };
}

export type ResendForms = { of: ReadonlyMap<string, Hidden>; all?: Hidden; isMore: boolean };

/**
 * Hidden fields of the forms that resend deliveries: one form for each failed delivery, and one for all of
 * them if there are any.
 */
export async function resendFormsOf(
  admin: Admin,
  webhook: WebhookView,
  deliveries: readonly DeliveryView[],
  { state, resent }: { state: DeliveryState | undefined; resent?: ResentView | undefined },
  deps: DashboardDeps,
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
  // Users can repeat a resend. The key contains the current minute, so that a double click is one request.
  const minute = Math.floor(deps.clock() / 60_000);
  const about = [minute, cursor ?? "", health.dead, health.lastFailedAt ?? "", health.lastDeliveredAt ?? ""];
  const hidden = await hiddenFor(admin, ["resend-dead", webhookId, ...about], deps);
  return { ...forms, all: { ...hidden, ...(cursor !== undefined && { cursor }) } };
}

export const EditForm = (change: {
  webhook: WebhookView;
  hidden: Hidden;
  draft: WebhookDraft | undefined;
}) => (
  <section class="card" aria-labelledby="change-title">
    <h2 id="change-title">Edit webhook</h2>
    <ChangeForm action={`/integrations/${change.webhook.webhookId}`} hidden={change.hidden}>
      {change.draft && (
        <p class="strip critical" role="alert">
          <Icon name="critical" />
          Nothing was saved: {change.draft.wrong}.
        </p>
      )}
      <WebhookFields
        url={change.draft?.url ?? change.webhook.url}
        events={change.webhook.events}
        wrong={change.draft !== undefined}
      />
      <button type="submit">Save</button>
    </ChangeForm>
  </section>
);

export const SecretForms = (forms: { webhookId: string; rotate: Hidden; remove: Hidden }) => (
  <section class="card" aria-labelledby="rotate-title">
    <h2 id="rotate-title">Secret</h2>
    <ChangeForm action={`/integrations/${forms.webhookId}/rotate`} hidden={forms.rotate}>
      <div class="field">
        <label for="justification">Reason to rotate the secret</label>
        <input
          id="justification"
          name="justification"
          type="text"
          required
          minlength={JUSTIFICATION_CHARACTERS_MIN}
          maxlength={RESOLUTION_CHARACTERS_MAX}
        />
      </div>
      <button type="submit">Rotate secret</button>
    </ChangeForm>
    <h2>Delete webhook</h2>
    <ChangeForm action={`/integrations/${forms.webhookId}/delete`} hidden={forms.remove}>
      <label class="confirm">
        <input type="checkbox" name="confirm" value="yes" required />
        <span>Delete this webhook and its secrets. Waiting deliveries are not sent.</span>
      </label>
      <button class="danger" type="submit">
        Delete webhook
      </button>
    </ChangeForm>
  </section>
);
