import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createDirectiveHandler, type DirectiveHandler } from "../../../agent/contain/apply-directive.ts";
import { observeEnforcer } from "../../../agent/contain/modes/observe.ts";
import { createSignedReport } from "../../../agent/contain/signed-report.ts";
import { createLoop } from "../../../agent/daemon/loop.ts";
import { deviceSigner, openDeviceKey, openSequence } from "../../../agent/identity/device-identity.ts";
import { enrol } from "../../../agent/identity/enrol.ts";
import { takeKeySet } from "../../../agent/identity/pinned-keys.ts";
import { createSession } from "../../../agent/identity/session.ts";
import { takeSettings, withFirstSettings } from "../../../agent/identity/tenant-settings.ts";
import { createPost, type PostDeps } from "../../../agent/network/control-plane-client.ts";
import type { Log } from "../../../agent/platform/log.ts";
import { createDirectivePoll } from "../../../agent/report/directive-poll.ts";
import { createSender } from "../../../agent/report/heartbeat-sender.ts";
import { openSpool } from "../../../agent/report/spool.ts";
import { sleep } from "../../../shared/time/sleep.ts";
import type { AgentSettings } from "../../../shared/wire/agent-settings.ts";
import { eventually } from "../stack.ts";
import { controlClock } from "./control-clock.ts";

/**
 * A simulated agent that uses the real code for everything except the scan. Each scan result differs from the
 * previous one. So each heartbeat contains a change, which must be recorded in the table.
 */
export type SteadyAgent = {
  tenantId: string;
  assetId: string;
  /** Sequence numbers of the heartbeats that got a 202 response. */
  taken: Set<number>;
  /** Returns the tenant settings that the agent uses. */
  settings: () => AgentSettings;
  /** Returns the ids of the control keys that the agent has pinned. */
  pinned: () => string[];
  directives: DirectiveHandler;
  /** Makes the session expire. Resolves once the next heartbeat has opened a new session. */
  renew: () => Promise<void>;
  /** Stops making heartbeats, sends the waiting heartbeats, and ends the agent. */
  stop: () => Promise<void>;
  log: string[];
};

export type Fleet = {
  agents: SteadyAgent[];
  /** Each response with a status other than 202: status and code, or the connection error. */
  refusals: string[];
  renewAll: () => Promise<void>;
  stop: () => Promise<void>;
};

type Wanted = {
  count: number;
  folder: string;
  edgeUrl: string;
  token: string;
  intervalMs: number;
  fetch: PostDeps["fetch"];
};

export async function startFleet(wanted: Wanted): Promise<Fleet> {
  const refusals: string[] = [];
  const agents: SteadyAgent[] = [];
  for (let number = 1; number <= wanted.count; number++)
    agents.push(await startAgent(number, wanted, refusals));
  return {
    agents,
    refusals,
    renewAll: async () => void (await Promise.all(agents.map((agent) => agent.renew()))),
    stop: async () => void (await Promise.all(agents.map((agent) => agent.stop()))),
  };
}

async function startAgent(number: number, wanted: Wanted, refusals: string[]): Promise<SteadyAgent> {
  const { edgeUrl, intervalMs } = wanted;
  const directory = join(wanted.folder, `agent-${number}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const clock = Date.now;
  const { random } = Math;
  const told: string[] = [];
  const log: Log = (level, event, fields = {}) =>
    void told.push(`${level} ${event} ${Object.values(fields).join(" ")}`.trimEnd());
  const stopping = new AbortController();
  const taken = new Set<number>();
  let sessions = 0;

  async function observed(url: string, init: RequestInit): Promise<Response> {
    const path = new URL(url).pathname;
    if (path !== "/v1/heartbeats") return wanted.fetch(url, init);
    try {
      const answer = await wanted.fetch(url, init);
      if (answer.status === 202) taken.add(sequenceOf(init.body));
      else refusals.push(`agent ${number}: ${answer.status} ${await answer.clone().text()}`);
      return answer;
    } catch (cause) {
      const { code, message } = cause as { code?: string; message?: string };
      refusals.push(`agent ${number}: ${code ?? ""} ${message ?? ""}`);
      throw cause;
    }
  }

  const control = controlClock(clock, () => performance.now());
  const post = createPost({ edgeUrl, fetch: observed, clock: control, wallClock: clock });
  const device = await openDeviceKey(directory, process.platform);
  const hostname = `steady-${number}`;
  const employeeId = "dana";
  const enrolled = await enrol(
    { post, random, sleep, log },
    device,
    {
      token: wanted.token,
      employeeId,
      host: { hostname, os: "Linux", arch: "x64", agentVersion: "0.1.0" },
    },
    stopping.signal,
  );
  if (!enrolled.ok) throw new Error(enrolled.reason);
  const { signedSettings, ...answer } = enrolled.answer;
  let self = await withFirstSettings({ v: 1, edgeUrl, employeeId, ...answer }, signedSettings);

  const session = createSession({
    post,
    device: deviceSigner(device, self),
    onSettings: async (signed) => {
      const verdict = await takeSettings(self, signed);
      if (verdict.is === "taken") self = verdict.identity;
      if (verdict.is === "refused") log("warn", "settings.refused", { reason: verdict.reason });
      sessions++; // This call is the last step of opening a session.
    },
    onKeySet: async (jws) => {
      const verdict = await takeKeySet(self, jws, post.clock());
      if (verdict.is === "taken") self = verdict.identity;
      else log("warn", "control-keys.refused", { reason: verdict.is });
    },
  });
  const spool = openSpool(directory, { log });
  const observe = observeEnforcer(async () => true);
  const directives = createDirectiveHandler({
    directory,
    self: () => self,
    enforcers: { observe, "stop-engines": observe, network: observe },
    clock: control.now,
    since: control.mark(),
    elapsed: () => performance.now(),
    log,
    onReport: () => loop.reportNow(),
  });
  const sender = createSender({
    post,
    session,
    spool,
    random,
    sleep,
    log,
    onAnswer: ({ directive }) => {
      if (directive) void directives.handle(directive, stopping.signal);
    },
    onConnection: (connection) => polling.connection(connection),
  });
  const polling = createDirectivePoll({
    post,
    session,
    generation: () => directives.report().generation,
    consider: directives.handle,
    elapsed: () => performance.now(),
    random,
    sleep,
    log,
  });
  let scans = 0;
  let isEnding = false;
  let offered = 0;
  const loop = createLoop({
    scan: async (signal) => {
      if (isEnding) await new Promise((_, reject) => signal.addEventListener("abort", reject));
      scans++;
      return { engines: [], collectors: [{ name: "processes", status: "ok" }], durationMs: 0 };
    },
    catalogue: () => `scan-${scans}`,
    facts: { version: "0.1.0", host: { hostname, os: "Linux", arch: "x64" } },
    settings: () => ({ ...self.settings, heartbeatIntervalMs: intervalMs }),
    sequence: openSequence(directory, spool.lastSequence + 1, { clock, log }),
    spool,
    sender: {
      isKeepingUp: () => sender.isKeepingUp(),
      isRevoked: () => sender.isRevoked(),
      run: (signal) => sender.run(signal),
      offer: (heartbeat) => {
        offered++;
        sender.offer(heartbeat);
      },
    },
    directives,
    report: createSignedReport(directives.report, device, self, log),
    clock: control,
    elapsed: () => performance.now(),
    random,
    sleep,
    log,
    onBeat: () => {},
  });
  const running = Promise.all([loop.run(stopping.signal), polling.run(stopping.signal)]);

  return {
    tenantId: self.tenantId,
    assetId: self.assetId,
    taken,
    settings: () => self.settings,
    pinned: () => self.jwks.keys.map(({ kid }) => kid),
    directives,
    log: told,
    renew: async () => {
      const before = sessions;
      session.forget();
      await eventually(async () => sessions > before, 30_000);
    },
    stop: async () => {
      isEnding = true;
      await eventually(async () => taken.size === offered, 20_000).finally(() => stopping.abort());
      await running;
    },
  };
}

const sequenceOf = (body: RequestInit["body"]): number =>
  (JSON.parse(new TextDecoder().decode(body as Uint8Array<ArrayBuffer>)) as { sequence: number }).sequence;
