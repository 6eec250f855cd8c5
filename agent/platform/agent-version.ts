import { posix, win32 } from "node:path";
import { PRODUCT_VERSION } from "../../shared/product-version.ts";

export const AGENT_VERSION = PRODUCT_VERSION;

/**
 * Facts about the machine that the entry file reads once. The functions in this file do not read the
 * environment themselves.
 */
export type Host = {
  platform: NodeJS.Platform;
  env: Readonly<Record<string, string | undefined>>;
  isRoot: boolean;
  home: string;
};

/**
 * Directory for the agent's keys, spool and containment proof. Uses the `--state` flag, else `LZ_STATE_DIR`,
 * else the default for the platform.
 */
export function stateDirectory(host: Host, flag?: string): string {
  const wanted = flag ?? host.env.LZ_STATE_DIR;
  if (wanted) return wanted;
  if (host.platform === "win32" || host.platform === "darwin") return applicationDirectory(host);
  if (host.isRoot) return "/var/lib/lifecyclezero";
  return posix.join(xdgDirectory(host, "XDG_STATE_HOME", ".local/state"), "lifecyclezero");
}

/** Default path of the configuration file. The file is optional. */
export function configFile(host: Host): string {
  if (host.platform === "win32") return win32.join(applicationDirectory(host), "agent.json");
  if (host.platform === "darwin") return posix.join(applicationDirectory(host), "agent.json");
  if (host.isRoot) return "/etc/lifecyclezero/agent.json";
  return posix.join(xdgDirectory(host, "XDG_CONFIG_HOME", ".config"), "lifecyclezero", "agent.json");
}

/** Application data directory on Windows and macOS, which holds both configuration and state. */
function applicationDirectory(host: Host): string {
  if (host.platform === "win32")
    return win32.join(host.env.ProgramData || "C:\\ProgramData", "LifecycleZero");
  const library = host.isRoot ? "/Library" : posix.join(host.home, "Library");
  return posix.join(library, "Application Support", "LifecycleZero");
}

/**
 * Directory from an XDG variable. A variable that contains a relative path must be ignored (XDG Base
 * Directory 0.8).
 */
function xdgDirectory(host: Host, variable: string, below: string): string {
  const named = host.env[variable];
  return named?.startsWith("/") ? named : posix.join(host.home, below);
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Parses the origin of the control plane, without a trailing slash. Plain http is allowed only for loopback
 * addresses or with `--allow-http`. Without TLS, an attacker on the network could replace the keys that the
 * agent pins at enrolment.
 */
export function parseEdgeUrl(
  text: string,
  allowHttp: boolean,
): { ok: true; origin: string } | { ok: false; reason: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return { ok: false, reason: "--url must be an http or https URL" };
  }
  if (url.username || url.password || url.search || url.hash || url.pathname !== "/") {
    return { ok: false, reason: "--url must be an origin: scheme, host and port only" };
  }
  if (url.protocol === "http:" && !allowHttp && !LOOPBACK.test(url.hostname)) {
    return {
      ok: false,
      reason: "--url must use https, except for a loopback address; add --allow-http to accept the risk",
    };
  }
  return { ok: true, origin: url.origin };
}
