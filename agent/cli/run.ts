import { timestamp } from "../../shared/clock.ts";
import type { AgentSettings } from "../../shared/wire/enrolment.ts";
import type { Mode } from "../../shared/wire/heartbeat.ts";
import type { HostState } from "../../shared/wire/state.ts";
import { stateDirectory } from "../config.ts";
import type { Enforcer } from "../contain/enforcer.ts";
import { type LinuxOptions, linuxEnforcers } from "../contain/linux.ts";
import { createObedience } from "../contain/obey.ts";
import { observeEnforcer } from "../contain/observe.ts";
import { unsupportedEnforcer } from "../contain/unsupported.ts";
import { codeOf, prepareDirectory } from "../disk.ts";
import {
  type DeviceKey,
  deviceSigner,
  type Identity,
  loadIdentity,
  openDeviceKey,
  openSequence,
  saveIdentity,
} from "../identity.ts";
import { acquireLock, processBirth } from "../lock.ts";
import type { Log } from "../log.ts";
import { createLoop, type Loop } from "../loop.ts";
import { createPost } from "../post.ts";
import { type Connection, createSender } from "../send.ts";
import { createSession } from "../session.ts";
import { sleep } from "../sleep.ts";
import { openSpool } from "../spool.ts";
import { writeStatus } from "../status.ts";
import { factsOf, fail, logOf, type Machine, option, scannerOf, type Verb, WRONG_LOG } from "./machine.ts";

const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 3_600_000;
const STATUS_EVERY_MS = 30_000;
const HEALTH_TIMEOUT_MS = 3000;

export const run: Verb = async (machine, values) => {
  const log = logOf(machine, values);
  if (!log) return fail(machine, WRONG_LOG, 2);
  const interval = option(values, "interval");
  const intervalMs = interval === undefined ? undefined : Number(interval);
  if (
    intervalMs !== undefined &&
    !(Number.isInteger(intervalMs) && intervalMs >= INTERVAL_MS_MIN && intervalMs <= INTERVAL_MS_MAX)
  ) {
    return fail(
      machine,
      `--interval must be a whole number of milliseconds, ${INTERVAL_MS_MIN} to ${INTERVAL_MS_MAX}`,
      2,
    );
  }
  const directory = stateDirectory(machine, option(values, "state"));
  const identity = loadIdentity(directory);
  if (!identity)
    return fail(
      machine,
      `this host is not enrolled (no identity in ${directory}): run lz-agent enroll first`,
    );
  prepareDirectory(directory, machine.platform);
  const device = await openDeviceKey(directory, machine.platform);
  const birthOf = (pid: number): string | undefined => processBirth(pid, machine.platform);
  const lock = await acquireLock(directory, { pid: machine.pid, birthOf, sleep });
  if (!lock.ok) return fail(machine, `already running on ${directory} as process ${lock.holder.pid}`);
  try {
    log("info", "the agent runs", {
      asset: identity.assetId,
      tenant: identity.tenantId,
      edge: identity.edgeUrl,
    });
    await assemble({ machine, log, directory, device, identity, intervalMs }).run(machine.stopping);
    log("info", "the agent stopped");
    return 0;
  } finally {
    lock.release();
  }
};

type Parts = {
  machine: Machine;
  log: Log;
  directory: string;
  device: DeviceKey;
  identity: Identity;
  intervalMs: number | undefined;
};

/** Builds the daemon out of its parts: the only place that knows all of them. */
function assemble({ machine, log, directory, device, identity, intervalMs }: Parts): Loop {
  const { clock, random } = machine;
  const { edgeUrl } = identity;
  const { settings, adopt } = createSettings({ machine, log, directory, device, identity, intervalMs });
  const spool = openSpool(directory, { log });
  const sequence = openSequence(directory, spool.lastSequence + 1, { clock, log });
  const post = createPost({ edgeUrl, fetch: machine.fetch, clock, log });
  const session = createSession({
    post,
    device: deviceSigner(device, identity),
    onSettings: adopt,
  });
  let engines: HostState["engines"] = [];
  const reach = (signal: AbortSignal): Promise<boolean> => reachControlPlane(machine, edgeUrl, signal);
  const obedience = createObedience({
    directory,
    self: () => identity,
    enforcers: enforcersOf(machine, {
      directory,
      edgeUrl,
      selfPid: machine.pid,
      engines: () => engines,
      reach,
      sleep,
      log,
    }),
    clock,
    log,
    onReport: () => loop.hurry(),
  });
  const status = statusWriter(machine, directory, () => ({
    dropped: spool.dropped(),
    containment: obedience.report(),
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
      if (answer.directive) void obedience.consider(answer.directive, machine.stopping);
    },
    onConnection: status.connection,
  });
  const scanner = scannerOf(machine);
  const loop = createLoop({
    scan: (signal, wanted) => scanner.scan(signal, wanted),
    facts: factsOf(machine),
    settings,
    sequence,
    spool,
    sender,
    obedience,
    clock: post.clock,
    random,
    sleep,
    log,
    onBeat: (state) => {
      engines = state.engines;
      status.beat(state);
    },
  });
  return loop;
}

/** The tenant's settings: those of the last session, kept for the next start; `--interval` goes before them. */
function createSettings({ identity, directory, log, intervalMs }: Parts) {
  let current = identity.settings;
  return {
    settings: (): AgentSettings =>
      intervalMs === undefined ? current : { ...current, heartbeatIntervalMs: intervalMs },
    adopt: (next: AgentSettings): void => {
      if (JSON.stringify(next) === JSON.stringify(current)) return;
      current = next;
      log("info", "the tenant changed the settings", { intervalMs: next.heartbeatIntervalMs });
      try {
        saveIdentity(directory, { ...identity, settings: next });
      } catch (cause) {
        log("warn", "the settings could not be saved; the next session brings them again", {
          reason: codeOf(cause),
        });
      }
    },
  };
}

/** Blocking modes where this system and these rights allow them; elsewhere they say that they cannot. */
function enforcersOf(machine: Machine, options: LinuxOptions): Record<Mode, Enforcer> {
  const observe = observeEnforcer(options.reach);
  if (machine.platform === "linux" && machine.isRoot) return { observe, ...linuxEnforcers(options) };
  const why = machine.platform === "linux" ? "needs the agent to run as root" : undefined;
  const [network, stopEngines] = [
    unsupportedEnforcer("network", why),
    unsupportedEnforcer("stop-engines", why),
  ];
  return { observe, network, "stop-engines": stopEngines };
}

/** Over a connection of its own: one that was open before says nothing about what is reachable now. */
async function reachControlPlane(machine: Machine, edgeUrl: string, signal: AbortSignal): Promise<boolean> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  const timer = setTimeout(stop, HEALTH_TIMEOUT_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const response = await machine.fetch(`${edgeUrl}/healthz`, {
      keepalive: false,
      redirect: "manual",
      signal: controller.signal,
    });
    return response.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** Writes status.json when the connection changes, and twice a minute otherwise: no write per heartbeat. */
function statusWriter(
  machine: Machine,
  directory: string,
  read: () => { dropped: number; containment: HostState["containment"] },
) {
  let connection: Connection = { state: "starting" };
  let lastTakenAt: string | undefined;
  let engines = 0;
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  const write = (): void => {
    writtenAtMs = machine.clock();
    const { state, reason } = connection;
    const { version } = factsOf(machine);
    writeStatus(directory, {
      writtenAt: timestamp(writtenAtMs),
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
      if (isNews || Math.abs(machine.clock() - writtenAtMs) >= STATUS_EVERY_MS) write();
    },
  };
}
