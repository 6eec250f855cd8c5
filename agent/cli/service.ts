import { basename, win32 } from "node:path";
import { sleep } from "../../shared/time/sleep.ts";
import { containedIn, whyContained } from "../contain/state/containment-state.ts";
import type { Settings } from "../daemon/settings.ts";
import { lockHolder, processBirth } from "../daemon/single-instance-lock.ts";
import { readStatus } from "../daemon/status-file.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { carryOut, type InstallDeps, installService } from "../install/install.ts";
import { launchd } from "../install/launchd.ts";
import type { Plan, ServiceKind, ServiceOptions } from "../install/plan.ts";
import { systemd } from "../install/systemd.ts";
import { windowsService } from "../install/windows-service.ts";
import { windowsTaskKind } from "../install/windows-task.ts";
import { openNetwork } from "../network/outbound-network.ts";
import { hasCredentials, proxyText } from "../network/proxy.ts";
import { configFile } from "../platform/agent-version.ts";
import { type RunCommand, runCommand } from "../platform/run-command.ts";
import { type ExitCode, fail, type Machine, type Verb } from "./machine.ts";

/** Service kinds of each platform, in the order in which they are tried. */
const KINDS: Partial<Record<NodeJS.Platform, readonly [ServiceKind, ...ServiceKind[]]>> = {
  linux: [systemd],
  darwin: [launchd],
  win32: [windowsService, windowsTaskKind],
};

/**
 * Installs, upgrades or removes the system service. Keys, identity and spool stay. On an isolated host, `uninstall` needs
 * `--force`, because only the service can release the host.
 */
export const service: Verb = async (machine, { flags, operands, settings }) => {
  const kinds = KINDS[machine.platform];
  if (!kinds)
    return fail(
      machine,
      `service: ${machine.platform} is not supported; start lz-agent run with your own service manager`,
    );
  const isInstall = operands[0] === "install";
  // The configuration file is at a custom path. The daemon reads a file at the default path even if the file
  // is created later.
  const isElsewhere = settings.config.isUsed && settings.config.path !== configFile(machine);
  const network: ServiceNetwork = isInstall ? networkOf(machine, settings) : { ok: true };
  if (!network.ok) return fail(machine, `service: ${network.reason}`);
  const options: Omit<ServiceOptions, "executable"> = {
    stateDirectory: settings.state,
    ...(isElsewhere && { config: settings.config.path }),
    ...network.options,
  };
  if (flags.has("print")) {
    const [kind] = kinds;
    const { executable } = kind;
    const plan = isInstall ? kind.install({ ...options, executable }) : kind.uninstall();
    for (const line of describe(plan, isInstall ? executable : undefined)) machine.print(line);
    return 0;
  }
  if (machine.platform !== "win32" && !machine.isRoot)
    return fail(machine, "service: run this command as root");
  const deps = installDepsOf(machine, settings);
  if (isInstall) return install(machine, kinds, options, deps);
  const contained = containedIn(settings.state);
  if (contained && !flags.has("force")) {
    return fail(machine, `service: ${whyContained(contained)}: release it first, or uninstall with --force`);
  }
  const code = await uninstall(machine, kinds, deps);
  if (contained && code === 0)
    machine.complain(`lz-agent: service: ${remainingContainment(contained, machine.platform)}`);
  return code;
};

type ServiceNetwork = { ok: true; options?: Pick<ServiceOptions, "network"> } | { ok: false; reason: string };

/**
 * Proxy and CA file from the flags and environment variables of this call. The service definition passes them
 * to the daemon, which does not inherit them. The daemon itself reads the configuration file. The values are
 * checked now, because a daemon that cannot connect is noticed only when its heartbeats are missing.
 */
function networkOf(machine: Machine, settings: Settings): ServiceNetwork {
  const { network, ofThisCall } = settings;
  const identity = loadIdentity(settings.state);
  let proxy = ofThisCall.includes("proxy") ? network.proxy : undefined;
  if (identity) {
    const opened = openNetwork(machine, network, identity.edgeUrl);
    if (!opened.ok) return opened;
    const { proxy: chosen } = opened.network;
    if (network.proxy === undefined && chosen) {
      if (chosen.authorization() !== undefined) return { ok: false, reason: NO_CREDENTIALS_IN_UNITS };
      proxy = `${chosen.scheme}://${proxyText(chosen)}`;
    }
  }
  if (proxy !== undefined && hasCredentials(proxy)) return { ok: false, reason: NO_CREDENTIALS_IN_UNITS };
  const noProxy = ofThisCall.includes("no-proxy") ? network.noProxy : undefined;
  const caFile = ofThisCall.includes("ca-file") ? network.caFile : undefined;
  const isEmpty = [proxy, noProxy, caFile].every((value) => value === undefined);
  return { ok: true, ...(!isEmpty && { options: { network: { proxy, noProxy, caFile } } }) };
}

const NO_CREDENTIALS_IN_UNITS =
  "the proxy has credentials, and other users can read the service definition: set proxy in the configuration file " +
  "instead, with mode 600";

type Contained = NonNullable<ReturnType<typeof containedIn>>;

/** Explains that the host stays isolated after `uninstall`, and how long rules and suspended processes remain. */
function remainingContainment(contained: Contained, platform: NodeJS.Platform): string {
  const until = platform === "win32" ? "even after a restart" : "until this host restarts";
  return (
    `${whyContained(contained)}. Rules and suspended processes remain, ${until}. ` +
    "Without the agent, modified rules are not restored. To release this host, install the service again"
  );
}

async function install(
  machine: Machine,
  kinds: readonly ServiceKind[],
  options: Omit<ServiceOptions, "executable">,
  deps: InstallDeps,
): Promise<ExitCode> {
  const { stateDirectory } = options;
  if (!loadIdentity(stateDirectory)) {
    return fail(
      machine,
      `this host is not enrolled (no identity in ${stateDirectory}): run lz-agent enroll first`,
    );
  }
  if (/^bun(x|\.exe)?$/.test(basename(machine.execPath))) {
    return fail(machine, "service: install needs the compiled lz-agent; build it with bun run build:agent");
  }
  for (const [at, kind] of kinds.entries()) {
    const { executable } = kind;
    const outcome = await installService(kind, { ...options, executable }, machine.execPath, deps);
    if (outcome.ok) {
      machine.print(`installed as a ${kind.name}, running as process ${deps.daemon()}`);
      return 0;
    }
    const next = kinds[at + 1];
    const then = next ? `; trying a ${next.name} instead` : "";
    machine.complain(`lz-agent: service: not installed as a ${kind.name}: ${outcome.reason}${then}`);
  }
  return 1;
}

async function uninstall(
  machine: Machine,
  kinds: readonly ServiceKind[],
  deps: InstallDeps,
): Promise<ExitCode> {
  for (const kind of kinds) {
    const outcome = await carryOut(kind.uninstall(), deps);
    if (!outcome.ok) return fail(machine, `service: ${outcome.reason}`);
  }
  return 0;
}

const installDepsOf = (machine: Machine, { state }: Settings): InstallDeps => ({
  platform: machine.platform,
  run: machine.platform === "win32" ? ofSystem(machine.env.SystemRoot) : runCommand,
  sleep,
  print: machine.print,
  daemon: () => {
    const holder = lockHolder(state, { birthOf: (pid) => processBirth(pid, machine.platform) });
    return holder !== undefined && readStatus(state)?.pid === holder.pid ? holder.pid : undefined;
  },
});

/**
 * Runs Windows programs by their full path. If only the name is given, Windows prefers a program in the
 * current directory.
 */
const ofSystem =
  (root = "C:\\Windows"): RunCommand =>
  ([program, ...args], stdin) =>
    runCommand([win32.join(root, "System32", `${program}.exe`), ...args], stdin);

function describe(plan: Plan, executable: string | undefined): string[] {
  return [
    ...(executable ? [`# copy this binary to ${executable}`] : []),
    ...plan.files.flatMap(({ path, content }) => [`# write ${path}`, content.replace("\ufeff", "")]),
    ...plan.commands.map(({ command }) => `# run ${command.join(" ")}`),
    ...plan.removals.map((path) => `# remove ${path}`),
  ];
}
