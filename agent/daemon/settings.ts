import { readFileSync, statSync } from "node:fs";
import { posix, win32 } from "node:path";
import { z } from "zod";
import { employeeId } from "../../shared/ids.ts";
import { tidy } from "../../shared/wire/text.ts";
import type { NetworkSettings } from "../network/outbound-network.ts";
import { hasCredentials, NO_PROXY, readProxy } from "../network/proxy.ts";
import { configFile, type Host, parseEdgeUrl, stateDirectory } from "../platform/agent-version.ts";
import { codeOf, isCode } from "../platform/state-files.ts";

const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 3_600_000;
const FILE_BYTES_MAX = 64 * 1024;
const PATH_CHARACTERS_MAX = 1024;
const PROXY_CHARACTERS_MAX = 2048;
const NO_PROXY_CHARACTERS_MAX = 8192;
const OTHERS_WRITE = 0o022;
const OTHERS_READ = 0o044;

const path = z.string().min(1).max(PATH_CHARACTERS_MAX);
const isOrigin = (text: string): boolean => parseEdgeUrl(text, true).ok;

/**
 * Settings of the agent. Their names are the names of the flags. The only secret is a proxy password, which
 * is in a file that only its owner can read. An enrolment token is not a setting. `docs/configuration.md` is
 * generated from the descriptions with `bun tools/write-configuration.ts`.
 */
export const agentSettings = z.strictObject({
  state: path
    .optional()
    .describe(
      "State directory for keys, spool and containment state. The default depends on the platform. In the configuration file, it must be an absolute path.",
    ),
  log: z.enum(["text", "json"]).optional().describe("Log format. Default: `text`, or `json` for a service."),
  "log-file": path
    .optional()
    .describe(
      "Log file, created with mode 0600 and renamed to `FILE.1` at 10 MiB. Default: stderr, or the platform's log for a service.",
    ),
  verbose: z.boolean().optional().describe("Also log details for developers. Default: `false`."),
  interval: z
    .int()
    .min(INTERVAL_MS_MIN)
    .max(INTERVAL_MS_MAX)
    .optional()
    .describe("Milliseconds between heartbeats. Default: the tenant's setting."),
  url: z.string().refine(isOrigin).optional().describe("Origin of the control plane, for `enroll`."),
  employee: employeeId
    .optional()
    .describe("Employee who uses this host, for `enroll`. Default: the user who runs the command."),
  "allow-http": z
    .boolean()
    .optional()
    .describe("Allow `enroll` to use a control plane on another host without TLS. Default: `false`."),
  proxy: z
    .string()
    .max(PROXY_CHARACTERS_MAX)
    .refine((text) => text === NO_PROXY || readProxy(text).ok)
    .optional()
    .describe("Proxy to the control plane, or `none`. Default: `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`."),
  "no-proxy": z
    .string()
    .max(NO_PROXY_CHARACTERS_MAX)
    .optional()
    .describe("Hosts that the agent reaches without the proxy, separated by commas. Default: `NO_PROXY`."),
  "ca-file": path.optional().describe("PEM file with the certificates of your own CA."),
});
type Given = z.infer<typeof agentSettings>;
export type SettingName = keyof Given;

const NAMES = Object.keys(agentSettings.shape) as SettingName[];

/** Alternative spellings that the configuration file accepts. */
const FILE_ALIASES: Readonly<Record<string, SettingName>> = { noProxy: "no-proxy", caFile: "ca-file" };

/** The requirement for each setting, for error messages. */
const MUST_BE: Readonly<Record<SettingName, string>> = {
  state: "must be the path of a directory",
  log: "must be text or json",
  "log-file": "must be the path of a file",
  verbose: "must be true or false",
  interval: `must be a whole number of milliseconds, ${INTERVAL_MS_MIN} to ${INTERVAL_MS_MAX}`,
  url: "must be an origin: http or https, host and port only",
  employee: "must be 1 to 128 letters, digits and . _ @ + -, beginning with a letter or digit",
  "allow-http": "must be true or false",
  proxy: `must be ${NO_PROXY} or the address of a proxy, at most ${PROXY_CHARACTERS_MAX} characters`,
  "no-proxy": "must be a list of hosts, separated by commas",
  "ca-file": "must be the path of a PEM file",
};

/** The message for an invalid value. It never contains the value, which can contain a password. */
function mustBe(name: SettingName, value: unknown): string {
  if (name !== "proxy" || typeof value !== "string" || value.length > PROXY_CHARACTERS_MAX)
    return MUST_BE[name];
  const read = readProxy(value);
  return read.ok ? MUST_BE[name] : read.reason;
}

/** Environment variable of each setting. */
export const VARIABLES: Readonly<Record<SettingName, string>> = {
  state: "LZ_STATE_DIR",
  log: "LZ_LOG",
  "log-file": "LZ_LOG_FILE",
  verbose: "LZ_VERBOSE",
  interval: "LZ_INTERVAL",
  url: "LZ_URL",
  employee: "LZ_EMPLOYEE",
  "allow-http": "LZ_ALLOW_HTTP",
  proxy: "LZ_PROXY",
  "no-proxy": "LZ_NO_PROXY",
  "ca-file": "LZ_CA_FILE",
};

export type Settings = {
  /** Absolute path of the state directory. */
  state: string;
  log: "text" | "json" | undefined;
  logFile: string | undefined;
  verbose: boolean;
  /** Milliseconds between heartbeats. Overrides the tenant's interval. */
  intervalMs: number | undefined;
  url: string | undefined;
  employee: string | undefined;
  allowHttp: boolean;
  /** Can contain the proxy's credentials. Pass this object only to {@link openNetwork}, and never print it. */
  network: NetworkSettings;
  /**
   * Names of the settings from flags and environment variables of this call. Other processes do not have
   * these values.
   */
  ofThisCall: readonly SettingName[];
  /** Path of the configuration file, and whether it exists. */
  config: { path: string; isUsed: boolean };
};

export type Resolved = { ok: true; settings: Settings } | { ok: false; reason: string };

/**
 * Resolves the settings of one call. Precedence: flags, environment variables, configuration file, defaults.
 * The error names all invalid settings in one line. All settings in the file are checked.
 *
 * @param wanted settings that the command uses. An invalid environment variable for any other setting is
 * ignored.
 */
export function resolveSettings(
  host: Host,
  flags: Readonly<Record<string, unknown>>,
  wanted: readonly string[],
): Resolved {
  const file = readConfig(host, flags.config);
  const known = NAMES.filter((name) => wanted.includes(name));
  const fromFlags = pick(known, (name) => flags[name]);
  const fromEnvironment = pick(known, (name) => host.env[VARIABLES[name]] || undefined);
  const problems = [
    ...file.problems,
    ...problemsOf(fromEnvironment, (name) => VARIABLES[name]),
    ...problemsOf(fromFlags, (name) => `--${name}`),
  ];
  if (problems.length > 0) return { ok: false, reason: problems.join("; ") };
  const given = agentSettings.parse({ ...file.given, ...fromEnvironment, ...fromFlags });
  const absolute = host.platform === "win32" ? win32.resolve : posix.resolve;
  const settings: Settings = {
    state: absolute(given.state ?? stateDirectory(host)),
    log: given.log,
    logFile: given["log-file"] === undefined ? undefined : absolute(given["log-file"]),
    verbose: given.verbose ?? false,
    intervalMs: given.interval,
    url: given.url,
    employee: given.employee,
    allowHttp: given["allow-http"] ?? false,
    network: {
      proxy: given.proxy,
      noProxy: given["no-proxy"],
      caFile: given["ca-file"] === undefined ? undefined : absolute(given["ca-file"]),
    },
    ofThisCall: Object.keys({ ...fromEnvironment, ...fromFlags }) as SettingName[],
    config: { path: absolute(file.path), isUsed: file.isUsed },
  };
  return { ok: true, settings };
}

type FromFile = { path: string; isUsed: boolean; given: Record<string, unknown>; problems: string[] };

function readConfig(host: Host, flag: unknown): FromFile {
  const named = typeof flag === "string" ? flag : host.env.LZ_CONFIG || undefined;
  const path = named ?? configFile(host);
  const wrong = (problem: string): FromFile => ({ path, isUsed: true, given: {}, problems: [problem] });
  let text: string;
  let mode: number;
  try {
    const found = statSync(path);
    const { size } = found;
    mode = found.mode;
    // A user who can write this file can change where keys are stored and which control plane the next
    // enrolment uses.
    if (host.platform !== "win32" && (mode & OTHERS_WRITE) !== 0)
      return wrong(`${path} is writable by others: run chmod go-w on it`);
    if (size > FILE_BYTES_MAX) return wrong(`${path} is larger than ${FILE_BYTES_MAX} bytes`);
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const isMissing = isCode(cause, "ENOENT") || isCode(cause, "ENOTDIR");
    if (isMissing && named === undefined) return { path, isUsed: false, given: {}, problems: [] };
    return wrong(`cannot read ${path} (${codeOf(cause)})`);
  }
  const object = parseObject(text);
  // Do not show the parser's message, because it can contain a secret from the file.
  if (!object) return wrong(`${path} must contain one JSON object`);
  const parsed = withoutAliases(object);
  const isAbsolute = host.platform === "win32" ? win32.isAbsolute : posix.isAbsolute;
  const relative = (["state", "log-file", "ca-file"] as const).filter((name) => {
    const value = parsed[name];
    return typeof value === "string" && value !== "" && !isAbsolute(value);
  });
  const problems = [
    ...problemsOf(parsed, (name) => `${name} in ${path}`),
    ...relative.map((name) => `${name} in ${path} must be an absolute path`),
    ...(host.platform !== "win32" && (mode & OTHERS_READ) !== 0 && holdsPassword(parsed)
      ? [`${path} contains the credentials of a proxy and can be read by others: run chmod 600 on it`]
      : []),
  ];
  return { path, isUsed: true, given: parsed, problems };
}

const holdsPassword = ({ proxy }: Record<string, unknown>): boolean =>
  typeof proxy === "string" && hasCredentials(proxy);

const withoutAliases = (given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const known = Object.hasOwn(FILE_ALIASES, name) ? FILE_ALIASES[name]! : name;
      // If a file contains both spellings, the alias is not converted and is then rejected as unknown.
      return [Object.hasOwn(given, known) ? name : known, value];
    }),
  );

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    // Some Windows editors write a byte order mark at the start of a file.
    const parsed: unknown = JSON.parse(text.replace(/^\ufeff/, ""));
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const SECRET = /token|secret|password|key/i;
const UNKNOWN_SHOWN_MAX = 5;

function problemsOf(given: Record<string, unknown>, nameOf: (name: SettingName) => string): string[] {
  const result = agentSettings.safeParse(given);
  if (result.success) return [];
  const isKnown = (name: string): name is SettingName => Object.hasOwn(agentSettings.shape, name);
  const unknown = Object.keys(given).filter((name) => !isKnown(name));
  const wrong = new Set(
    result.error.issues.map(({ path: [name] }) => name).filter((name) => name !== undefined),
  );
  return [
    ...[...wrong].map(
      (name) => `${nameOf(name as SettingName)} ${mustBe(name as SettingName, given[name as string])}`,
    ),
    ...unknown.slice(0, UNKNOWN_SHOWN_MAX).map((name) => {
      const said = nameOf(tidy(name, 40) as SettingName);
      return SECRET.test(name)
        ? `${said} is not allowed: do not put secrets in this file`
        : `${said} is unknown`;
    }),
    ...(unknown.length > UNKNOWN_SHOWN_MAX ? [`and ${unknown.length - UNKNOWN_SHOWN_MAX} more unknown`] : []),
  ];
}

/** Returns the values that are set. Converts texts to the type in the schema where possible. */
function pick(
  names: readonly SettingName[],
  valueAt: (name: SettingName) => unknown,
): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const name of names) {
    const value = valueAt(name);
    if (value !== undefined) given[name] = typeof value === "string" ? read(name, value) : value;
  }
  return given;
}

const BOOLEANS = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

function read(name: SettingName, value: string): unknown {
  if (name === "interval") return /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (name === "verbose" || name === "allow-http") return BOOLEANS.get(value) ?? value;
  return value;
}
