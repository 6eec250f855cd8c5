import type { Admin } from "../../auth/permissions.ts";
import type { Settings } from "../../control/tenant/settings-schema.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import { ChangeForm, type Hidden, hiddenFor, readOnlyReason } from "../components/change-form.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip, type Wrong, WrongList } from "../components/notice.tsx";
import type { DashboardDeps } from "../deps.ts";
import { mayConfigure, type Typed } from "../policy/policy-page.tsx";
import {
  ISOLATION_LIMIT,
  NOTICE_CHARACTERS_MAX,
  type NumericField,
  REPORTING_FIELDS,
} from "./settings-form.ts";

/**
 * The page of the organisation's settings: reporting, retention, isolation. All roles can read them.
 * Administrators can change them.
 */
export async function settingsPage(
  admin: Admin,
  deps: DashboardDeps,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined } = {},
) {
  const { version, value } = await readSettings(deps, admin.tenantId);
  const why = readOnlyReason(
    admin,
    mayConfigure(admin),
    deps,
    "administrators of your organisation can change the settings",
  );
  const hidden =
    why === ""
      ? { ...(await hiddenFor(admin, ["change-settings", version], deps)), version: String(version) }
      : undefined;
  return (
    <Layout frame={{ title: "Settings", admin, nav: "settings", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Settings</h1>
        <p class="muted">
          {`How agents report and how hosts are isolated, version ${version}. Every change writes a custody record.`}
        </p>
      </div>
      <NoticeStrip notice={answer.notice} />
      {hidden ? (
        <SettingsForm settings={value} hidden={hidden} typed={answer.typed} />
      ) : (
        <section class="card" aria-label="Settings">
          <p class="muted">{why}</p>
          <Facts settings={value} />
        </section>
      )}
    </Layout>
  );
}

const Facts = ({ settings }: { settings: Settings }) => (
  <dl class="facts">
    <div>
      <dt>Name</dt>
      <dd>
        <bdi>{settings.name}</bdi>
      </dd>
    </div>
    {[...REPORTING_FIELDS, ISOLATION_LIMIT].map(({ label, of }) => (
      <div>
        <dt>{label}</dt>
        <dd>{String(of(settings))}</dd>
      </div>
    ))}
    <div>
      <dt>Second person for every isolation</dt>
      <dd>{settings.fourEyes ? "required" : "not required"}</dd>
    </div>
    <div>
      <dt>Mode stop engines</dt>
      <dd>{settings.stopEnginesBy === "terminate" ? "terminates engines" : "suspends engines"}</dd>
    </div>
    <div>
      <dt>Message for users of isolated hosts</dt>
      <dd>
        <bdi>{settings.isolationNotice || "default text of the agent"}</bdi>
      </dd>
    </div>
    <div>
      <dt>Working directories of clients</dt>
      <dd>{settings.clientDirectories ? "reported" : "not reported"}</dd>
    </div>
  </dl>
);

type Fill = { settings: Settings; typed: Typed | undefined };

const SettingsForm = ({ settings, hidden, typed }: Fill & { hidden: Hidden }) => (
  <ChangeForm action="/settings" hidden={hidden} look="plain-form">
    {typed && <WrongList what="settings" wrong={typed.wrong} />}
    <section class="card" aria-labelledby="reporting-title">
      <h2 id="reporting-title">Reporting and retention</h2>
      <div class="field">
        <label for="name">Organisation name</label>
        <input
          id="name"
          name="name"
          type="text"
          required
          maxlength={120}
          autocomplete="organization"
          value={typed?.fields.name ?? settings.name}
          {...invalid("name", typed?.wrong)}
        />
      </div>
      <div class="columns">
        {REPORTING_FIELDS.map((field) => (
          <NumberField field={field} fill={{ settings, typed }} />
        ))}
      </div>
      <Box
        name="clientDirectories"
        checked={typed ? typed.fields.clientDirectories === "yes" : settings.clientDirectories}
      >
        Report the working directory of programs that use a model. Rules on protected directories need this.
        It reveals more about what employees do.
      </Box>
    </section>
    <section class="card" aria-labelledby="guards-title">
      <h2 id="guards-title">Isolation</h2>
      <Box name="fourEyes" checked={typed ? typed.fields.fourEyes === "yes" : settings.fourEyes}>
        Require a second person to approve every isolation within one hour. Requests wait under{" "}
        <a href="/approvals">approvals</a>.
      </Box>
      <NumberField field={ISOLATION_LIMIT} fill={{ settings, typed }} />
      <Box
        name="terminateEngines"
        checked={typed ? typed.fields.terminateEngines === "yes" : settings.stopEnginesBy === "terminate"}
      >
        In mode stop engines, terminate engines instead of suspending them. Data in their memory is lost, and
        a release does not start them again. Applies to new isolations.
      </Box>
      <div class="field">
        <label for="isolationNotice">Message for users of isolated hosts</label>
        <textarea
          id="isolationNotice"
          name="isolationNotice"
          rows={2}
          maxlength={NOTICE_CHARACTERS_MAX}
          aria-describedby="isolationNotice-hint"
          {...invalid("isolationNotice", typed?.wrong)}
        >
          {typed?.fields.isolationNotice ?? settings.isolationNotice}
        </textarea>
        <p class="muted small" id="isolationNotice-hint">
          Tell users whom to contact. If empty, the agent shows its default text. Applies to new isolations
          and is part of the signed directive.
        </p>
      </div>
    </section>
    <button class="primary" type="submit">
      Save settings
    </button>
  </ChangeForm>
);

/** Returns attributes that mark a field as invalid, if the field has an error. */
const invalid = (name: string, wrong: readonly Wrong[] | undefined) =>
  wrong?.some(({ where }) => where === name) ? { "aria-invalid": "true" as const } : {};

const NumberField = ({ field, fill }: { field: NumericField; fill: Fill }) => {
  const { name, label, hint, min, max, step, of } = field;
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        name={name}
        type="number"
        min={min}
        max={max}
        step={step ?? "1"}
        required
        aria-describedby={`${name}-hint`}
        value={fill.typed?.fields[name] ?? String(of(fill.settings))}
        {...invalid(name, fill.typed?.wrong)}
      />
      <p class="muted small" id={`${name}-hint`}>
        {hint}
      </p>
    </div>
  );
};

const Box = ({ name, checked, children }: { name: string; checked: boolean; children: unknown }) => (
  <label class="confirm">
    <input type="checkbox" name={name} value="yes" checked={checked} />
    <span>{children as string}</span>
  </label>
);
