import { WEBHOOK_EVENTS } from "../../../shared/table/items/webhook.ts";

/**
 * Form fields of a webhook: its address and its events. The form for a new webhook and the form for an
 * existing webhook share these fields.
 */
export const WebhookFields = (terms: { url: string; events: readonly string[]; wrong: boolean }) => (
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
        An https address of a public host. Redirects are not followed, and private addresses are rejected.
      </p>
    </div>
    <fieldset class="group">
      <legend>Events</legend>
      <p class="muted small">If you select none, the webhook receives every event.</p>
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
