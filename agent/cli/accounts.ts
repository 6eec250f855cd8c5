import { readFileSync } from "node:fs";
import { posix, win32 } from "node:path";
import type { Machine } from "./machine.ts";

const FIRST_USER_ID = 1000;

/** passwd(5): root and the accounts of people, without those of services. */
export function homesInPasswd(passwd: string): string[] {
  const homes = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([, , uid, , , home]) => home && home !== "/" && (uid === "0" || Number(uid) >= FIRST_USER_ID))
    .map((fields) => fields[5]!)
    .filter((home) => !home.startsWith("/nonexistent"));
  return [...new Set(homes)];
}

/** Profiles that are nobody's. */
const NOBODYS = /^(?:\.|desktop\.ini$|(?:Shared|Public|All Users|Default|Default User|lost\+found)$)/i;

/** Homes of one domain: more are not looked at. */
const DOMAIN_HOMES_MAX = 2000;

/**
 * Homes of all people of this host: where models lie, and names that do not leave it. Those that only a directory
 * service knows have no line in a file, but a directory beside the others. Readers throw what the system says.
 * `listHome` lists what may belong to a user; its answer may come later, with the next call.
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
  if (platform === "linux") homes.push(...orNone(() => homesInPasswd(text("/etc/passwd"))));
  const names = orNone(() => list(root)).filter((name) => !NOBODYS.test(name));
  const found = names.map((name) => path.join(root, name));
  const unknown = platform === "linux" ? found.filter((one) => !homes.includes(one)) : [];
  const inDomains = unknown.flatMap((one) => homesInDomain(one, (path) => orNone(() => listHome(path))));
  return [...new Set([...homes, ...found, ...inDomains])];
}

/** What every home has after its first session, from /etc/skel or from programs. */
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
/** So many directories are looked into before a directory is no domain's. */
const DOMAIN_LOOKS_MAX = 16;

/**
 * `/home/DOMAIN/USER`, as winbind (`template homedir` in smb.conf(5)) and SSSD (`fallback_homedir` in sssd.conf(5))
 * place homes. The directory of a domain has no files of a home, but directories that have some.
 */
function homesInDomain(directory: string, list: (path: string) => readonly string[]): string[] {
  const isHome = (path: string): boolean => list(path).some((name) => HOME_FILES.has(name));
  const names = list(directory);
  if (names.some((name) => name.startsWith("."))) return [];
  const homes = names.filter((name) => !NOBODYS.test(name)).map((name) => posix.join(directory, name));
  return homes.slice(0, DOMAIN_LOOKS_MAX).some(isHome) ? homes.slice(0, DOMAIN_HOMES_MAX) : [];
}

/** Profiles can be on another drive than the system; `PUBLIC` is one of them. */
const ROOTS: Partial<Record<NodeJS.Platform, (env: Machine["env"]) => string>> = {
  win32: ({ PUBLIC, SystemDrive }) => win32.dirname(PUBLIC ?? `${SystemDrive ?? "C:"}\\Users\\Public`),
  darwin: () => "/Users",
};

function orNone(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** passwd(5): login name of a user id. */
export const loginInPasswd = (passwd: string, uid: number): string | undefined =>
  passwd
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid))?.[0];

/** A service has no `USER` in its environment, and Bun knows no other source: the account database does. */
export function loginOf(uid: number | undefined, fromEnvironment: string): string {
  try {
    if (uid === undefined) return fromEnvironment;
    return loginInPasswd(readFileSync("/etc/passwd", "utf8"), uid) ?? fromEnvironment;
  } catch {
    return fromEnvironment;
  }
}
