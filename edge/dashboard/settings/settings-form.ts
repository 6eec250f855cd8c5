import { type Settings, settings } from "../../control/tenant/settings-schema.ts";
import { errorsOf, numberOf, type Read } from "../components/form-values.ts";

/** A numeric setting in the form. */
export type NumericField = {
  name: string;
  label: string;
  hint: string;
  min: number;
  max: number;
  step?: string;
  /** Returns the field's value from the settings. */
  of: (settings: Settings) => number;
};

export const REPORTING_FIELDS: readonly NumericField[] = [
  {
    name: "heartbeatSeconds",
    label: "Heartbeat interval (seconds)",
    hint: "How fast changes appear and directives reach hosts. Agents apply a new interval when their next session starts.",
    min: 1,
    max: 600,
    step: "any",
    of: ({ heartbeatIntervalMs }) => heartbeatIntervalMs / 1000,
  },
  {
    name: "telemetryResolutionSeconds",
    label: "Sample interval for unchanged hosts (seconds)",
    hint: "Changes are always stored. 0 stores every heartbeat.",
    min: 0,
    max: 3600,
    of: ({ telemetryResolutionSeconds }) => telemetryResolutionSeconds,
  },
  {
    name: "quietMinutes",
    label: "Quiet period (minutes)",
    hint: "An incident closes when its condition has been gone for this time.",
    min: 0,
    max: 43_200,
    step: "any",
    of: ({ quietPeriodSeconds }) => quietPeriodSeconds / 60,
  },
  {
    name: "retentionDays",
    label: "Telemetry retention (days)",
    hint: "Applies to data written from now on. Custody records do not expire.",
    min: 1,
    max: 3650,
    of: ({ retentionDays }) => retentionDays,
  },
  {
    name: "assetExpiryDays",
    label: "Days without a heartbeat until a host expires",
    hint: "Expired hosts leave the active list. Nothing is deleted, and a host returns with its next heartbeat. Hosts in containment do not expire. 0 turns expiry off.",
    min: 0,
    max: 3650,
    of: ({ assetExpiryDays }) => assetExpiryDays,
  },
];

export const ISOLATION_LIMIT: NumericField = {
  name: "isolationsPerHourMax",
  label: "Maximum isolations per hour (0: no limit)",
  hint: "Limits the damage that a stolen session or a mistake can cause. Administrators can override the limit (break-glass), and the custody record notes the override.",
  min: 0,
  max: 100_000,
  of: ({ isolationsPerHourMax }) => isolationsPerHourMax,
};

export const NOTICE_CHARACTERS_MAX = 300;

/** Labels of fields in error messages. */
const LABELS: Readonly<Record<string, string>> = {
  name: "Organisation name",
  isolationNotice: "Message for users of isolated hosts",
  ...Object.fromEntries([...REPORTING_FIELDS, ISOLATION_LIMIT].map(({ name, label }) => [name, label])),
};

/** Names of form fields, for settings whose form field has a different name. */
const SETTING_FIELDS: Readonly<Record<string, string>> = {
  heartbeatIntervalMs: "heartbeatSeconds",
  quietPeriodSeconds: "quietMinutes",
};

/** Returns the current settings with the values of the form. */
export function settingsFromForm(fields: Record<string, string>, current: Settings): Read<Settings> {
  const read = settings.safeParse({
    ...current,
    name: (fields.name ?? "").trim(),
    heartbeatIntervalMs: Math.round(numberOf(fields.heartbeatSeconds) * 1000),
    telemetryResolutionSeconds: numberOf(fields.telemetryResolutionSeconds),
    quietPeriodSeconds: Math.round(numberOf(fields.quietMinutes) * 60),
    retentionDays: numberOf(fields.retentionDays),
    // A form that was opened before this setting existed has no such field and must not change the setting.
    assetExpiryDays:
      fields.assetExpiryDays === undefined ? current.assetExpiryDays : numberOf(fields.assetExpiryDays),
    clientDirectories: fields.clientDirectories === "yes",
    stopEnginesBy: fields.terminateEngines === "yes" ? "terminate" : "suspend",
    fourEyes: fields.fourEyes === "yes",
    isolationsPerHourMax: numberOf(fields.isolationsPerHourMax),
    isolationNotice: (fields.isolationNotice ?? "").replace(/\s+/g, " ").trim(),
  });
  if (read.success) return { ok: true, value: read.data };
  return {
    ok: false,
    wrong: errorsOf(read.error, ([setting]) => {
      const where = SETTING_FIELDS[String(setting)] ?? String(setting);
      return { name: LABELS[where] ?? where, where };
    }),
  };
}
