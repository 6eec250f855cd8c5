import { readFileSync } from "node:fs";
import { posix, win32 } from "node:path";
import type { Machine } from "./machine.ts";

const FIRST_USER_ID = 1000;

/** Home directories in a passwd(5) file. Includes root and people, and leaves out service accounts. */
export function homesInPasswd(passwd: string): string[] {
  const homes = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([, , uid, , , home]) => home && home !== "/" && (uid === "0" || Number(uid) >= FIRST_USER_ID))
    .map((fields) => fields[5]!)
    .filter((home) => !home.startsWith("/nonexistent"));
  return [...new Set(homes)];
}

/** Names next to the home directories that are not the home directory of a user. */
const NOT_HOMES = /^(?:\.|desktop\.ini$|(?:Shared|Public|All Users|Default|Default User|lost\+found)$)/i;

/** Maximum number of home directories in one domain directory. */
const DOMAIN_HOMES_MAX = 2000;

/**
 * Home directories of all people on this host. The scan looks for models in these directories, and reports
 * shorten their paths to `~`. Users of a directory service have no entry in /etc/passwd, but their home
 * directories are next to the others. Errors of `list` and `text` are ignored. `listHome` lists a directory
 * that can be a user's home directory. It can return an empty list at first and the names at a later call.
 */
export function homesOfPeople(
  { platform, env, home }: Pick<Machine, "platform" | "env" | "home">,
  {
    list,
    text,
    listHome = () => [],
  }: {
    list: (path: string) => string[];
    text: (path: string) => string;
    listHome?: (path: string) => string[];
  },
): string[] {
  const path = platform === "win32" ? win32 : posix;
  const root = ROOTS[platform]?.(env) ?? "/home";
  const homes = [home];
  if (platform === "linux") homes.push(...orEmpty(() => homesInPasswd(text("/etc/passwd"))));
  const names = orEmpty(() => list(root)).filter((name) => !NOT_HOMES.test(name));
  const found = names.map((name) => path.join(root, name));
  const unknown = platform === "linux" ? found.filter((one) => !homes.includes(one)) : [];
  const inDomains = unknown.flatMap((one) => homesInDomain(one, (path) => orEmpty(() => listHome(path))));
  return [...new Set([...homes, ...found, ...inDomains])];
}

/**
 * Files and directories that /etc/skel or programs create in a home directory during the first session. A
 * directory that contains one of these names is a home directory.
 */
const HOME_FILES = new Set([
  ".profile",
  ".bashrc",
  ".bash_logout",
  ".zshrc",
  ".ssh",
  ".cache",
  ".config",
  ".local",
]);
/**
 * Maximum number of subdirectories to check for {@link HOME_FILES}. If none of them contains such a file, the
 * parent is not a domain directory.
 */
const DOMAIN_CHECKS_MAX = 16;

/**
 * Home directories at `/home/DOMAIN/USER`, the path that winbind (`template homedir` in smb.conf(5)) and SSSD
 * (`fallback_homedir` in sssd.conf(5)) use. A domain directory has no {@link HOME_FILES} itself, but its
 * subdirectories have them.
 */
function homesInDomain(directory: string, list: (path: string) => readonly string[]): string[] {
  const isHome = (path: string): boolean => list(path).some((name) => HOME_FILES.has(name));
  const names = list(directory);
  if (names.some((name) => name.startsWith("."))) return [];
  const homes = names.filter((name) => !NOT_HOMES.test(name)).map((name) => posix.join(directory, name));
  return homes.slice(0, DOMAIN_CHECKS_MAX).some(isHome) ? homes.slice(0, DOMAIN_HOMES_MAX) : [];
}

/**
 * Parent directory of all home directories. On Windows, it can be on another drive than the system. The
 * `PUBLIC` directory is in this parent directory.
 */
const ROOTS: Partial<Record<NodeJS.Platform, (env: Machine["env"]) => string>> = {
  win32: ({ PUBLIC, SystemDrive }) => win32.dirname(PUBLIC ?? `${SystemDrive ?? "C:"}\\Users\\Public`),
  darwin: () => "/Users",
};

function orEmpty(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** Login name of the user with this id in a passwd(5) file. */
export const loginInPasswd = (passwd: string, uid: number): string | undefined =>
  passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid))?.[0];

/**
 * Login name of the user who runs this process. /etc/passwd is read first, because a service has no `USER` in
 * its environment.
 */
export function loginOf(uid: number | undefined, fromEnvironment: string): string {
  try {
    if (uid === undefined) return fromEnvironment;
    return loginInPasswd(readFileSync("/etc/passwd", "utf8"), uid) ?? fromEnvironment;
  } catch {
    return fromEnvironment;
  }
}
