import type { Policy } from "../../shared/table/items.ts";
import { type Admin, may } from "../admin/authenticate.ts";
import { readPolicy } from "../admin/change-tenant.ts";
import type { Deps } from "../deps.ts";
import type { Notice } from "./asset.tsx";
import { changeKey, csrfToken } from "./csrf.ts";
import { Layout } from "./layout.tsx";
import { NoticeStrip, Wrong } from "./notice.tsx";
import { EXPOSURES, gibOf, POLICY_LISTS } from "./tenant-forms.ts";

export const mayConfigure = (admin: Admin): boolean => may(admin, "manage-settings");

/** What was typed and could not be taken, given back as it was typed. */
export type Typed = { fields: Readonly<Record<string, string>>; wrong: readonly string[] };

type Forms = { csrf: string; key: string; version: number; typed: Typed | undefined };

/** What the company allows: read by everybody, changed by administrators, as a form or as a whole in JSON. */
export async function policyPage(
  admin: Admin,
  deps: Deps,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined } = {},
) {
  const { version, value } = await readPolicy(deps, admin.tenantId);
  const writes = mayConfigure(admin) && deps.controlKey !== undefined;
  const forms: Forms | undefined = writes
    ? {
        csrf: await csrfToken(admin, deps),
        key: await changeKey(admin, ["change-policy", version], deps),
        version,
        typed: answer.typed,
      }
    : undefined;
  return (
    <Layout frame={{ title: "Policy", admin, place: "policy", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Policy</h1>
        <p class="muted">
          What the organisation allows, version {String(version)}. A change counts for every heartbeat from
          then on and leaves a custody record; what was found before stays as it was found.
        </p>
      </div>
      <NoticeStrip notice={answer.notice} />
      {forms ? (
        <>
          <PolicyForm policy={value} forms={forms} />
          <JsonForm policy={value} forms={forms} />
        </>
      ) : (
        <section class="card" aria-labelledby="policy-title">
          <div class="card-head">
            <h2 id="policy-title">As it is</h2>
          </div>
          <p class="muted">
            {deps.controlKey
              ? "Your role looks only: administrators of your organisation change it."
              : "This node holds no control key: it only reads."}
          </p>
          <PolicyText policy={value} />
        </section>
      )}
    </Layout>
  );
}

const PolicyText = ({ policy }: { policy: Policy }) => (
  <pre class="command" tabindex={0}>
    <code>{JSON.stringify(policy, null, 2)}</code>
  </pre>
);

const Hidden = ({ forms, how }: { forms: Forms; how: string }) => (
  <>
    <input type="hidden" name="csrf" value={forms.csrf} />
    <input type="hidden" name="key" value={forms.key} />
    <input type="hidden" name="version" value={String(forms.version)} />
    <input type="hidden" name="how" value={how} />
  </>
);

const PolicyForm = ({ policy, forms }: { policy: Policy; forms: Forms }) => {
  const typed = forms.typed?.fields.how === "form" ? forms.typed : undefined;
  const listed = (name: (typeof POLICY_LISTS)[number]["name"]) =>
    typed?.fields[name] ?? policy[name].join("\n");
  const exposure = typed?.fields.exposure ?? policy.exposure;
  const authenticated = typed ? typed.fields.requireAuthentication === "yes" : policy.requireAuthentication;
  return (
    <section class="card" aria-labelledby="policy-form-title">
      <h2 id="policy-form-title">What is allowed</h2>
      <form class="plain-form" method="post" action="/policy" data-once>
        <Hidden forms={forms} how="form" />
        {typed && <Wrong what="policy" wrong={typed.wrong} />}
        <div class="columns">
          {POLICY_LISTS.map(({ name, label, hint }) => (
            <div class="field">
              <label for={name}>{label}</label>
              <textarea id={name} name={name} rows={3} spellcheck={false} aria-describedby={`${name}-hint`}>
                {listed(name)}
              </textarea>
              <p class="muted small" id={`${name}-hint`}>
                {hint}
              </p>
            </div>
          ))}
        </div>
        <div class="filter">
          <div class="field">
            <label for="exposure">Who may reach an engine</label>
            <select id="exposure" name="exposure">
              {EXPOSURES.map(({ value, label }) => (
                <option value={value} selected={exposure === value}>
                  {label}
                </option>
              ))}
            </select>
          </div>
          <div class="field">
            <label for="modelGib">Largest model in GiB, 0 for any</label>
            <input
              id="modelGib"
              name="modelGib"
              type="number"
              min={0}
              step="any"
              required
              value={typed?.fields.modelGib ?? gibOf(policy)}
            />
          </div>
          <label class="confirm">
            <input type="checkbox" name="requireAuthentication" value="yes" checked={authenticated} />
            <span>Ask for a credential on loopback too</span>
          </label>
        </div>
        <p class="muted small">One entry a line. What is not shown here is edited as JSON below.</p>
        <button class="primary" type="submit">
          Save the policy
        </button>
      </form>
    </section>
  );
};

const JsonForm = ({ policy, forms }: { policy: Policy; forms: Forms }) => {
  const typed = forms.typed?.fields.how === "json" ? forms.typed : undefined;
  return (
    <section class="card" aria-labelledby="policy-json-title">
      <h2 id="policy-json-title">The whole policy as JSON</h2>
      <form class="plain-form" method="post" action="/policy" data-once>
        <Hidden forms={forms} how="json" />
        {typed && <Wrong what="policy" wrong={typed.wrong} />}
        <div class="field">
          <label for="policy">Policy</label>
          <textarea id="policy" name="policy" class="mono" rows={24} spellcheck={false} required>
            {typed?.fields.policy ?? JSON.stringify(policy, null, 2)}
          </textarea>
          <p class="muted small">
            Checked against the schema before anything is saved. A field that is left out gets its default.
          </p>
        </div>
        <button type="submit">Save this JSON as the policy</button>
      </form>
    </section>
  );
};
