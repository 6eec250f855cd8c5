import { readFileSync } from "node:fs";

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
