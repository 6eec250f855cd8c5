export type Proxy = { name: string; port: number };

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/**
 * The proxy that `fetch` sends requests to this URL through, by the variables that Bun reads: `https_proxy` or
 * `http_proxy` by the scheme of the URL, then `all_proxy`, lower case before upper case, empty ones passed over;
 * `no_proxy` exempts. Undefined: requests go straight to the host.
 */
export function proxyFor(env: Readonly<Record<string, string | undefined>>, url: string): Proxy | undefined {
  const { protocol, hostname, host } = new URL(url);
  const scheme = protocol === "https:" ? "https_proxy" : "http_proxy";
  const named = variable(env, scheme) ?? variable(env, "all_proxy");
  if (named === undefined || isExempt(variable(env, "no_proxy") ?? "", hostname, host)) return undefined;
  const text = named.includes("://") ? named : `http://${named}`;
  if (!URL.canParse(text)) return undefined;
  const proxy = new URL(text);
  const port = Number(proxy.port) || DEFAULT_PORTS[proxy.protocol];
  return port === undefined ? undefined : { name: proxy.hostname.replace(/^\[|\]$/g, ""), port };
}

const variable = (env: Readonly<Record<string, string | undefined>>, name: string): string | undefined =>
  env[name] || env[name.toUpperCase()] || undefined;

/** Names exempt themselves and all below them; with a port, only that port; `*` exempts everything. */
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
