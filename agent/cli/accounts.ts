import { readFileSync } from "node:fs";
import { posix, win32 } from "node:path";
import type { Machine } from "./machine.ts";

const FIRST_USER_ID = 1000;

/** Home directories in a passwd(5) file: those of root and of people, without the homes of service accounts. */
export function homesInPasswd(passwd: string): string[] {
  const homes = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([, , uid, , , home]) => home && home !== "/" && (uid === "0" || Number(uid) >= FIRST_USER_ID))
    .map((fields) => fields[5]!)
    .filter((home) => !home.startsWith("/nonexistent"));
  return [...new Set(homes)];
}

/** Directories next to the home directories that belong to no user. */
const NOT_HOMES = /^(?:\.|desktop\.ini$|(?:Shared|Public|All Users|Default|Default User|lost\+found)$)/i;

/** Maximum number of home directories of one domain. */
const DOMAIN_HOMES_MAX = 2000;

/**
 * Home directories of all people on this host. The scan looks for models in them, and shortens them to `~` in
 * reports. Users of a directory service have no line in /etc/passwd, but their home directory is next to the
 * other ones. `list` and `text` throw the errors of the system. `listHome` lists a directory that may be the
 * home of a user. It may return its result only at a later call.
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
 * Names that a home directory contains after the first session, created from /etc/skel or by programs. A
 * directory with one of them is a home.
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
 * Maximum number of subdirectories to check for {@link HOME_FILES}. If none of them has such a file, the
 * directory is not the directory of a domain.
 */
const DOMAIN_CHECKS_MAX = 16;

/**
 * Home directories at `/home/DOMAIN/USER`, the path that winbind (`template homedir` in smb.conf(5)) and SSSD
 * (`fallback_homedir` in sssd.conf(5)) use. The directory of a domain has no {@link HOME_FILES} itself, but
 * its subdirectories do.
 */
function homesInDomain(directory: string, list: (path: string) => readonly string[]): string[] {
  const isHome = (path: string): boolean => list(path).some((name) => HOME_FILES.has(name));
  const names = list(directory);
  if (names.some((name) => name.startsWith("."))) return [];
  const homes = names.filter((name) => !NOT_HOMES.test(name)).map((name) => posix.join(directory, name));
  return homes.slice(0, DOMAIN_CHECKS_MAX).some(isHome) ? homes.slice(0, DOMAIN_HOMES_MAX) : [];
}

/**
 * The parent directory of all home directories. On Windows, it can be on a different drive than the system.
 * `PUBLIC` is a directory in it.
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

/** Login name of a user id in a passwd(5) file. */
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
