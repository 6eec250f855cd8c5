import type { Admin } from "../../auth/permissions.ts";
import type { Settings } from "../../control/tenant/settings-schema.ts";
import { readSettings } from "../../control/tenant/update-tenant.ts";
import type { Deps } from "../../deps.ts";
import { ChangeForm, type Hidden, hiddenFor, whyNoForm } from "../components/change-form.tsx";
import { Layout } from "../components/layout.tsx";
import { type Notice, NoticeStrip, type Wrong, WrongList } from "../components/notice.tsx";
import { mayConfigure, type Typed } from "../policy/policy-page.tsx";

type Field = {
  name: string;
  label: string;
  hint: string;
  min: number;
  max: number;
  step?: string;
  of: (settings: Settings) => number;
};

const REPORTING: readonly Field[] = [
  {
    name: "heartbeatSeconds",
    label: "Seconds between heartbeats",
    hint: "How soon a change is seen and an order is fetched. Agents take it up with their next session.",
    min: 1,
    max: 600,
    step: "any",
    of: ({ heartbeatIntervalMs }) => heartbeatIntervalMs / 1000,
  },
  {
    name: "telemetryResolutionSeconds",
    label: "Seconds between samples of an unchanged host",
    hint: "Changes are always kept. 0 keeps every heartbeat.",
    min: 0,
    max: 3600,
    of: ({ telemetryResolutionSeconds }) => telemetryResolutionSeconds,
  },
  {
    name: "quietMinutes",
    label: "Quiet minutes before an incident closes",
    hint: "Its condition has to be gone for that long.",
    min: 0,
    max: 43_200,
    step: "any",
    of: ({ quietPeriodSeconds }) => quietPeriodSeconds / 60,
  },
  {
    name: "retentionDays",
    label: "Days that telemetry is kept",
    hint: "Counts for what is written from then on. Custody records do not expire.",
    min: 1,
    max: 3650,
    of: ({ retentionDays }) => retentionDays,
  },
  {
    name: "assetExpiryDays",
    label: "Days without a heartbeat until a host leaves the active list",
    hint: "0 turns this off. Nothing is deleted, and a host returns with its next heartbeat. Contained hosts always stay.",
    min: 0,
    max: 3650,
    of: ({ assetExpiryDays }) => assetExpiryDays,
  },
];

const CAP: Field = {
  name: "isolationsPerHourMax",
  label: "Isolations an hour at most, 0 for any number",
  hint: "Bounds what one stolen session, or one mistake, can cut off. An administrator can break the glass; the record says so.",
  min: 0,
  max: 100_000,
  of: ({ isolationsPerHourMax }) => isolationsPerHourMax,
};

export const NOTICE_CHARACTERS_MAX = 300;

/** How the organisation's agents report, what isolating takes, and how long things are kept. */
export async function settingsPage(
  admin: Admin,
  deps: Deps,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined } = {},
) {
  const { version, value } = await readSettings(deps, admin.tenantId);
  const why = whyNoForm(admin, mayConfigure(admin), deps, "administrators of your organisation change them");
  const hidden =
    why === ""
      ? { ...(await hiddenFor(admin, ["change-settings", version], deps)), version: String(version) }
      : undefined;
  return (
    <Layout frame={{ title: "Settings", admin, place: "settings", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Settings</h1>
        <p class="muted">
          How agents of this organisation report and what isolating takes, version {String(version)}. Every
          change leaves a custody record.
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
    {[...REPORTING, CAP].map(({ label, of }) => (
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
      <dt>Engines that an isolation stops</dt>
      <dd>{settings.stopEnginesBy === "terminate" ? "are terminated" : "are suspended"}</dd>
    </div>
    <div>
      <dt>What an isolated host's user is told</dt>
      <dd>
        <bdi>{settings.isolationNotice || "the agent's own words"}</bdi>
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
      <h2 id="reporting-title">Reporting and keeping</h2>
      <div class="field">
        <label for="name">Name of the organisation</label>
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
        {REPORTING.map((field) => (
          <NumberField field={field} fill={{ settings, typed }} />
        ))}
      </div>
      <Box
        name="clientDirectories"
        checked={typed ? typed.fields.clientDirectories === "yes" : settings.clientDirectories}
      >
        Report the working directory of programs that use a model. Rules on protected directories need it; it
        tells more of what people do.
      </Box>
    </section>
    <section class="card" aria-labelledby="guards-title">
      <h2 id="guards-title">What isolating takes</h2>
      <Box name="fourEyes" checked={typed ? typed.fields.fourEyes === "yes" : settings.fourEyes}>
        A second person has to approve every isolation, within the hour. Requests wait under{" "}
        <a href="/approvals">approvals</a>.
      </Box>
      <NumberField field={CAP} fill={{ settings, typed }} />
      <Box
        name="terminateEngines"
        checked={typed ? typed.fields.terminateEngines === "yes" : settings.stopEnginesBy === "terminate"}
      >
        Mode stop engines terminates them, for isolations from then on. What they held in memory is lost, and
        a release does not start them again. Otherwise it suspends them, and a release wakes them.
      </Box>
      <div class="field">
        <label for="isolationNotice">What the person at an isolated host is told</label>
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
          Empty: the agent's own words. It travels signed in the directive, for isolations from then on. Say
          whom to call.
        </p>
      </div>
    </section>
    <button class="primary" type="submit">
      Save the settings
    </button>
  </ChangeForm>
);

export const invalid = (name: string, wrong: readonly Wrong[] | undefined) =>
  wrong?.some(({ where }) => where === name) ? { "aria-invalid": "true" as const } : {};

const NumberField = ({ field, fill }: { field: Field; fill: Fill }) => {
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
