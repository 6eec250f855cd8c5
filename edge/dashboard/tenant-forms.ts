import { z } from "zod";
import { type Policy, policy } from "../../shared/table/items.ts";
import { type Settings, settings } from "../admin/views.ts";

/** A policy with every list full is some 200 KB of JSON, and percent-encoding makes three bytes of one. */
export const POLICY_FORM = { bytesMax: 512 * 1024, fieldsMax: 40 };

const hidden = {
  csrf: z.string(),
  key: z.string().regex(/^[A-Za-z0-9_-]{8,100}$/),
  /** Of what the person saw when they began: another one by now is refused, and nobody's change is lost. */
  version: z.coerce.number().int().min(0),
};
export const versionedForm = z.looseObject(hidden);

type ListName = {
  [Name in keyof Policy]-?: Policy[Name] extends string[] ? Name : never;
}[keyof Policy];

/** Lists of the policy that the form shows, one entry a line. The rest of the policy is edited as JSON. */
export const POLICY_LISTS: readonly { name: ListName; label: string; hint: string }[] = [
  { name: "approvedEngines", label: "Approved engines", hint: "Engine ids, ollama for one." },
  { name: "bannedEngines", label: "Banned engines", hint: "Engine ids. Banned wins over approved." },
  { name: "approvedModels", label: "Approved models", hint: "A * stands for anything: llama3*." },
  { name: "bannedModels", label: "Banned models", hint: "A * stands for anything." },
  { name: "approvedPublishers", label: "Approved publishers", hint: "Empty: publishers are not checked." },
  { name: "approvedLicences", label: "Approved licences", hint: "Empty: licences are not checked." },
  { name: "approvedClients", label: "Approved clients", hint: "Empty: clients are not checked." },
  { name: "protectedDirectories", label: "Protected directories", hint: "What no model may reach." },
  { name: "requiredCollectors", label: "Required sources", hint: "Sources of the agent that must see." },
  { name: "disabledRules", label: "Disabled rules", hint: "Rule ids. They find nothing from then on." },
];
export const EXPOSURES: readonly { value: Policy["exposure"]; label: string }[] = [
  { value: "loopback", label: "This host alone" },
  { value: "authenticated", label: "Others, with a credential" },
  { value: "any", label: "Anybody" },
];

const GIB = 2 ** 30;

export type Read<T> = { ok: true; value: T } | { ok: false; wrong: string[] };

/** Where and why, in words that repeat nothing of what was typed. */
const wrongOf = (error: z.ZodError): string[] => [
  ...new Set(
    error.issues.slice(0, 20).map(({ path, message }) => `${path.join(".") || "policy"}: ${message}`),
  ),
];

const linesOf = (text: string | undefined): string[] =>
  (text ?? "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** The policy as it is, with what the form shows replaced. */
export function policyFromForm(fields: Record<string, string>, current: Policy): Read<Policy> {
  const lists = Object.fromEntries(POLICY_LISTS.map(({ name }) => [name, linesOf(fields[name])]));
  const gib = Number(fields.modelGib);
  const wanted = {
    ...current,
    ...lists,
    exposure: fields.exposure,
    requireAuthentication: fields.requireAuthentication === "yes",
    // A size in bytes that is no round number of GiB stays what it was while the field is left alone.
    modelBytesMax: fields.modelGib === gibOf(current) ? current.modelBytesMax : Math.round(gib * GIB),
  };
  const read = policy.safeParse(wanted);
  return read.success ? { ok: true, value: read.data } : { ok: false, wrong: wrongOf(read.error) };
}

export const gibOf = ({ modelBytesMax }: Policy): string => String(Number((modelBytesMax / GIB).toFixed(2)));

/** A whole policy from JSON: what is left out gets its default, as with the API. */
export function policyFromJson(text: string): Read<Policy> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { ok: false, wrong: ["policy: this is not JSON"] };
  }
  const read = policy.safeParse(parsed);
  return read.success ? { ok: true, value: read.data } : { ok: false, wrong: wrongOf(read.error) };
}

/** The settings as they are, with what the form shows replaced: what it does not show stays. */
export function settingsFromForm(fields: Record<string, string>, current: Settings): Read<Settings> {
  const read = settings.safeParse({
    ...current,
    name: (fields.name ?? "").trim(),
    heartbeatIntervalMs: Math.round(numberOf(fields.heartbeatSeconds) * 1000),
    telemetryResolutionSeconds: numberOf(fields.telemetryResolutionSeconds),
    quietPeriodSeconds: Math.round(numberOf(fields.quietMinutes) * 60),
    retentionDays: numberOf(fields.retentionDays),
    clientDirectories: fields.clientDirectories === "yes",
  });
  return read.success ? { ok: true, value: read.data } : { ok: false, wrong: wrongOf(read.error) };
}

/** An empty field is no zero. */
const numberOf = (text: string | undefined): number =>
  text === undefined || text.trim() === "" ? Number.NaN : Number(text);
