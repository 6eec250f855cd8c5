import type { Ranked } from "../../../shared/table/items/fleet.ts";
import type { Policy } from "../../../shared/table/items/policy.ts";
import { may } from "../../auth/authenticate.ts";
import type { Admin } from "../../auth/permissions.ts";
import { readPolicy } from "../../control/tenant/update-tenant.ts";
import { ChangeForm, type Hidden, hiddenFor, readOnlyReason } from "../components/change-form.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip, type Wrong, WrongList } from "../components/notice.tsx";
import type { DashboardDeps } from "../deps.ts";
import type { FleetNumbers } from "../overview/fleet-cache.ts";
import { DRY_RUN_DAYS, type DryRun } from "./dry-run.ts";
import { DryRunResult } from "./dry-run-result.tsx";
import { EXPOSURES, gibOf, POLICY_GROUPS } from "./policy-form.ts";

export const mayConfigure = (admin: Admin): boolean => may(admin, "manage-settings");

/** Input of a rejected form or of a dry run, shown again with its errors. */
export type Typed = { fields: Readonly<Record<string, string>>; wrong: readonly Wrong[] };

type Forms = { hidden: Hidden; typed: Typed | undefined; engines: Ranked };

/**
 * The page of the organisation's policy. All roles can read the policy. Administrators can change it in a
 * form or as JSON.
 */
export async function policyPage(
  admin: Admin,
  deps: DashboardDeps,
  numbersOf: (tenantId: string) => Promise<FleetNumbers>,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined; tried?: DryRun | undefined } = {},
) {
  const { version, value } = await readPolicy(deps, admin.tenantId);
  const why = readOnlyReason(
    admin,
    mayConfigure(admin),
    deps,
    "administrators of your organisation can change the policy",
  );
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
    <Layout frame={{ title: "Policy", admin, nav: "policy", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Policy</h1>
        <p class="muted">
          {`The rules for AI on your hosts, version ${version}. A change applies to every later heartbeat and writes a custody record. Earlier findings do not change.`}
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
            <h2 id="policy-title">Current policy</h2>
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

/** Shows the errors of a field below the field. Errors of multi-line fields include line numbers. */
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

/** Buttons that save the form, or that start a dry run. */
const Buttons = ({ id, typed, save }: { id: string; typed: Typed | undefined; save: string }) => (
  <div class="filter">
    <button class="primary" type="submit">
      {save}
    </button>
    <div class="field">
      <label for={`days-${id}`}>Dry run on states of</label>
      <select id={`days-${id}`} name="days">
        {DRY_RUN_DAYS.map((days) => (
          <option value={String(days)} selected={(typed?.fields.days ?? "7") === String(days)}>
            {days === 1 ? "the last day" : `the last ${days} days`}
          </option>
        ))}
      </select>
    </div>
    <button type="submit" formaction="/policy/try">
      Dry run
    </button>
  </div>
);

const PolicyForm = ({ policy, forms }: { policy: Policy; forms: Forms }) => {
  const typed = forms.typed?.fields.how === "form" ? forms.typed : undefined;
  const exposure = typed?.fields.exposure ?? policy.exposure;
  const authenticated = typed ? typed.fields.requireAuthentication === "yes" : policy.requireAuthentication;
  return (
    <section class="card" aria-labelledby="policy-form-title">
      <h2 id="policy-form-title">Allowed and banned</h2>
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
            <label for="exposure">Allowed access to engines</label>
            <select id="exposure" name="exposure">
              {EXPOSURES.map(({ value, label }) => (
                <option value={value} selected={exposure === value}>
                  {label}
                </option>
              ))}
            </select>
          </div>
          <div class="field">
            <label for="modelGib">Largest model in GiB (0: no limit)</label>
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
            <span>Require a credential on loopback too</span>
          </label>
        </div>
        <p class="muted small">
          One entry on each line. To edit the other policy fields, use the JSON below.
        </p>
        <Buttons id="form" typed={typed} save="Save policy" />
      </ChangeForm>
    </section>
  );
};

const FOUND_MAX = 6;

/** Shows the first ids, and the number of remaining ids. */
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

/**
 * Lists the engine ids that were found on hosts, and the entries that were found on no host. An entry that no
 * host has may be misspelt.
 */
const FoundEngines = ({ entries, engines: { first, total } }: { entries: string; engines: Ranked }) => {
  const ids = first.map(({ key }) => key);
  const listed = entries.split(/\s+/).filter((entry) => entry !== "");
  const unknown = total > first.length ? [] : listed.filter((entry) => !ids.includes(entry));
  return (
    <>
      {total > 0 && (
        <>
          {" Found on hosts: "}
          <Ids ids={ids} total={total} />
        </>
      )}
      {unknown.length > 0 && (
        <>
          {" Not found on any host: "}
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
      <h2 id="policy-json-title">Complete policy as JSON</h2>
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
            The JSON is validated before it is saved. Omitted fields get their default values.
          </p>
        </div>
        <Buttons id="json" typed={typed} save="Save JSON as policy" />
      </ChangeForm>
    </section>
  );
};

const LINE_CHARACTERS_MAX = 160;

/** Quotes the lines that have errors, with their line numbers. A text area itself shows no line numbers. */
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
