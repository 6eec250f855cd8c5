import type { Admin } from "../admin/authenticate.ts";
import { readSettings } from "../admin/change-tenant.ts";
import type { Settings } from "../admin/views.ts";
import type { Deps } from "../deps.ts";
import type { Notice } from "./asset.tsx";
import { changeKey, csrfToken } from "./csrf.ts";
import { Layout } from "./layout.tsx";
import { NoticeStrip, Wrong } from "./notice.tsx";
import { mayConfigure, type Typed } from "./policy.tsx";

type Field = {
  name: string;
  label: string;
  hint: string;
  min: number;
  max: number;
  step?: string;
  of: (settings: Settings) => number;
};

const FIELDS: readonly Field[] = [
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
];

/** How the organisation's agents report and how long that is kept. */
export async function settingsPage(
  admin: Admin,
  deps: Deps,
  answer: { notice?: Notice | undefined; typed?: Typed | undefined } = {},
) {
  const { version, value } = await readSettings(deps, admin.tenantId);
  const writes = mayConfigure(admin) && deps.controlKey !== undefined;
  const hidden = writes
    ? {
        csrf: await csrfToken(admin, deps),
        key: await changeKey(admin, ["change-settings", version], deps),
        version: String(version),
      }
    : undefined;
  return (
    <Layout frame={{ title: "Settings", admin, place: "settings", nowMs: deps.clock() }}>
      <div class="page-head">
        <h1>Settings</h1>
        <p class="muted">
          How agents of this organisation report, version {String(version)}. Every change leaves a custody
          record.
        </p>
      </div>
      <NoticeStrip notice={answer.notice} />
      <section class="card" aria-labelledby="settings-title">
        <h2 id="settings-title">Reporting and keeping</h2>
        {hidden ? (
          <SettingsForm settings={value} hidden={hidden} typed={answer.typed} />
        ) : (
          <>
            <p class="muted">
              {deps.controlKey
                ? "Your role looks only: administrators of your organisation change them."
                : "This node holds no control key: it only reads."}
            </p>
            <Facts settings={value} />
          </>
        )}
      </section>
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
    {FIELDS.map(({ label, of }) => (
      <div>
        <dt>{label}</dt>
        <dd>{String(of(settings))}</dd>
      </div>
    ))}
    <div>
      <dt>Working directories of clients</dt>
      <dd>{settings.clientDirectories ? "reported" : "not reported"}</dd>
    </div>
  </dl>
);

const SettingsForm = ({
  settings,
  hidden,
  typed,
}: {
  settings: Settings;
  hidden: Readonly<Record<string, string>>;
  typed: Typed | undefined;
}) => (
  <form class="plain-form" method="post" action="/settings" data-once>
    {Object.entries(hidden).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    {typed && <Wrong what="settings" wrong={typed.wrong} />}
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
      />
    </div>
    {FIELDS.map(({ name, label, hint, min, max, step, of }) => (
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
          value={typed?.fields[name] ?? String(of(settings))}
        />
        <p class="muted small" id={`${name}-hint`}>
          {hint}
        </p>
      </div>
    ))}
    <label class="confirm">
      <input
        type="checkbox"
        name="clientDirectories"
        value="yes"
        checked={typed ? typed.fields.clientDirectories === "yes" : settings.clientDirectories}
      />
      <span>
        Report the working directory of programs that use a model. Rules on protected directories need it; it
        tells more of what people do.
      </span>
    </label>
    <button class="primary" type="submit">
      Save the settings
    </button>
  </form>
);
