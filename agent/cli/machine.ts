import { readdirSync, readFileSync } from "node:fs";
import { arch, hostname, release, type } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { catalogueVersion } from "../catalog/list.ts";
import { systemReaders } from "../collect/system.ts";
import { AGENT_VERSION, type Host } from "../config.ts";
import { createLog, type Log } from "../log.ts";
import { createScanner, type Scanner } from "../scan.ts";
import type { Values } from "./arguments.ts";

/** All that the commands take from the process they run in. The entry file makes it; tests make another. */
export type Machine = Host & {
  pid: number;
  /** Of this very binary, or of Bun when run from source. */
  execPath: string;
  user: string;
  clock: Clock;
  elapsed: () => number;
  /** Processor time of this process so far, milliseconds. */
  cpuMs: () => number;
  /** Load average of the last minute per core; 0 where the system has none. */
  loadPerCore: () => number;
  random: () => number;
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  print: (line: string) => void;
  complain: (line: string) => void;
  /** Aborted by SIGTERM, SIGINT or, on Windows, Ctrl-C. */
  stopping: AbortSignal;
};

/** What a command ends with: 0 done, 1 could not be done, 2 was asked wrongly. */
export type ExitCode = 0 | 1 | 2;
export type Verb = (machine: Machine, values: Values, word: string | undefined) => Promise<ExitCode>;

export const fail = (machine: Machine, line: string, code: ExitCode = 1): ExitCode => {
  machine.complain(`lz-agent: ${line}`);
  return code;
};

/** Text of an option, undefined when it was not given. */
export const option = (values: Values, name: string): string | undefined => {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
};

export function logOf(machine: Machine, values: Values): Log | undefined {
  const format = option(values, "log") ?? "text";
  if (format !== "text" && format !== "json") return undefined;
  return createLog({
    write: machine.complain,
    clock: machine.clock,
    format,
    level: values.verbose === true ? "debug" : "info",
  });
}

export const WRONG_LOG = "--log must be text or json";

/** `entries` are what to look for; by default what this agent was built with. */
export function scannerOf(machine: Machine, entries?: readonly CatalogEntry[]): Scanner {
  return createScanner(
    systemReaders({
      ...(entries && { catalogue: entries }),
      platform: machine.platform,
      procRoot: "/proc",
      selfPid: machine.pid,
      homes: machine.isRoot ? allHomes(machine) : [machine.home],
      clock: machine.clock,
      elapsed: machine.elapsed,
    }),
  );
}

const FIRST_USER_ID = 1000;

/** Homes of the people of this host: where models lie. Only root can look into all of them. */
function allHomes(machine: Machine): string[] {
  try {
    if (machine.platform === "linux") return homesInPasswd(readFileSync("/etc/passwd", "utf8"));
    const root =
      machine.platform === "win32" ? join(machine.env.SystemDrive ?? "C:", "\\", "Users") : "/Users";
    const named = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...new Set([machine.home, ...named.map((entry) => join(root, entry.name))])];
  } catch {
    return [machine.home];
  }
}

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

export type Facts = Pick<Heartbeat, "host"> & { version: string; catalogue: string };

export function factsOf(machine: Machine): Facts {
  return {
    version: AGENT_VERSION,
    catalogue: catalogueVersion,
    host: {
      hostname: tidy(hostname(), 253),
      os: tidy(osName(machine.platform), 120),
      arch: tidy(arch(), 20),
    },
  };
}

function osName(platform: NodeJS.Platform): string {
  if (platform === "linux") {
    try {
      // os-release(5)
      const pretty = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync("/etc/os-release", "utf8"));
      if (pretty) return `${pretty[1]} (Linux ${release()})`;
    } catch {
      // Not every distribution has the file.
    }
  }
  const names: Partial<Record<NodeJS.Platform, string>> = { darwin: "macOS, Darwin", win32: "Windows" };
  return `${names[platform] ?? type()} ${release()}`;
}
