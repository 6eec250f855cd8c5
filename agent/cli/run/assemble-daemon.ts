import { sleep } from "../../../shared/time/sleep.ts";
import type { AgentSettings } from "../../../shared/wire/agent-settings.ts";
import type { Hardware } from "../../../shared/wire/hardware.ts";
import type { Collector, ContainmentReport } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { createDirectiveHandler, type DirectiveHandler } from "../../contain/apply-directive.ts";
import { userNotifier } from "../../contain/notify-user.ts";
import { enforcersFor } from "../../contain/platform/enforcers.ts";
import { createSignedReport } from "../../contain/signed-report.ts";
import { createCloseWatch } from "../../contain/state/close-watch.ts";
import { openCatalogue } from "../../daemon/catalogue-update.ts";
import { createWatchdog } from "../../daemon/load-governor.ts";
import { createLoop, type Loop, type LoopDeps } from "../../daemon/loop.ts";
import type { Settings } from "../../daemon/settings.ts";
import { type DeviceKey, deviceSigner, type Identity, openSequence } from "../../identity/device-identity.ts";
import { createSession } from "../../identity/session.ts";
import { createControlClock } from "../../network/control-clock.ts";
import { createPost } from "../../network/control-plane-client.ts";
import { isControlPlaneHealthy } from "../../network/control-plane-health.ts";
import { createCompatiblePost, olderEdgeLog } from "../../network/older-edge.ts";
import type { Network } from "../../network/outbound-network.ts";
import { NO_PROXY, proxyText } from "../../network/proxy.ts";
import type { Log } from "../../platform/log.ts";
import { runCommand } from "../../platform/run-command.ts";
import { createMemory } from "../../platform/trim-memory.ts";
import { createDirectivePoll } from "../../report/directive-poll.ts";
import { createSender } from "../../report/heartbeat-sender.ts";
import { openSpool, type Spool } from "../../report/spool.ts";
import type { Targets } from "../../scan/containment-targets.ts";
import type { Scanner } from "../../scan/scan.ts";
import { BUILT_IN } from "../catalogue.ts";
import { factsOf } from "../facts.ts";
import type { Machine } from "../machine.ts";
import { scannerOf } from "../scanner.ts";
import { CurrentIdentity } from "./current-identity.ts";
import { StatusWriter } from "./status-writer.ts";

/** Added to each heartbeat after a directive for another machine was rejected, until the agent restarts. */
const FOREIGN_DIRECTIVE: Collector = {
  name: "directives",
  status: "failed",
  detail: "a directive for another machine was rejected: two machines use this identity",
};

export type DaemonStart = {
  machine: Machine;
  log: Log;
  /** State directory. */
  directory: string;
  device: DeviceKey;
  identity: Identity;
  /**
   * Fingerprint of this machine for the tenant of the identity. Undefined if the machine has no usable
   * identifier.
   */
  hardware: Hardware | undefined;
  settings: Settings;
  network: Network;
};

/** State that several components of the daemon read and write. */
type Shared = {
  /** Engines in the last scan, for containment. */
  targets: Targets;
  hasForeignDirective: boolean;
  /** The signed containment report of the last heartbeat, for `lz-agent explain`. */
  reported: ContainmentReport | undefined;
  /** Set last, because containment and the loop depend on each other. */
  loop: Loop | undefined;
};

type Link = Awaited<ReturnType<typeof connect>>;

/** Connects the components of the daemon. The returned daemon runs until its signal is aborted. */
export async function assembleDaemon(start: DaemonStart): Promise<Pick<Loop, "run">> {
  const { machine, log, directory, device, identity } = start;
  const shared: Shared = {
    targets: { certain: [], unsure: [] },
    hasForeignDirective: false,
    reported: undefined,
    loop: undefined,
  };
  const spool = openSpool(directory, { log });
  const sequence = openSequence(directory, spool.lastSequence + 1, { clock: machine.clock, log });
  const link = await connect(start);
  const directives = await createContainment(start, link, shared);
  const status = createStatus(start, link, { spool, directives, shared });
  const { sender, polling } = createReporting(start, link, { spool, directives, status });
  const loop = createLoop({
    ...createScanning(start, link, shared),
    facts: { ...factsOf(machine), run: machine.runId },
    sequence,
    spool,
    sender,
    directives,
    report: createSignedReport(() => directives.report(), device, identity, log),
    clock: link.control,
    elapsed: machine.elapsed,
    random: machine.random,
    sleep,
    log,
    onBeat: (state) => {
      shared.reported = state.containment;
      status.noteScan(state);
    },
  });
  shared.loop = loop;
  return {
    run: async (signal) => {
      await Promise.all([loop.run(signal), polling.run(signal)]);
    },
  };
}

/**
 * Sets up everything that the control plane can change: identity, sessions, catalogue and the client for
 * signed requests.
 */
async function connect({ machine, log, directory, device, identity, ...start }: DaemonStart) {
  const { clock, elapsed, stopping } = machine;
  const { edgeUrl } = identity;
  const { fetch } = start.network;
  const { intervalMs } = start.settings;
  const self = new CurrentIdentity({ identity, directory, intervalMs, log });
  const control = createControlClock({ clock, elapsed, log });
  const post = createCompatiblePost(
    createPost({ edgeUrl, fetch, clock: control, wallClock: clock }),
    olderEdgeLog(log),
  );
  const catalogues = await openCatalogue({
    edgeUrl,
    directory,
    fetch,
    pins: () => self.value.jwks,
    builtIn: BUILT_IN,
    clock: post.clock,
    pause: () => sleep(0, stopping),
    log,
  });
  const session = createSession({
    post,
    device: deviceSigner(device, identity),
    hardware: start.hardware,
    onKeySet: (jws) => self.takeKeys(jws, post.clock()),
    onSettings: async (signed) => {
      await self.takeSettings(signed);
      void catalogues.update(stopping);
    },
  });
  return { self, control, post, session, catalogues };
}

/**
 * Sets up containment, which carries out directives. After it has repaired an isolation, it checks the
 * isolation more often.
 */
async function createContainment(
  { machine, log, directory, identity, hardware, network }: DaemonStart,
  { self, control }: Link,
  shared: Shared,
): Promise<DirectiveHandler> {
  const { elapsed } = machine;
  const { edgeUrl } = identity;
  const directives = createDirectiveHandler({
    directory,
    self: () => self.value,
    hardware,
    onForeign: () => {
      shared.hasForeignDirective = true;
    },
    enforcers: await enforcersFor(machine, {
      directory,
      edgeUrl,
      proxy: network.proxy,
      selfPid: machine.pid,
      engines: () => shared.targets.certain,
      unsure: () => shared.targets.unsure,
      reach: (signal) => isControlPlaneHealthy(network.fetch, edgeUrl, signal),
      sleep,
      elapsed,
      log,
      scanSoon: () => shared.loop?.scanSoon(),
    }),
    clock: control.now,
    since: control.mark(),
    elapsed,
    log,
    onReport: () => shared.loop?.reportNow(),
    onRepair: () => closeWatch.begin(),
    notifyUsers: userNotifier(machine.platform, runCommand),
  });
  const closeWatch = createCloseWatch({
    check: (signal) => directives.reassert(signal, { isQuick: true }),
    elapsed,
    sleep,
    signal: machine.stopping,
  });
  return directives;
}

function createStatus(
  { machine, directory, network, settings: { config } }: DaemonStart,
  { self }: Link,
  { spool, directives, shared }: { spool: Spool; directives: DirectiveHandler; shared: Shared },
): StatusWriter {
  return new StatusWriter(machine, directory, () => {
    const containment = directives.report();
    return {
      config: config.isUsed ? config.path : undefined,
      proxy: network.proxy ? proxyText(network.proxy) : NO_PROXY,
      dropped: spool.dropped(),
      settingsRefused: self.settingsRejected,
      // If the report has not changed since the last heartbeat, use the report from that heartbeat, which
      // includes its signature.
      containment: shared.reported?.at === containment.at ? shared.reported : containment,
    };
  });
}

/** Sets up the heartbeat sender. Directives arrive in heartbeat responses and through long polls. */
function createReporting(
  { machine, log }: DaemonStart,
  { post, session }: Link,
  { spool, directives, status }: { spool: Spool; directives: DirectiveHandler; status: StatusWriter },
) {
  const { elapsed, random, stopping } = machine;
  const polling = createDirectivePoll({
    post,
    session,
    generation: () => directives.report().generation,
    consider: (jws, signal) => directives.handle(jws, signal),
    elapsed,
    random,
    sleep,
    log,
  });
  const sender = createSender({
    post,
    session,
    spool,
    random,
    sleep,
    log,
    onAnswer: (answer) => {
      status.noteAccepted(answer.receivedAt);
      if (answer.directive) void directives.handle(answer.directive, stopping);
    },
    onConnection: (connection) => {
      status.noteConnection(connection);
      polling.connection(connection);
    },
  });
  return { sender, polling };
}

/** Sets up scans with the current catalogue. The scan interval grows while this process uses too much CPU time. */
function createScanning(
  { machine, settings: { intervalMs } }: DaemonStart,
  { self, catalogues }: Link,
  shared: Shared,
): Pick<LoopDeps, "scan" | "catalogue" | "settings"> {
  const memory = createMemory(machine);
  const watchdog = createWatchdog({
    cpuMs: machine.cpuMs,
    elapsed: machine.elapsed,
    loadPerCore: machine.loadPerCore,
    intervalMs: () => self.settings.heartbeatIntervalMs,
  });
  const scanner = scannerWith(machine, catalogues);
  // The watchdog does not lengthen an interval that was set on the command line.
  const isGoverned = intervalMs === undefined;
  return {
    scan: async (signal, wanted) => {
      const found = await scanner().scan(signal, wanted);
      shared.targets = found.targets;
      watchdog.note(found);
      memory.settle();
      const notes = [
        catalogues.collector(),
        isGoverned ? watchdog.collector() : undefined,
        shared.hasForeignDirective ? FOREIGN_DIRECTIVE : undefined,
      ].filter((note) => note !== undefined);
      return { ...found, collectors: [...found.collectors, ...notes] };
    },
    catalogue: () => catalogues.current().version,
    settings: (): AgentSettings =>
      isGoverned ? { ...self.settings, heartbeatIntervalMs: watchdog.intervalMs() } : self.settings,
  };
}

/**
 * Returns the scanner for the current catalogue. A new catalogue gets a new scanner, which probes everything
 * again.
 */
function scannerWith(machine: Machine, catalogues: Link["catalogues"]): () => Scanner {
  let last: { entries: readonly CatalogEntry[]; scanner: Scanner } | undefined;
  return () => {
    const { entries } = catalogues.current();
    if (last?.entries !== entries) last = { entries, scanner: scannerOf(machine, entries) };
    return last.scanner;
  };
}
