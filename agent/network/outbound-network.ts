import { messageOf } from "../../shared/observability/error-message.ts";
import { codeOf } from "../platform/state-files.ts";
import { readCaFile, withSystemRoots } from "./ca-file.ts";
import { type Environment, type ProxyAccess, type ProxySettings, proxyFor, proxyText } from "./proxy.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
export type NetworkSettings = ProxySettings & { caFile?: string | undefined };

/** How this host reaches its control plane. Enrolment, daemon, containment and doctor share this one decision. */
export type Network = {
  fetch: Fetch;
  /** Undefined: straight to the control plane. */
  proxy: ProxyAccess | undefined;
  /** PEM roots to trust; undefined: the default ones. */
  ca: string | undefined;
};

export type NetworkDeps = {
  fetch: Fetch;
  platform: NodeJS.Platform;
  proxyVariables: Environment;
};

/** `isSetting`: the settings are wrong and stay so; else a file is, which may yet be put there. */
export type Opened = { ok: true; network: Network } | { ok: false; reason: string; isSetting: boolean };

/** Decides proxy and roots for requests to this control plane. Reads the CA file; connects to nothing. */
export function openNetwork(deps: NetworkDeps, settings: NetworkSettings, edgeUrl: string): Opened {
  const chosen = proxyFor(settings, deps.proxyVariables, edgeUrl);
  if (!chosen.ok) return { ...chosen, isSetting: true };
  const { proxy } = chosen;
  let ca: string | undefined;
  if (settings.caFile !== undefined) {
    const read = readCaFile(settings.caFile, deps.platform);
    if (!read.ok) return { ...read, isSetting: false };
    ca = withSystemRoots(read.certificates);
  }
  const options = requestOptions(proxy, ca);
  return {
    ok: true,
    network: {
      proxy,
      ca,
      fetch: async (url, init) => {
        try {
          return await deps.fetch(url, { ...init, ...options });
        } catch (cause) {
          throw proxy ? asProxyFault(cause, proxy) : cause;
        }
      },
    },
  };
}

function requestOptions(
  proxy: ProxyAccess | undefined,
  ca: string | undefined,
): Pick<BunFetchRequestInit, "tls" | "proxy"> {
  // NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment must not switch the check off.
  const tls = { rejectUnauthorized: true, ...(ca !== undefined && { ca }) };
  if (!proxy) return { tls };
  const authorization = proxy.authorization();
  // Credentials go in a header of their own: a fault of the runtime may quote the URL.
  const headers: Record<string, string> =
    authorization === undefined ? {} : { "proxy-authorization": authorization };
  return { tls, proxy: { url: `${proxy.scheme}://${proxyText(proxy)}`, headers } };
}

const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "EAI_AGAIN",
]);

/** Names the proxy, so that the fault is not looked for at the control plane. */
function asProxyFault(cause: unknown, proxy: ProxyAccess): unknown {
  const code = codeOf(cause);
  const name = `the proxy ${proxyText(proxy)}`;
  if (UNREACHABLE.has(code)) return new Error(`${name} cannot be reached (${code})`, { cause });
  if (code !== "ERR_PROXY_TUNNEL") return cause;
  const answer = /tunnel: (.*)/.exec(messageOf(cause))?.[1] ?? "no reason given";
  return new Error(`${name} refused the connection to the control plane: ${answer}`, { cause });
}
