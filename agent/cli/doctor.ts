import type { Settings } from "../daemon/settings.ts";
import { type Check, failed, passed, skipped } from "../doctor/check.ts";
import { checkConnection, checkName, checkTunnel, type Target } from "../doctor/connection.ts";
import { checkClock, checkControlPlane, checkSession } from "../doctor/control-plane.ts";
import { checkEnrolment, checkService, checkStateDirectory } from "../doctor/host.ts";
import { checkTls } from "../doctor/tls.ts";
import { type Network, openNetwork } from "../network/outbound-network.ts";
import { NO_PROXY, proxyText } from "../network/proxy.ts";
import { parseEdgeUrl } from "../platform/agent-version.ts";
import type { Asked, ExitCode, Machine, Verb } from "./machine.ts";

type Flags = Pick<Asked, "flags">;

/** Checks everything that the agent needs, from settings to daemon, and says how to fix each failure. */
export const doctor: Verb = async (machine, { flags, texts, settings }) => {
  const { state } = settings;
  const checks: Check[] = [];
  const isPreflight = texts.url !== undefined;
  checks.push(checkStateDirectory(state, machine.platform, machine.pid));
  const { check, identity } = checkEnrolment(state, machine.isRoot, isPreflight);
  checks.push(check);
  const url = texts.url ?? identity?.edgeUrl ?? settings.url;
  const configured = configuration(machine, settings, url);
  checks.unshift(configured.check);
  const { network, edgeUrl } = configured;
  if (network && edgeUrl) {
    const reached = await checkNetwork(machine, settings, network, edgeUrl);
    checks.push(...reached);
    const isReached = reached.every(({ status, name }) => status !== "failed" || name === "clock");
    if (identity && identity.edgeUrl === edgeUrl)
      checks.push(
        ...(isReached
          ? await checkSession(
              {
                ...machine,
                identity,
                directory: state,
                fetch: network.fetch,
                hardware: await machine.hardware(identity.tenantId),
              },
              machine.stopping,
            )
          : [skipped("session", "the control plane cannot be reached")]),
      );
  }
  const proxy = network && (network.proxy ? proxyText(network.proxy) : NO_PROXY);
  checks.push(checkService(state, machine.platform, identity !== undefined, proxy));
  return report(machine, { flags }, checks);
};

/**
 * Reports invalid settings as a failed check, so that the doctor can explain them. All other commands end
 * with an error instead.
 */
export function reportBadSettings(machine: Machine, args: Flags, reason: string): ExitCode {
  return report(machine, args, [failedSetting(reason)]);
}

/** A failed check for invalid settings. If only one setting is invalid, its reason contains the fix after a colon. */
function failedSetting(reason: string): Check {
  const at = reason.indexOf(": ");
  const [detail, cure] =
    at < 0 || reason.includes("; ")
      ? [reason, "correct each setting listed here"]
      : [reason.slice(0, at), reason.slice(at + 2)];
  return failed("configuration", detail, cure);
}

type Configured = { check: Check; network?: Network; edgeUrl?: string };

function configuration(machine: Machine, settings: Settings, url: string | undefined): Configured {
  const { config, network: wanted, allowHttp } = settings;
  const file = config.isUsed ? config.path : `no file (${config.path} does not exist)`;
  if (url === undefined)
    return {
      check: failed(
        "configuration",
        `${file}; the URL of the control plane is unknown, so the network was not checked`,
        "give --url URL, or set url in the configuration file",
      ),
    };
  const parsed = parseEdgeUrl(url, allowHttp);
  if (!parsed.ok)
    return { check: failed("configuration", parsed.reason, "correct url: https://lz.example.com") };
  const opened = openNetwork(machine, wanted, parsed.origin);
  if (!opened.ok) return { check: failedSetting(opened.reason) };
  const { network } = opened;
  const parts = [
    file,
    `proxy ${network.proxy ? proxyText(network.proxy) : NO_PROXY}`,
    ...(wanted.caFile === undefined ? [] : [`ca-file ${wanted.caFile}`]),
  ];
  return { check: passed("configuration", parts.join(", ")), network, edgeUrl: parsed.origin };
}

/** Checks name resolution, connection, TLS, control plane and clock, in the order in which a request uses them. */
async function checkNetwork(
  machine: Machine,
  { network: { caFile } }: Settings,
  network: Network,
  edgeUrl: string,
): Promise<Check[]> {
  const { proxy, ca } = network;
  const url = new URL(edgeUrl);
  const isTls = url.protocol === "https:";
  const target: Target = {
    name: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (isTls ? 443 : 80),
  };
  const checks: Check[] = [];
  let dateMs: number | undefined;
  checks.push(await checkName(target, proxy));
  const { check, socket } = await checkConnection(target, proxy);
  let last = check;
  // A plain HTTP request needs no tunnel. For a proxy that is reached over TLS, only the proxy's own
  // certificate is checked.
  const isTunnelled = proxy?.scheme === "http" && isTls;
  if (socket && isTunnelled) last = await checkTunnel(socket, proxy, target);
  checks.push(last);
  const secured = proxy?.scheme === "https" ? proxy : isTls ? target : undefined;
  if (secured === undefined) checks.push(skipped("tls", "the control plane is used without TLS"));
  else if (!socket || last.status !== "ok") checks.push(skipped("tls", "there is no connection"));
  else {
    const seen = await checkTls(socket, { target: secured, ca, caFile, nowMs: machine.clock() });
    checks.push(seen.check);
    if (secured === target) dateMs = seen.dateMs;
  }
  socket?.destroy();
  const answered = await checkControlPlane(network.fetch, edgeUrl, machine.stopping);
  checks.push(answered.check);
  checks.push(checkClock(answered.dateMs ?? dateMs, machine.clock(), machine.platform));
  return checks;
}

const MARKS = { ok: "ok     ", failed: "FAILED ", skipped: "-      " } as const;

function report(machine: Machine, { flags }: Flags, checks: readonly Check[]): ExitCode {
  const failures = checks.filter(({ status }) => status === "failed").length;
  if (flags.has("json")) machine.print(JSON.stringify({ ok: failures === 0, checks }));
  else {
    for (const check of checks) {
      machine.print(`${MARKS[check.status]} ${check.name.padEnd(16)} ${check.detail}`);
      if (check.status === "failed") machine.print(`${" ".repeat(8)}${"fix:".padStart(16)} ${check.cure}`);
    }
    machine.print(failures === 0 ? "no failures" : `${failures} of ${checks.length} checks failed`);
  }
  return failures === 0 ? 0 : 1;
}
