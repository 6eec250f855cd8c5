import { messageOf } from "../../shared/observability/error-message.ts";
import { codeOf } from "../platform/state-files.ts";
import { readCaFile, withSystemRoots } from "./ca-file.ts";
import { type Environment, type ProxyAccess, type ProxySettings, proxyFor, proxyText } from "./proxy.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
export type NetworkSettings = ProxySettings & { caFile?: string | undefined };

/**
 * The network settings that this host uses to reach its control plane. Enrolment, daemon, containment and
 * doctor all use them.
 */
export type Network = {
  fetch: Fetch;
  /** Undefined if the agent connects to the control plane directly. */
  proxy: ProxyAccess | undefined;
  /** Root certificates to trust, as PEM. Undefined for the default roots. */
  ca: string | undefined;
};

export type NetworkDeps = {
  fetch: Fetch;
  platform: NodeJS.Platform;
  proxyVariables: Environment;
};

/**
 * `isSetting`: true if a setting is wrong. False if a file is missing or invalid, because the file can be
 * correct at the next start.
 */
export type Opened = { ok: true; network: Network } | { ok: false; reason: string; isSetting: boolean };

/**
 * Selects the proxy and the root certificates for requests to this control plane. Reads the CA file, but
 * opens no connection.
 */
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
  // `rejectUnauthorized` is set, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment cannot disable
  // certificate verification.
  const tls = { rejectUnauthorized: true, ...(ca !== undefined && { ca }) };
  if (!proxy) return { tls };
  const authorization = proxy.authorization();
  // Credentials are sent in a header and not in the URL, because a runtime error can quote the URL.
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

/** Names the proxy in the error, so that the reader does not suspect the control plane. */
function asProxyFault(cause: unknown, proxy: ProxyAccess): unknown {
  const code = codeOf(cause);
  const name = `the proxy ${proxyText(proxy)}`;
  if (UNREACHABLE.has(code)) return new Error(`${name} cannot be reached (${code})`, { cause });
  if (code !== "ERR_PROXY_TUNNEL") return cause;
  const answer = /tunnel: (.*)/.exec(messageOf(cause))?.[1] ?? "no reason given";
  return new Error(`${name} refused the connection to the control plane: ${answer}`, { cause });
}
