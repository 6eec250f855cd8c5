import type { Ranked } from "../../../shared/table/items/fleet.ts";
import type { Policy } from "../../../shared/table/items/policy.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { readPolicy } from "../../control/tenant/update-tenant.ts";
import type { Deps } from "../../deps.ts";
import { ChangeForm, type Hidden, hiddenFor, whyNoForm } from "../components/change-form.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip, type Wrong, WrongList } from "../components/notice.tsx";
import type { FleetNumbers } from "../overview/fleet-cache.ts";
import { DRY_RUN_DAYS, type DryRun } from "./dry-run.ts";
import { DryRunResult } from "./dry-run-result.tsx";
import { EXPOSURES, gibOf, POLICY_GROUPS } from "./policy-form.ts";

export const mayConfigure = (admin: Admin): boolean => may(admin, "manage-settings");

/** What was typed and could not be taken, given back as it was typed. */
export type Typed = { fields: Readonly<Record<string, string>>; wrong: readonly Wrong[] };

type Forms = { hidden: Hidden; typed: Typed | undefined; engines: Ranked };

/** What the company allows: read by everybody, changed by administrators, as a form or as a whole in JSON. */
export async function policyPage(
  admin: Admin,
  deps: Deps,
  numbersOf: (tenantId: string) => Promise<FleetNumbers>,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined; tried?: DryRun | undefined } = {},
) {
  const { version, value } = await readPolicy(deps, admin.tenantId);
  const why = whyNoForm(admin, mayConfigure(admin), deps, "administrators of your organisation change it");
  const forms: Forms | undefined =
    why === ""
      ? {
          hidden: {
            ...(await hiddenFor(admin, ["change-policy", version], deps)),
            version: String(version),
          },
          typed: answer.typed,
          engines: (await numbersOf(admin.tenantId)).counts.engines,
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
      {answer.tried && <DryRunResult result={answer.tried} />}
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
          <p class="muted">{why}</p>
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

const wrongIn = (typed: Typed | undefined, name: string): readonly Wrong[] =>
  typed?.wrong.filter(({ where }) => where === name) ?? [];

/** What is wrong with a field, under it: with the line where it has several. */
const FieldFault = ({ typed, name }: { typed: Typed | undefined; name: string }) => {
  const wrong = wrongIn(typed, name);
  if (wrong.length === 0) return null;
  return (
    <p class="fault" id={`${name}-fault`}>
      {wrong.map(({ line, words }) => `${line === undefined ? "" : `line ${line}: `}${words}`).join("; ")}
    </p>
  );
};

const described = (typed: Typed | undefined, name: string) =>
  wrongIn(typed, name).length > 0
    ? { "aria-invalid": "true" as const, "aria-describedby": `${name}-fault ${name}-hint` }
    : { "aria-describedby": `${name}-hint` };

/** Saves, or tries: the same fields, sent elsewhere. */
const Buttons = ({ id, typed, save }: { id: string; typed: Typed | undefined; save: string }) => (
  <div class="filter">
    <button class="primary" type="submit">
      {save}
    </button>
    <div class="field">
      <label for={`days-${id}`}>Recorded states of</label>
      <select id={`days-${id}`} name="days">
        {DRY_RUN_DAYS.map((days) => (
          <option value={String(days)} selected={(typed?.fields.days ?? "7") === String(days)}>
            {days === 1 ? "the last day" : `the last ${days} days`}
          </option>
        ))}
      </select>
    </div>
    <button type="submit" formaction="/policy/try">
      Try it on them first
    </button>
  </div>
);

const PolicyForm = ({ policy, forms }: { policy: Policy; forms: Forms }) => {
  const typed = forms.typed?.fields.how === "form" ? forms.typed : undefined;
  const exposure = typed?.fields.exposure ?? policy.exposure;
  const authenticated = typed ? typed.fields.requireAuthentication === "yes" : policy.requireAuthentication;
  return (
    <section class="card" aria-labelledby="policy-form-title">
      <h2 id="policy-form-title">What is allowed</h2>
      <ChangeForm action="/policy" hidden={{ ...forms.hidden, how: "form" }}>
        {typed && <WrongList what="policy" wrong={typed.wrong} />}
        {POLICY_GROUPS.map(({ title, lists }) => (
          <fieldset class="group">
            <legend>{title}</legend>
            <div class="columns">
              {lists.map(({ name, label, hint }) => (
                <div class="field">
                  <label for={name}>{label}</label>
                  <textarea id={name} name={name} rows={3} spellcheck={false} {...described(typed, name)}>
                    {typed?.fields[name] ?? policy[name].join("\n")}
                  </textarea>
                  <FieldFault typed={typed} name={name} />
                  <p class="muted small" id={`${name}-hint`}>
                    {hint}
                    {(name === "approvedEngines" || name === "bannedEngines") && (
                      <FoundEngines
                        entries={typed?.fields[name] ?? policy[name].join("\n")}
                        engines={forms.engines}
                      />
                    )}
                  </p>
                </div>
              ))}
            </div>
          </fieldset>
        ))}
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
        <Buttons id="form" typed={typed} save="Save the policy" />
      </ChangeForm>
    </section>
  );
};

const FOUND_MAX = 6;

/** The first of them, and how many more there are. */
const Ids = ({ ids, total }: { ids: readonly string[]; total: number }) => (
  <>
    {ids.slice(0, FOUND_MAX).map((id, at) => (
      <>
        {at > 0 && ", "}
        <code>{id}</code>
      </>
    ))}
    {total > FOUND_MAX && ` and ${total - FOUND_MAX} more`}.
  </>
);

/** Ids that hosts have now, and those of a list that none has: a slip of the pen approves and bans nothing. */
const FoundEngines = ({ entries, engines: { first, total } }: { entries: string; engines: Ranked }) => {
  const ids = first.map(({ key }) => key);
  const listed = entries.split(/\s+/).filter((entry) => entry !== "");
  const unknown = total > first.length ? [] : listed.filter((entry) => !ids.includes(entry));
  return (
    <>
      {total > 0 && (
        <>
          {" Found now: "}
          <Ids ids={ids} total={total} />
        </>
      )}
      {unknown.length > 0 && (
        <>
          {" On no host now: "}
          <Ids ids={unknown} total={unknown.length} />
        </>
      )}
    </>
  );
};

const JsonForm = ({ policy, forms }: { policy: Policy; forms: Forms }) => {
  const typed = forms.typed?.fields.how === "json" ? forms.typed : undefined;
  const text = typed?.fields.policy ?? JSON.stringify(policy, null, 2);
  return (
    <section class="card" aria-labelledby="policy-json-title">
      <h2 id="policy-json-title">The whole policy as JSON</h2>
      <ChangeForm action="/policy" hidden={{ ...forms.hidden, how: "json" }}>
        {typed && <WrongList what="policy" wrong={typed.wrong} />}
        {typed && <FaultyLines text={text} wrong={typed.wrong} />}
        <div class="field">
          <label for="policy">Policy</label>
          <textarea
            id="policy"
            name="policy"
            class="mono"
            rows={24}
            spellcheck={false}
            required
            {...described(typed, "policy")}
          >
            {text}
          </textarea>
          <FieldFault typed={typed} name="policy" />
          <p class="muted small" id="policy-hint">
            Checked against the schema before anything is saved. A field that is left out gets its default.
          </p>
        </div>
        <Buttons id="json" typed={typed} save="Save this JSON as the policy" />
      </ChangeForm>
    </section>
  );
};

const LINE_CHARACTERS_MAX = 160;

/** The lines that are wrong, quoted with their numbers: a text area shows none. */
const FaultyLines = ({ text, wrong }: { text: string; wrong: readonly Wrong[] }) => {
  const lines = text.split("\n");
  const faulty = [...new Set(wrong.flatMap(({ line }) => line ?? []))].sort((a, b) => a - b);
  if (faulty.length === 0) return null;
  return (
    <pre class="command" tabindex={0}>
      <code>
        {faulty.map((line) => `${line}\t${(lines[line - 1] ?? "").slice(0, LINE_CHARACTERS_MAX)}`).join("\n")}
      </code>
    </pre>
  );
};
