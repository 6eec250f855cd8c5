import { assignmentOf, assignmentsInFile, logicalLines, wordsOf } from "./environment-file.ts";
import { noted, type SettingsLook, textIn } from "./settings-look.ts";
import type { Environment } from "./store-variables.ts";

/**
 * Maximum numbers of unit files, drop-ins and environment files. These limits are needed because users can
 * write such files.
 */
const UNITS = { UNITS_MAX: 2000, DROP_INS_MAX: 64, ENVIRONMENT_FILES_MAX: 16 } as const;

/** Directories of system units, highest priority first (systemd.unit(5), table 1). */
export const SYSTEM_UNITS: readonly string[] = [
  "/etc/systemd/system.control",
  "/run/systemd/system.control",
  "/run/systemd/transient",
  "/etc/systemd/system",
  "/run/systemd/system",
  "/run/systemd/generator",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** Directories of user units that root installs for all users (systemd.unit(5), table 2). */
export const USER_UNITS: readonly string[] = [
  "/etc/systemd/user",
  "/run/systemd/user",
  "/usr/local/lib/systemd/user",
  "/usr/lib/systemd/user",
];

/** Directories for a user's own units, below the user's home directory. */
export const unitsOfHome = (home: string): string[] => [
  `${home}/.config/systemd/user.control`,
  `${home}/.config/systemd/user`,
  `${home}/.local/share/systemd/user`,
];

/** Values for specifiers such as `%h` (systemd.unit(5), specifiers). */
export type Specifiers = Readonly<Record<string, string>>;

export const SYSTEM_SPECIFIERS: Specifiers = {
  h: "/root",
  S: "/var/lib",
  C: "/var/cache",
  E: "/etc",
  t: "/run",
};

export const userSpecifiers = (home: string): Specifiers => ({
  h: home,
  S: `${home}/.local/state`,
  C: `${home}/.cache`,
  E: `${home}/.config`,
});

type Service = {
  environment: Map<string, string>;
  files: string[];
  unset: string[];
  starts: string[];
};

/**
 * Environments of all services that can start. A service can start if its unit is not masked and its
 * executable exists.
 */
export function environmentsOfUnits(
  look: SettingsLook,
  directories: readonly string[],
  specifiers: Specifiers,
): Environment[] {
  const units = new Map<string, string>();
  const listings = new Map(directories.map((one) => [one, noted(look, () => look.files.list(one)) ?? []]));
  for (const [directory, names] of listings) {
    for (const name of names) {
      if (name.endsWith(".service") && !units.has(name)) units.set(name, `${directory}/${name}`);
    }
  }
  look.cut += Math.max(0, units.size - UNITS.UNITS_MAX);
  return [...units].slice(0, UNITS.UNITS_MAX).flatMap(([name, path]) => {
    // A masked unit is a link to /dev/null or an empty file.
    const text = textIn(look, path);
    if (!text) return [];
    const service: Service = { environment: new Map(), files: [], unset: [], starts: [] };
    apply(service, text, specifiers);
    for (const dropIn of dropInsOf(look, name, listings)) apply(service, dropIn, specifiers);
    return canRun(look, service) ? [environmentOf(look, service)] : [];
  });
}

/**
 * Texts of a unit's drop-ins, sorted by file name. If several directories contain a file with the same name,
 * the first one is used.
 */
function dropInsOf(
  look: SettingsLook,
  name: string,
  listings: ReadonlyMap<string, readonly string[]>,
): string[] {
  const folders = folderNames(name);
  const found = new Map<string, string>();
  for (const [directory, names] of listings) {
    for (const folder of folders) {
      if (!names.includes(folder)) continue;
      for (const file of noted(look, () => look.files.list(`${directory}/${folder}`)) ?? []) {
        if (file.endsWith(".conf") && !found.has(file)) found.set(file, `${directory}/${folder}/${file}`);
      }
    }
  }
  const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  look.cut += Math.max(0, sorted.length - UNITS.DROP_INS_MAX);
  return sorted.slice(0, UNITS.DROP_INS_MAX).flatMap(([, path]) => textIn(look, path) ?? []);
}

/** Drop-in directories of a unit: `foo-bar@baz.service.d`, `foo-bar@.service.d`, `foo-.service.d`, `service.d`. */
function folderNames(unit: string): string[] {
  const stem = unit.slice(0, -".service".length);
  const template = /^(.*@).+$/.exec(stem)?.[1];
  const parts = stem.split("-");
  const prefixes = parts.slice(1).map((_, at) => `${parts.slice(0, at + 1).join("-")}-`);
  return [stem, ...(template ? [template] : []), ...prefixes.reverse()]
    .map((one) => `${one}.service.d`)
    .concat("service.d");
}

function apply(service: Service, text: string, specifiers: Specifiers): void {
  let section = "";
  for (const line of logicalLines(text)) {
    const header = /^\[(.*)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, key, value] = /^([A-Za-z]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (section !== "Service" || key === undefined || value === undefined) continue;
    const words = (): string[] => wordsOf(value).flatMap((word) => expanded(word, specifiers) ?? []);
    if (key === "Environment") {
      if (value === "") service.environment.clear();
      for (const word of words()) {
        const assignment = assignmentOf(word);
        if (assignment) service.environment.set(...assignment);
      }
    } else if (key === "EnvironmentFile")
      service.files = next(service.files, value, expanded(value, specifiers));
    else if (key === "UnsetEnvironment") service.unset = value === "" ? [] : [...service.unset, ...words()];
    else if (key === "ExecStart") service.starts = next(service.starts, value, words()[0]);
  }
}

/** Adds an item to a list setting. An empty value clears the list. */
const next = (list: readonly string[], value: string, item: string | undefined): string[] =>
  value === "" ? [] : item === undefined ? [...list] : [...list, item];

/** Replaces the specifiers in a word. Returns undefined for an unknown specifier, for example an instance name. */
function expanded(word: string, specifiers: Specifiers): string | undefined {
  let isKnown = true;
  const text = word.replace(/%(.)/g, (_, letter: string) => {
    if (letter === "%") return "%";
    isKnown &&= specifiers[letter] !== undefined;
    return specifiers[letter] ?? "";
  });
  return isKnown ? text : undefined;
}

/**
 * True if the executable of a start command exists. The path may have special prefixes (systemd.service(5),
 * table 1).
 */
function canRun(look: SettingsLook, { starts }: Service): boolean {
  const programs = starts.map((word) => word.replace(/^[@\-:+!|]+/, ""));
  return programs.some((program) => !program.startsWith("/") || look.exists(program));
}

/** Environment of a service. Values from environment files override `Environment=`. */
function environmentOf(look: SettingsLook, { environment, files, unset }: Service): Environment {
  look.cut += Math.max(0, files.length - UNITS.ENVIRONMENT_FILES_MAX);
  for (const file of files.slice(0, UNITS.ENVIRONMENT_FILES_MAX)) {
    for (const path of namedBy(look, file.replace(/^-/, ""))) {
      for (const [name, value] of assignmentsInFile(textIn(look, path) ?? "")) environment.set(name, value);
    }
  }
  for (const word of unset) {
    const [name, value] = assignmentOf(word) ?? [word];
    if (value === undefined || environment.get(name!) === value) environment.delete(name!);
  }
  return environment;
}

/** Files named by an `EnvironmentFile=` setting. The last path segment may contain wildcards. */
function namedBy(look: SettingsLook, path: string): string[] {
  if (!path.startsWith("/")) return [];
  if (!/[*?[]/.test(path)) return [path];
  const directory = path.slice(0, path.lastIndexOf("/"));
  if (/[*?[]/.test(directory)) return [];
  const pattern = new Bun.Glob(path.slice(directory.length + 1));
  const names = (noted(look, () => look.files.list(directory)) ?? []).filter((name) => pattern.match(name));
  return names
    .sort()
    .slice(0, UNITS.ENVIRONMENT_FILES_MAX)
    .map((name) => `${directory}/${name}`);
}
