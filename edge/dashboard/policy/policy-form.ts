import { newPolicy, type Policy } from "../../../shared/table/items/policy.ts";
import { errorsOf, numberOf, type Read } from "../components/form-values.ts";
import { jsonLines } from "./json-line-numbers.ts";

/**
 * Limits of a policy form. The largest valid policy is about 200 KB of JSON. Percent-encoding can triple the
 * size of a character.
 */
export const POLICY_FORM = { bytesMax: 512 * 1024, fieldsMax: 60 };

type ListName = {
  [Name in keyof Policy]-?: Policy[Name] extends string[] ? Name : never;
}[keyof Policy];

/** Policy lists that the form shows, with one entry on each line. The other policy fields are edited as JSON. */
export const POLICY_GROUPS: readonly {
  title: string;
  lists: readonly { name: ListName; label: string; hint: string }[];
}[] = [
  {
    title: "Engines and models",
    lists: [
      { name: "approvedEngines", label: "Approved engines", hint: "Engine ids, for example ollama." },
      { name: "bannedEngines", label: "Banned engines", hint: "Engine ids. A ban overrides an approval." },
      { name: "approvedModels", label: "Approved models", hint: "* matches any text, for example llama3*." },
      { name: "bannedModels", label: "Banned models", hint: "* matches any text." },
    ],
  },
  {
    title: "Origin of models",
    lists: [
      {
        name: "approvedPublishers",
        label: "Approved publishers",
        hint: "If empty, publishers are not checked.",
      },
      { name: "bannedPublishers", label: "Banned publishers", hint: "* matches any text." },
      { name: "approvedLicences", label: "Approved licences", hint: "If empty, licences are not checked." },
      { name: "bannedLicences", label: "Banned licences", hint: "* matches any text." },
    ],
  },
  {
    title: "Clients and directories",
    lists: [
      { name: "approvedClients", label: "Approved clients", hint: "If empty, clients are not checked." },
      { name: "bannedClients", label: "Banned clients", hint: "* matches any text." },
      {
        name: "protectedDirectories",
        label: "Protected directories",
        hint: "No client may run in these directories or their subdirectories.",
      },
    ],
  },
  {
    title: "Evaluation",
    lists: [
      {
        name: "requiredCollectors",
        label: "Required sources",
        hint: "Sources that every agent must be able to read.",
      },
      {
        name: "acceptedCves",
        label: "Accepted vulnerabilities",
        hint: "One CVE id on each line, for example CVE-2024-37032.",
      },
      {
        name: "disabledRules",
        label: "Disabled rules",
        hint: "Rule ids. Disabled rules produce no findings.",
      },
    ],
  },
];
const POLICY_LISTS = POLICY_GROUPS.flatMap(({ lists }) => lists);
export const EXPOSURES: readonly { value: Policy["exposure"]; label: string }[] = [
  { value: "loopback", label: "Only the host itself" },
  { value: "authenticated", label: "Other hosts, with a credential" },
  { value: "any", label: "Anyone" },
];

const GIB = 2 ** 30;

const linesOf = (text: string | undefined): string[] =>
  (text ?? "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

/**
 * Returns the number of the line in a text area that contains the entry with this index. Blank lines are not
 * entries.
 */
function lineOfEntry(text: string | undefined, index: number): number {
  const lines = (text ?? "").split(/\r?\n/);
  let entry = -1;
  return lines.findIndex((line) => line.trim() !== "" && ++entry === index) + 1;
}

/** Returns the current policy with the values of the form. */
export function policyFromForm(fields: Record<string, string>, current: Policy): Read<Policy> {
  const lists = Object.fromEntries(POLICY_LISTS.map(({ name }) => [name, linesOf(fields[name])]));
  const gib = numberOf(fields.modelGib);
  const wanted = {
    ...current,
    ...lists,
    exposure: fields.exposure,
    requireAuthentication: fields.requireAuthentication === "yes",
    // If the field is unchanged, keep the exact size in bytes, which may not be a round number of GiB.
    modelBytesMax: fields.modelGib === gibOf(current) ? current.modelBytesMax : Math.round(gib * GIB),
  };
  const read = newPolicy.safeParse(wanted);
  if (read.success) return { ok: true, value: read.data };
  return {
    ok: false,
    wrong: errorsOf(read.error, ([name, index]) => {
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
  exposure: "Allowed access to engines",
  modelGib: "Largest model",
};

export const gibOf = ({ modelBytesMax }: Policy): string => String(Number((modelBytesMax / GIB).toFixed(2)));

/** Parses a complete policy from JSON. Omitted fields get their default values, as they do in the API. */
export function policyFromJson(text: string): Read<Policy> {
  const { lineOf, fault } = jsonLines(text);
  const where = "policy";
  if (fault !== undefined) return { ok: false, wrong: [{ where, line: fault, words: "JSON syntax error" }] };
  const read = newPolicy.safeParse(JSON.parse(text));
  if (read.success) return { ok: true, value: read.data };
  return {
    ok: false,
    wrong: errorsOf(read.error, (path) => ({
      name: path.join(".") || "policy",
      where,
      // A missing field has no line. Use the line of the object that should contain the field.
      line: lineOf(path) ?? lineOf(path.slice(0, -1)),
    })),
  };
}
