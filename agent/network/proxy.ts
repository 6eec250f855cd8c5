/** A proxy without its credentials. This object is safe to show and to log. */
export type Proxy = { scheme: "http" | "https"; name: string; port: number };

/**
 * A proxy with its credentials. A function returns them, so that printing the object does not print the
 * credentials.
 */
export type ProxyAccess = Proxy & {
  /** Value of the Proxy-Authorization header (RFC 7617). Undefined without credentials. */
  authorization: () => string | undefined;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Value of the setting `proxy` for a direct connection. This value overrides the proxy variables in the
 * environment.
 */
export const NO_PROXY = "none";

const DEFAULT_PORTS = { "http:": 80, "https:": 443 } as const;
const EXAMPLE = "http://proxy.example.com:3128";

export type ReadProxy = { ok: true; proxy: ProxyAccess } | { ok: false; reason: string };

/** Parses a proxy address. The reason of a failure never quotes the address, which can contain a password. */
export function readProxy(text: string): ReadProxy {
  if (isPac(text)) {
    const reason = `is a PAC file, which the agent does not evaluate: set proxy to the address of the proxy itself, such as ${EXAMPLE}, and no-proxy to the hosts to reach without it`;
    return { ok: false, reason };
  }
  const refuse = {
    ok: false,
    reason: `must be the address of an http or https proxy, such as ${EXAMPLE}`,
  } as const;
  const full = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(full)) return refuse;
  const { protocol, hostname, port, pathname, search, hash, username, password } = new URL(full);
  if ((protocol !== "http:" && protocol !== "https:") || hostname === "") return refuse;
  if (pathname !== "/" || search || hash) return refuse;
  const credentials = username || password ? `${decoded(username)}:${decoded(password)}` : undefined;
  return {
    ok: true,
    proxy: {
      scheme: protocol === "https:" ? "https" : "http",
      name: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port) || DEFAULT_PORTS[protocol],
      authorization: () =>
        credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`,
    },
  };
}

/** Whether the text names a proxy auto-configuration: `pac+…`, `auto`, `wpad`, a .pac file or wpad.dat. */
const isPac = (text: string): boolean =>
  /^pac\+|^(?:auto|wpad)$/i.test(text) || /\/(?:[^/?#]*\.pac|wpad\.dat)(?:[?#].*)?$/i.test(text);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const hasCredentials = (text: string): boolean => {
  const read = readProxy(text);
  return read.ok && read.proxy.authorization() !== undefined;
};

/** Formats a proxy as `host:port` for people. IPv6 addresses are in brackets. */
export const proxyText = ({ name, port }: Pick<Proxy, "name" | "port">): string =>
  `${name.includes(":") ? `[${name}]` : name}:${port}`;

export type ProxySettings = { proxy?: string | undefined; noProxy?: string | undefined };
export type Chosen = { ok: true; proxy: ProxyAccess | undefined } | { ok: false; reason: string };

/**
 * The proxy for requests to this URL. Undefined for a direct connection. The settings override the
 * environment. Without the setting `proxy`, the environment variables apply as they do for curl.
 * `https_proxy` or `http_proxy`, by the scheme of the URL, comes before `all_proxy`, and lower case comes
 * before upper case. Empty variables are ignored. Without the setting `noProxy`, `no_proxy` lists the
 * exemptions.
 */
export function proxyFor(settings: ProxySettings, env: Environment, url: string): Chosen {
  const { protocol, hostname, host } = new URL(url);
  const scheme = protocol === "https:" ? "https_proxy" : "http_proxy";
  const found =
    settings.proxy === undefined
      ? (variable(env, scheme) ?? variable(env, "all_proxy"))
      : { name: "proxy", value: settings.proxy };
  if (found === undefined || found.value === NO_PROXY) return { ok: true, proxy: undefined };
  if (isExempt(settings.noProxy ?? variable(env, "no_proxy")?.value ?? "", hostname, host))
    return { ok: true, proxy: undefined };
  const read = readProxy(found.value);
  return read.ok ? read : { ok: false, reason: `${found.name} ${read.reason}` };
}

const NAMES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/**
 * Removes the proxy variables from the environment and returns them. Bun's `fetch` would read them on every
 * request. Without them, it uses only the proxy that {@link proxyFor} selected.
 */
export function takeProxyVariables(env: Record<string, string | undefined>): Environment {
  const taken: Record<string, string | undefined> = {};
  const names = NAMES.flatMap((name) => [name, name.toUpperCase()]);
  for (const name of names) taken[name] = env[name];
  for (const name of names) delete env[name];
  return taken;
}

function variable(env: Environment, lower: string): { name: string; value: string } | undefined {
  const name = [lower, lower.toUpperCase()].find((one) => env[one]);
  return name === undefined ? undefined : { name, value: env[name]! };
}

/**
 * Whether a host is exempt from the proxy. A name also exempts its subdomains. A name with a port exempts
 * only that port. `*` exempts every host.
 */
function isExempt(list: string, hostname: string, host: string): boolean {
  return list
    .split(",")
    .map((entry) =>
      entry
        .trim()
        .toLowerCase()
        .replace(/^\*?\./, ""),
    )
    .filter((entry) => entry !== "")
    .some((entry) => {
      const against = /:\d+$/.test(entry) && !entry.includes("::") ? host : hostname;
      return entry === "*" || against === entry || against.endsWith(`.${entry}`);
    });
}
