import { attempt, type Files, optional } from "../system/files.ts";
import { assignmentsInFile, assignmentsInProcess } from "./environment-file.ts";
import { createSettingsLook, noted, type SettingsLook, textIn } from "./settings-look.ts";
import { absolute, type Environment, type MovedStore, storesIn } from "./store-variables.ts";
import { environmentsOfUnits, SYSTEM_SPECIFIERS, unitsOfHome, userSpecifiers } from "./systemd-units.ts";

/**
 * A source of settings.
 *
 * `units`: directories of unit files. `userUnits`: directories of unit files that root installed for all
 * users. `files`: environment files, or directories that contain such files. `directory`: the directory of
 * the process in procfs.
 */
export type SettingsSource =
  | { of: "system"; units: readonly string[]; userUnits: readonly string[]; files: readonly string[] }
  | { of: "home"; home: string; userUnits: readonly string[] }
  | { of: "process"; directory: string; uid: number };

/**
 * `ownerUid`: the required owner of the directory. Absent if root wrote the setting, because root may name
 * any directory.
 */
export type Settings = { moved: (MovedStore & { ownerUid?: number })[]; unreadable: number; cut: number };

const MOVED_MAX = 64;
/**
 * Maximum size of a process environment in bytes. Usual environments are far smaller. execve(2) allows a
 * quarter of the stack size.
 */
const ENVIRON_BYTES_MAX = 256 * 1024;

/**
 * Reads one source of settings and returns the model directories that it names. Runs in the reader process,
 * because users own the files.
 */
export function readSettings(files: Files, source: SettingsSource): Settings {
  const owner = ownerOf(files, source);
  if (owner === "unknown") return { moved: [], unreadable: 0, cut: 0 };
  const look = createSettingsLook(files, owner);
  const ownerUid = owner === 0 ? undefined : owner;
  const found = READERS[source.of](look, source as never).filter((one) => isAllowed(one, source));
  const moved = new Map(found.map((one) => [`${one.store} ${one.path}`, one]));
  look.cut += Math.max(0, moved.size - MOVED_MAX);
  return {
    moved: [...moved.values()]
      .slice(0, MOVED_MAX)
      .map((one) => ({ ...one, ...(ownerUid !== undefined && { ownerUid }) })),
    unreadable: look.unreadable,
    cut: look.cut,
  };
}

const WRITABLE_BY_OTHERS = 0o022;

/**
 * Owner of the settings. Returns "unknown" for a home directory of root that other users can write to, such
 * as `/tmp`, because it is not trusted.
 */
function ownerOf(files: Files, source: SettingsSource): number | undefined | "unknown" {
  if (source.of === "system") return undefined;
  if (source.of === "process") return source.uid;
  const home = optional(() => files.facts(source.home));
  if (!home?.isDirectory) return "unknown";
  const isOpen = home.ownerUid === 0 && (home.mode & WRITABLE_BY_OTHERS) !== 0;
  return isOpen && source.home.startsWith("/") ? "unknown" : home.ownerUid;
}

/**
 * False if a Windows user names a directory in another user's profile. Files on Windows have no owner uid
 * that could be checked later.
 */
function isAllowed({ path }: MovedStore, source: SettingsSource): boolean {
  if (source.of !== "home" || source.home.startsWith("/")) return true;
  const [own, named] = [source.home, path].map((one) => `${one.replaceAll("\\", "/").toLowerCase()}/`);
  const profiles = own!.slice(0, own!.lastIndexOf("/", own!.length - 2) + 1);
  return named!.startsWith(own!) || !named!.startsWith(profiles);
}

type Of<T extends SettingsSource["of"]> = Extract<SettingsSource, { of: T }>;

const READERS: { [T in SettingsSource["of"]]: (look: SettingsLook, source: Of<T>) => MovedStore[] } = {
  system: (look, { units, userUnits, files }) => [
    ...environmentsOfUnits(look, units, SYSTEM_SPECIFIERS).flatMap((one) => storesIn(one)),
    // The value of `%h` depends on the user, so values that contain `%h` are left out here.
    ...environmentsOfUnits(look, userUnits, {}).flatMap((one) => storesIn(one)),
    ...storesIn(assignedIn(look, files)),
  ],
  home: (look, { home, userUnits }) => [
    ...environmentsOfHome(look, home, userUnits).flatMap((one) => storesIn(one, home)),
    ...storesIn(assignedIn(look, [`${home}/.config/environment.d`]), home),
    ...lmStudioStore(look, home),
  ],
  process: (look, { directory, uid }) => {
    // Another user's process may have reused the pid.
    if (noted(look, () => look.files.facts(directory))?.ownerUid !== uid) return [];
    const text = noted(look, () => look.files.text(`${directory}/environ`, ENVIRON_BYTES_MAX)) ?? "";
    const environment = new Map(assignmentsInProcess(text));
    return storesIn(environment, environment.get("HOME"));
  },
};

/**
 * Environments of the user's services. Units that root installed for all users are read only if the user has
 * units or drop-ins.
 */
function environmentsOfHome(look: SettingsLook, home: string, shared: readonly string[]): Environment[] {
  const own = unitsOfHome(home);
  const hasOwn = own.some((one) => (optional(() => look.files.list(one)) ?? []).length > 0);
  return hasOwn ? environmentsOfUnits(look, [...own, ...shared], userSpecifiers(home)) : [];
}

/**
 * Assignments in files, and in the `*.conf` files of directories. A later assignment overrides an earlier
 * assignment of the same variable.
 */
function assignedIn(look: SettingsLook, paths: readonly string[]): Map<string, string> {
  const files = paths.flatMap((path) => {
    const names = attempt(() => look.files.list(path));
    if ("miss" in names) return [path];
    const conf = names.value.filter((name) => name.endsWith(".conf")).sort();
    return conf.slice(0, MOVED_MAX).map((name) => `${path}/${name}`);
  });
  return new Map(files.flatMap((path) => assignmentsInFile(textIn(look, path) ?? "")));
}

/**
 * Model directories of LM Studio. A pointer file names LM Studio's home directory. The default is
 * `~/.cache/lm-studio` or `~/.lmstudio` (findLMStudioHome.ts of lmstudio-ai/lmstudio-js). `downloadsFolder`
 * in settings.json names the model directory (src/modelsFolder.ts of lmstudio-ai/lms).
 */
function lmStudioStore(look: SettingsLook, home: string): MovedStore[] {
  const pointer = textIn(look, `${home}/.lmstudio-home-pointer`)?.trim();
  const pointed = pointer === undefined ? undefined : absolute(pointer);
  const homes = [...(pointed ? [pointed] : []), `${home}/.cache/lm-studio`, `${home}/.lmstudio`];
  return homes.flatMap((one) => {
    const settings = textIn(look, `${one}/settings.json`);
    const folder = settings === undefined ? undefined : folderIn(settings);
    const paths = [...(one === pointed ? [`${one}/models`] : []), ...(folder ? [folder] : [])];
    return paths.map((path) => ({ store: "lm-studio" as const, path }));
  });
}

function folderIn(settings: string): string | undefined {
  const parsed = optional(() => JSON.parse(settings) as { downloadsFolder?: unknown } | null);
  const folder = parsed?.downloadsFolder;
  return typeof folder === "string" ? absolute(folder) : undefined;
}
