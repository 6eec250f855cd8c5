import { messageOf } from "../../shared/observability/error-message.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { AgentSettings } from "../../shared/wire/agent-settings.ts";
import { type Hardware, isOtherMachine } from "../../shared/wire/hardware.ts";
import type { Collector } from "../../shared/wire/heartbeat.ts";
import type { HostState } from "../../shared/wire/state.ts";
import type { CatalogEntry } from "../catalogue/entry.ts";
import { createDirectiveHandler } from "../contain/apply-directive.ts";
import { userNotifier } from "../contain/notify-user.ts";
import { enforcersFor } from "../contain/platform/enforcers.ts";
import { createSignedReport } from "../contain/signed-report.ts";
import { createCloseWatch } from "../contain/state/close-watch.ts";
import { openCatalogue } from "../daemon/catalogue-update.ts";
import { createWatchdog } from "../daemon/load-governor.ts";
import { createLoop, type Loop } from "../daemon/loop.ts";
import type { Settings } from "../daemon/settings.ts";
import { acquireLock, processBirth } from "../daemon/single-instance-lock.ts";
import { type DaemonStatus, writeStatus } from "../daemon/status-file.ts";
import {
  type DeviceKey,
  deviceSigner,
  type Identity,
  loadIdentity,
  openDeviceKey,
  openSequence,
  saveIdentity,
} from "../identity/device-identity.ts";
import { takeKeySet } from "../identity/pinned-keys.ts";
import { createSession } from "../identity/session.ts";
import { takeSettings } from "../identity/tenant-settings.ts";
import { createControlClock } from "../network/control-clock.ts";
import { createPost } from "../network/control-plane-client.ts";
import { isControlPlaneHealthy } from "../network/control-plane-health.ts";
import { createCompatiblePost, olderEdgeLog } from "../network/older-edge.ts";
import { type Network, openNetwork } from "../network/outbound-network.ts";
import { NO_PROXY, proxyText } from "../network/proxy.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import type { Log } from "../platform/log.ts";
import { runCommand } from "../platform/run-command.ts";
import { sleep } from "../platform/sleep.ts";
import { codeOf, prepareDirectory } from "../platform/state-files.ts";
import { createMemory } from "../platform/trim-memory.ts";
import { createDirectivePoll } from "../report/directive-poll.ts";
import { type Connection, createSender } from "../report/heartbeat-sender.ts";
import { openSpool } from "../report/spool.ts";
import type { Targets } from "../scan/containment-targets.ts";
import type { Scanner } from "../scan/scan.ts";
import { BUILT_IN } from "./catalogue.ts";
import { COPIED_REMEDY, type Copied, enrolCopy, reportCopy, whyCopied } from "./copied-identity.ts";
import { tokenOf } from "./enrol-host.ts";
import { factsOf } from "./facts.ts";
import { logOf } from "./logging.ts";
import { type Asked, type ExitCode, fail, type Machine, type Verb } from "./machine.ts";
import { scannerOf } from "./scanner.ts";

const STATUS_EVERY_MS = 30_000;
/** Reports that a directive was refused. Sent with each heartbeat until the agent restarts. */
const FOREIGN_DIRECTIVE: Collector = {
  name: "directives",
  status: "failed",
  detail: "a directive for another machine was refused: two machines use this identity",
};

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
      // A service has no terminal: its log is where the reason is looked for.
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
  if (!lock.ok) return refuse(`already running on ${directory} as process ${lock.holder.pid}`);
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
    const loop = await assemble({ machine, log, directory, device, identity, hardware, settings, network });
    await loop.run(machine.stopping);
    log("info", "agent.stopped");
    return 0;
  } finally {
    lock.release();
  }
}

type Own =
  | { ok: true; identity: Identity; device: DeviceKey; hardware: Hardware | undefined }
  | { ok: false; reason: string };

/**
 * Identity and key of this very machine. Those of another one, which a copied disk brings along, are used for nothing
 * but to report the copy; with a token this machine enrols itself.
 */
async function ownIdentity(start: Omit<Copied, "hardware">, texts: Asked["texts"]): Promise<Own> {
  const { machine, log, directory, identity } = start;
  const device = await openDeviceKey(directory, machine.platform);
  const hardware = await machine.hardware(identity.tenantId);
  if (!hardware || !isOtherMachine(identity.hardware, hardware)) {
    const isUnknown = identity.hardware === undefined || identity.hardware.strength === "machine";
    if (!hardware || !isUnknown || identity.hardware?.id === hardware.id)
      return { ok: true, identity, device, hardware };
    const known = { ...identity, hardware };
    try {
      saveIdentity(directory, known);
    } catch (cause) {
      log("warn", "fingerprint.not-saved", { reason: codeOf(cause) });
    }
    return { ok: true, identity: known, device, hardware };
  }
  const copied = { ...start, hardware };
  const reason = whyCopied(identity, directory);
  log("error", "identity.copied", { asset: identity.assetId, state: directory });
  const token = await tokenOf(machine, texts);
  await reportCopy(copied, device);
  if (!token) return { ok: false, reason: `${reason}. ${COPIED_REMEDY}` };
  const { edgeUrl, employeeId } = identity;
  const enrolled = await enrolCopy(copied, { edgeUrl, token, employeeId });
  if (!enrolled.ok) return { ok: false, reason: `${reason}, and it was not enrolled: ${enrolled.reason}` };
  const own = await openDeviceKey(directory, machine.platform);
  return { ok: true, identity: enrolled.identity, device: own, hardware };
}

type Parts = {
  machine: Machine;
  log: Log;
  directory: string;
  device: DeviceKey;
  identity: Identity;
  /** Of this machine, for the tenant of the identity. */
  hardware: Hardware | undefined;
  settings: Settings;
  network: Network;
};

/** Builds the daemon out of its parts: the only place that knows all of them. */
async function assemble(parts: Parts): Promise<Loop> {
  const { machine, log, directory, device, identity, network } = parts;
  const { intervalMs, config } = parts.settings;
  const { clock, random } = machine;
  const { edgeUrl } = identity;
  const self = createSelf(parts);
  const spool = openSpool(directory, { log });
  const sequence = openSequence(directory, spool.lastSequence + 1, { clock, log });
  const control = createControlClock({ clock, elapsed: machine.elapsed, log });
  const post = createCompatiblePost(
    createPost({ edgeUrl, fetch: network.fetch, clock: control, wallClock: clock }),
    olderEdgeLog(log),
  );
  const catalogues = await openCatalogue({
    edgeUrl,
    directory,
    fetch: network.fetch,
    pins: () => self.now().jwks,
    builtIn: BUILT_IN,
    clock: post.clock,
    pause: () => sleep(0, machine.stopping),
    log,
  });
  const session = createSession({
    post,
    device: deviceSigner(device, identity),
    hardware: parts.hardware,
    onKeySet: (jws) => self.takeKeys(jws, post.clock()),
    onSettings: async (signed) => {
      await self.takeSettings(signed);
      void catalogues.update(machine.stopping);
    },
  });
  let targets: Targets = { certain: [], unsure: [] };
  /** With its signature, as `explain` shows it. */
  let sent: HostState["containment"] | undefined;
  const reach = (signal: AbortSignal): Promise<boolean> =>
    isControlPlaneHealthy(network.fetch, edgeUrl, signal);
  let wasForeign = false;
  const directives = createDirectiveHandler({
    directory,
    self: self.now,
    hardware: parts.hardware,
    onForeign: () => {
      wasForeign = true;
    },
    enforcers: await enforcersFor(machine, {
      directory,
      edgeUrl,
      proxy: network.proxy,
      selfPid: machine.pid,
      engines: () => targets.certain,
      unsure: () => targets.unsure,
      reach,
      sleep,
      elapsed: machine.elapsed,
      log,
      scanSoon: () => loop.scanSoon(),
    }),
    clock: control.now,
    since: control.mark(),
    elapsed: machine.elapsed,
    log,
    onReport: () => loop.reportNow(),
    onRepair: () => closeWatch.begin(),
    notifyUsers: userNotifier(machine.platform, runCommand),
  });
  const closeWatch = createCloseWatch({
    look: (signal) => directives.reassert(signal, { isQuick: true }),
    elapsed: machine.elapsed,
    sleep,
    signal: machine.stopping,
  });
  const status = statusWriter(machine, directory, () => ({
    config: config.isUsed ? config.path : undefined,
    proxy: network.proxy ? proxyText(network.proxy) : NO_PROXY,
    dropped: spool.dropped(),
    settingsRefused: self.settingsRefused(),
    containment: sent?.at === directives.report().at ? sent : directives.report(),
  }));
  const sender = createSender({
    post,
    session,
    spool,
    random,
    sleep,
    log,
    onAnswer: (answer) => {
      status.taken(answer.receivedAt);
      if (answer.directive) void directives.handle(answer.directive, machine.stopping);
    },
    onConnection: (connection) => {
      status.connection(connection);
      polling.connection(connection);
    },
  });
  const polling = createDirectivePoll({
    post,
    session,
    generation: () => directives.report().generation,
    consider: directives.handle,
    elapsed: machine.elapsed,
    random,
    sleep,
    log,
  });
  const memory = createMemory(machine);
  const watchdog = createWatchdog({
    cpuMs: machine.cpuMs,
    elapsed: machine.elapsed,
    loadPerCore: machine.loadPerCore,
    intervalMs: () => self.settings().heartbeatIntervalMs,
  });
  const scannerNow = createScannerNow(machine, () => catalogues.current().entries);
  const loop = createLoop({
    scan: async (signal, wanted) => {
      const found = await scannerNow().scan(signal, wanted);
      targets = found.targets;
      watchdog.note(found);
      memory.settle();
      const slowed = intervalMs === undefined ? watchdog.collector() : undefined;
      const foreign = wasForeign ? FOREIGN_DIRECTIVE : undefined;
      const notes = [catalogues.collector(), slowed, foreign].filter((note) => note !== undefined);
      return { ...found, collectors: [...found.collectors, ...notes] };
    },
    catalogue: () => catalogues.current().version,
    facts: { ...factsOf(machine), run: machine.runId },
    // An interval given on the command line was decided on this very host.
    settings: () =>
      intervalMs === undefined
        ? { ...self.settings(), heartbeatIntervalMs: watchdog.intervalMs() }
        : self.settings(),
    sequence,
    spool,
    sender,
    directives,
    report: createSignedReport(directives.report, device, identity, log),
    clock: control,
    elapsed: machine.elapsed,
    random,
    sleep,
    log,
    onBeat: (state) => {
      sent = state.containment;
      status.beat(state);
    },
  });
  return {
    ...loop,
    run: async (signal) => {
      await Promise.all([loop.run(signal), polling.run(signal)]);
    },
  };
}

/** A scanner for the catalogue of the moment. A new catalogue asks everything anew, so it begins with a new one. */
function createScannerNow(machine: Machine, entries: () => readonly CatalogEntry[]): () => Scanner {
  let made: { entries: readonly CatalogEntry[]; scanner: Scanner } | undefined;
  return () => {
    const wanted = entries();
    if (made?.entries !== wanted) made = { entries: wanted, scanner: scannerOf(machine, wanted) };
    return made.scanner;
  };
}

/**
 * What this host is to the control plane, as sessions change it: the tenant's settings (`--interval` goes before
 * them) and the pinned control keys. Kept for the next start.
 */
function createSelf({ identity, directory, log, settings: { intervalMs } }: Parts) {
  let current = identity;
  let refusedSettings: string | undefined;
  const save = (what: string): void => {
    try {
      saveIdentity(directory, current);
    } catch (cause) {
      log("warn", "identity.not-saved", { what, reason: codeOf(cause) });
    }
  };
  return {
    now: (): Identity => current,
    settings: (): AgentSettings =>
      intervalMs === undefined ? current.settings : { ...current.settings, heartbeatIntervalMs: intervalMs },
    /** Why the newest signed settings were not taken; undefined when they were, or there were none. */
    settingsRefused: (): string | undefined => refusedSettings,
    takeSettings: async (signed: string | undefined): Promise<void> => {
      const verdict = await takeSettings(current, signed);
      refusedSettings = verdict.is === "refused" ? verdict.reason : undefined;
      if (verdict.is === "refused") log("warn", "settings.refused", { reason: verdict.reason });
      if (verdict.is !== "taken") return;
      const { settings, settingsVersion } = verdict.identity;
      const isChange = JSON.stringify(settings) !== JSON.stringify(current.settings);
      // Only the settings: the pinned keys may have changed while the signature was checked.
      current = { ...current, settings, settingsVersion };
      if (isChange)
        log("info", "settings.changed", {
          intervalMs: settings.heartbeatIntervalMs,
          clientDirectories: settings.clientDirectories,
        });
      save("settings");
    },
    takeKeys: async (jws: string, nowMs: number): Promise<void> => {
      const verdict = await takeKeySet(current, jws, nowMs);
      if (verdict.is === "refused") log("warn", "control-keys.refused", { reason: verdict.reason });
      if (verdict.is !== "taken") return;
      // Only the keys: settings may have changed while the signature was checked.
      current = { ...current, jwks: verdict.identity.jwks, keySet: verdict.identity.keySet };
      log("info", "control-keys.rotated", { pinned: current.jwks.keys.length });
      save("control keys");
    },
  };
}

/** Writes status.json when the connection changes, and twice a minute otherwise: no write per heartbeat. */
function statusWriter(
  machine: Machine,
  directory: string,
  read: () => Pick<DaemonStatus, "config" | "proxy" | "dropped" | "settingsRefused" | "containment">,
) {
  let connection: Connection = { state: "starting" };
  let lastTakenAt: string | undefined;
  let engines = 0;
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  const write = (): void => {
    writtenAtMs = machine.elapsed();
    const { state, reason } = connection;
    const { version } = factsOf(machine);
    writeStatus(directory, {
      writtenAt: timestamp(machine.clock()),
      pid: machine.pid,
      version,
      connection: state,
      ...(reason === undefined ? {} : { reason }),
      ...(lastTakenAt === undefined ? {} : { lastTakenAt }),
      engines,
      ...read(),
    });
  };
  return {
    taken: (receivedAt: string): void => {
      lastTakenAt = receivedAt;
    },
    connection: (next: Connection): void => {
      connection = next;
      write();
    },
    beat: (state: HostState): void => {
      const isNews = engines !== state.engines.length;
      engines = state.engines.length;
      if (isNews || machine.elapsed() - writtenAtMs >= STATUS_EVERY_MS) write();
    },
  };
}
