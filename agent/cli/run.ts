import { messageOf } from "../../shared/observability/error-message.ts";
import { sleep } from "../../shared/time/sleep.ts";
import { acquireLock, processBirth } from "../daemon/single-instance-lock.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { openNetwork } from "../network/outbound-network.ts";
import { proxyText } from "../network/proxy.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import type { Log } from "../platform/log.ts";
import { prepareDirectory } from "../platform/state-files.ts";
import { logOf } from "./logging.ts";
import { type Asked, type ExitCode, fail, type Machine, type Verb } from "./machine.ts";
import { assembleDaemon } from "./run/assemble-daemon.ts";
import { ownIdentity } from "./run/own-identity.ts";

/** Runs the daemon until it is stopped. Does not start if another daemon is running or the host is not enrolled. */
export const run: Verb = async (machine, asked) => {
  const { settings } = asked;
  const isService = asked.flags.has("service");
  const log = logOf(machine, settings, isService);
  const manager =
    isService && machine.platform === "win32"
      ? await (await import("../install/windows-manager.ts")).connectManager({ stop: machine.stop, log })
      : undefined;
  let code: ExitCode = 1;
  try {
    code = await runDaemon(machine, asked, log, (reason, refused = 1) => {
      // A service has no terminal, so the reason is written to its log.
      if (!isService) return fail(machine, reason, refused);
      log("error", "agent.not-started", { reason });
      return refused;
    });
  } catch (cause) {
    if (isService) log("error", "agent.failed", { reason: messageOf(cause) });
    throw cause;
  } finally {
    manager?.stopped(code);
  }
  return code;
};

/**
 * Runs the daemon with its lock.
 *
 * @param refuse reports why the daemon does not start, and returns the exit code (default 1)
 */
async function runDaemon(
  machine: Machine,
  { texts, settings }: Pick<Asked, "texts" | "settings">,
  log: Log,
  refuse: (reason: string, code?: ExitCode) => ExitCode,
): Promise<ExitCode> {
  const { state: directory } = settings;
  const stored = loadIdentity(directory);
  if (!stored)
    return refuse(`this host is not enrolled (no identity in ${directory}): run lz-agent enroll first`);
  const opened = openNetwork(machine, settings.network, stored.edgeUrl);
  if (!opened.ok) return refuse(opened.reason, opened.isSetting ? 2 : 1);
  const { network } = opened;
  prepareDirectory(directory, machine.platform);
  const birthOf = (pid: number): string | undefined => processBirth(pid, machine.platform);
  const lock = await acquireLock(directory, { pid: machine.pid, birthOf, sleep });
  if (!lock.ok) return refuse(`another daemon already uses ${directory} (process ${lock.holder.pid})`);
  try {
    const own = await ownIdentity({ machine, network, log, directory, identity: stored }, texts);
    if (!own.ok) return refuse(own.reason);
    const { identity, device, hardware } = own;
    log("info", "agent.started", {
      version: AGENT_VERSION,
      asset: identity.assetId,
      tenant: identity.tenantId,
      edge: identity.edgeUrl,
      proxy: network.proxy && proxyText(network.proxy),
      caFile: settings.network.caFile,
      config: settings.config.isUsed ? settings.config.path : undefined,
    });
    const start = { machine, log, directory, device, identity, hardware, settings, network };
    const daemon = await assembleDaemon(start);
    await daemon.run(machine.stopping);
    log("info", "agent.stopped");
    return 0;
  } finally {
    lock.release();
  }
}
