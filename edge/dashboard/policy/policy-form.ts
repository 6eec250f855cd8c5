import { z } from "zod";
import { newPolicy, type Policy } from "../../../shared/table/items/policy.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import { type Settings, settings } from "../../control/tenant/settings-schema.ts";
import type { Wrong } from "../components/notice.tsx";
import { jsonLines } from "./json-line-numbers.ts";

/** A policy with every list full is some 200 KB of JSON, and percent-encoding makes three bytes of one. */
export const POLICY_FORM = { bytesMax: 512 * 1024, fieldsMax: 60 };

const hidden = {
  csrf: z.string(),
  key: z.string().regex(/^[A-Za-z0-9_-]{8,100}$/),
  /** Of what the person saw when they began: another one by now is refused, and nobody's change is lost. */
  version: integerText(0),
};
export const versionedForm = z.looseObject(hidden);

type ListName = {
  [Name in keyof Policy]-?: Policy[Name] extends string[] ? Name : never;
}[keyof Policy];

/** Lists of the policy, one entry a line, grouped as they belong together. The rest of it is edited as JSON. */
export const POLICY_GROUPS: readonly {
  title: string;
  lists: readonly { name: ListName; label: string; hint: string }[];
}[] = [
  {
    title: "Engines and models",
    lists: [
      { name: "approvedEngines", label: "Approved engines", hint: "Engine ids, ollama for one." },
      { name: "bannedEngines", label: "Banned engines", hint: "Engine ids. Banned wins over approved." },
      { name: "approvedModels", label: "Approved models", hint: "A * stands for anything: llama3*." },
      { name: "bannedModels", label: "Banned models", hint: "A * stands for anything." },
    ],
  },
  {
    title: "Where models come from",
    lists: [
      {
        name: "approvedPublishers",
        label: "Approved publishers",
        hint: "Empty: publishers are not checked.",
      },
      { name: "bannedPublishers", label: "Banned publishers", hint: "A * stands for anything." },
      { name: "approvedLicences", label: "Approved licences", hint: "Empty: licences are not checked." },
      { name: "bannedLicences", label: "Banned licences", hint: "A * stands for anything." },
    ],
  },
  {
    title: "Who uses them, on what",
    lists: [
      { name: "approvedClients", label: "Approved clients", hint: "Empty: clients are not checked." },
      { name: "bannedClients", label: "Banned clients", hint: "A * stands for anything." },
      { name: "protectedDirectories", label: "Protected directories", hint: "What no model may reach." },
    ],
  },
  {
    title: "How it is judged",
    lists: [
      {
        name: "requiredCollectors",
        label: "Required sources",
        hint: "Sources of the agent that must see.",
      },
      { name: "acceptedCves", label: "Accepted vulnerabilities", hint: "CVE-2024-37032, one a line." },
      { name: "disabledRules", label: "Disabled rules", hint: "Rule ids. They find nothing from then on." },
    ],
  },
];
const POLICY_LISTS = POLICY_GROUPS.flatMap(({ lists }) => lists);
export const EXPOSURES: readonly { value: Policy["exposure"]; label: string }[] = [
  { value: "loopback", label: "This host alone" },
  { value: "authenticated", label: "Others, with a credential" },
  { value: "any", label: "Anybody" },
];

const GIB = 2 ** 30;

export type Read<T> = { ok: true; value: T } | { ok: false; wrong: Wrong[] };

const WRONG_MAX = 20;

type Place = Omit<Wrong, "words"> & { name: string };

/** Where and why, in words that repeat nothing of what was typed. */
function wrongOf(error: z.ZodError, placeOf: (path: readonly PropertyKey[]) => Place): Wrong[] {
  const found = error.issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return [{ path: issue.path, message: issue.message }];
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "no such field" }));
  });
  return found.slice(0, WRONG_MAX).map(({ path, message }) => {
    const { name, ...where } = placeOf(path);
    return { ...where, words: `${name}: ${message}` };
  });
}

const linesOf = (text: string | undefined): string[] =>
  (text ?? "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The line of a text area that holds its entry of this index: blank lines are no entries. */
function lineOfEntry(text: string | undefined, index: number): number {
  const lines = (text ?? "").split(/\r?\n/);
  let entry = -1;
  return lines.findIndex((line) => line.trim() !== "" && ++entry === index) + 1;
}

/** The policy as it is, with what the form shows replaced. */
export function policyFromForm(fields: Record<string, string>, current: Policy): Read<Policy> {
  const lists = Object.fromEntries(POLICY_LISTS.map(({ name }) => [name, linesOf(fields[name])]));
  const gib = numberOf(fields.modelGib);
  const wanted = {
    ...current,
    ...lists,
    exposure: fields.exposure,
    requireAuthentication: fields.requireAuthentication === "yes",
    // A size in bytes that is no round number of GiB stays what it was while the field is left alone.
    modelBytesMax: fields.modelGib === gibOf(current) ? current.modelBytesMax : Math.round(gib * GIB),
  };
  const read = newPolicy.safeParse(wanted);
  if (read.success) return { ok: true, value: read.data };
  return {
    ok: false,
    wrong: wrongOf(read.error, ([name, index]) => {
      const field = String(name) === "modelBytesMax" ? "modelGib" : String(name);
      const label = POLICY_LABELS[field] ?? field;
      return typeof index === "number"
        ? { name: label, where: field, line: lineOfEntry(fields[field], index) }
        : { name: label, where: field };
    }),
  };
}

const POLICY_LABELS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(POLICY_LISTS.map(({ name, label }) => [name, label])),
  exposure: "Who may reach an engine",
  modelGib: "Largest model",
};

export const gibOf = ({ modelBytesMax }: Policy): string => String(Number((modelBytesMax / GIB).toFixed(2)));

/** A whole policy from JSON: what is left out gets its default, as with the API. */
export function policyFromJson(text: string): Read<Policy> {
  const { lineOf, fault } = jsonLines(text);
  const where = "policy";
  if (fault !== undefined) return { ok: false, wrong: [{ where, line: fault, words: "this is not JSON" }] };
  const read = newPolicy.safeParse(JSON.parse(text));
  if (read.success) return { ok: true, value: read.data };
  return {
    ok: false,
    wrong: wrongOf(read.error, (path) => ({
      name: path.join(".") || "policy",
      where,
      // Of what is missing, the line of what it is missing in.
      line: lineOf(path) ?? lineOf(path.slice(0, -1)),
    })),
  };
}

/** Fields of the form by the setting they are made of. */
const SETTING_FIELDS: Readonly<Record<string, string>> = {
  heartbeatIntervalMs: "heartbeatSeconds",
  quietPeriodSeconds: "quietMinutes",
};

/** The settings as they are, with what the form shows replaced: what it does not show stays. */
export function settingsFromForm(fields: Record<string, string>, current: Settings): Read<Settings> {
  const read = settings.safeParse({
    ...current,
    name: (fields.name ?? "").trim(),
    heartbeatIntervalMs: Math.round(numberOf(fields.heartbeatSeconds) * 1000),
    telemetryResolutionSeconds: numberOf(fields.telemetryResolutionSeconds),
    quietPeriodSeconds: Math.round(numberOf(fields.quietMinutes) * 60),
    retentionDays: numberOf(fields.retentionDays),
    // A form from before there was this setting does not change it.
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
    wrong: wrongOf(read.error, ([setting]) => {
      const where = SETTING_FIELDS[String(setting)] ?? String(setting);
      return { name: where, where };
    }),
  };
}

/** Decimal only: `Number()` reads an empty field as 0, and "1e2" and "0x10" too. */
const numberOf = (text: string | undefined): number =>
  /^-?\d{1,15}(?:\.\d{1,15})?$/.test(text?.trim() ?? "") ? Number(text) : Number.NaN;
