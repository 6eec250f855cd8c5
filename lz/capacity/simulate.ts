import { z } from "zod";
import { messageOf } from "../../shared/observability/error-message.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { verifyDirective } from "../../shared/wire/directive.ts";
import type { EnrolmentAnswer } from "../../shared/wire/enrolment.ts";
import { type ContainmentReport, type Engine, heartbeatAnswer } from "../../shared/wire/heartbeat.ts";
import type { Signer } from "../../shared/wire/signature.ts";
import { createApi } from "../platform/api.ts";
import { type Connection, connectionOf } from "../platform/connect.ts";
import type { Deps, Verb } from "../platform/deps.ts";
import { Failure, Misuse } from "../platform/faults.ts";
import { percentile } from "../platform/percentile.ts";
import { withRetries } from "../platform/retry.ts";
import {
  type Device,
  enrolDevice,
  makeDevice,
  makeEngine,
  makeHeartbeat,
  NO_CONTAINMENT,
  openSession,
  type Send,
  sessionSigner,
  signedRequest,
} from "../platform/simulated-agents.ts";
import { count } from "../platform/text-table.ts";

/** Maximum number of heartbeats per second that one process can sign and send on schedule. */
const PER_SECOND_MAX = 4000;
const IN_FLIGHT_MAX = 512;
const ENROLLING_AT_ONCE = 16;
/** Time in seconds before a session's expiry at which the session is renewed. */
const SESSION_SPARE_SECONDS = 60;
const TIMEOUT_MS = 10_000;

type Member = {
  device: Device;
  enrolled: EnrolmentAnswer;
  hostname: string;
  engines: Engine[];
  stateSince: string;
  sequence: number;
  containment: ContainmentReport;
  session?: { signer: Signer; expiresAtSeconds: number };
};

type Tally = { sent: number; accepted: number; refused: Record<string, number>; latenciesMs: number[] };

/** Engines of risky assets. Each entry opens an incident for a different rule. */
const RISKY: readonly (() => Engine[])[] = [
  () => [makeEngine({ bind: ["0.0.0.0"] })],
  () => [makeEngine()],
  () => [makeEngine({ renamed: true, executable: "/tmp/.cache/svchost" })],
  () => [
    makeEngine({
      id: "unknown-weights",
      name: "Unknown process with weights",
      kind: "weights",
      executable: "/opt/tool/worker",
      ports: [],
      bind: [],
      auth: "unknown",
      evidence: [{ signal: "weights", detail: "a GGUF file is mapped", weight: 80 }],
      clients: [],
    }),
  ],
];

const token = z.object({ token: z.string() });

export const run: Verb = async (args, deps) => {
  const { endpoints, seconds, interval, risky } = args.integers as Record<string, number>;
  const perSecond = (endpoints! * 1000) / interval!;
  if (perSecond > PER_SECOND_MAX)
    throw new Misuse(
      `simulate: ${Math.round(perSecond)} heartbeats/s exceeds the limit of ${PER_SECOND_MAX}: use fewer --endpoints or a longer --interval`,
    );
  const connection = connectionOf(args, deps);
  const send: Send = (request) =>
    deps.fetch(new Request(request, { signal: AbortSignal.timeout(TIMEOUT_MS) }));
  const members = await enrolFleet(
    connection,
    { endpoints: endpoints!, risky: risky! },
    patient(send, deps),
    deps,
  );
  deps.note(`${count(members.length, "simulated asset")} enrolled; reporting for ${seconds} s`);
  const startedAt = performance.now();
  const tally = await report(
    members,
    { seconds: seconds!, intervalMs: interval! },
    { send, patient: patient(send, deps), connection, deps },
  );
  const tookSeconds = (performance.now() - startedAt) / 1000;
  const { latenciesMs, ...counts } = tally;
  latenciesMs.sort((a, b) => a - b);
  const latencyMs = {
    p50: percentile(latenciesMs, 0.5),
    p95: percentile(latenciesMs, 0.95),
    p99: percentile(latenciesMs, 0.99),
    max: percentile(latenciesMs, 1),
  };
  const refused = Object.entries(counts.refused).map(([why, number]) => `${number} × ${why}`);
  return {
    json: { endpoints: members.length, seconds: Number(tookSeconds.toFixed(1)), ...counts, latencyMs },
    lines: [
      `${count(counts.sent, "heartbeat")} sent in ${tookSeconds.toFixed(1)} s, ${counts.accepted} accepted`,
      ...(refused.length > 0 ? [`not accepted: ${refused.join(", ")}`] : []),
      `latency ${latencyMs.p50} ms (median), ${latencyMs.p99} ms (99 %), ${latencyMs.max} ms (maximum)`,
    ],
    code: counts.accepted === counts.sent ? 0 : 1,
  };
};

/**
 * Retries requests, because enrolments and sessions have quotas, and because the edge can be unavailable for
 * a short time.
 */
const patient = (send: Send, { clock, stop }: Deps): Send =>
  withRetries(send, {
    clock,
    stop,
    pause: (ms) => Promise.race([Bun.sleep(ms), aborted(stop)]),
  });

async function enrolFleet(
  connection: Connection,
  { endpoints, risky }: { endpoints: number; risky: number },
  send: Send,
  deps: Deps,
): Promise<Member[]> {
  // Retries are safe, because the request has an idempotency key.
  const api = createApi(connection, { fetch: send });
  const made = await api.post("/v1/enrolment-tokens", { uses: endpoints, hours: 1 }, token, {
    "idempotency-key": crypto.randomUUID(),
  });
  const riskyCount = Math.round((endpoints * risky) / 100);
  const members: Member[] = [];
  let next = 0;
  const lane = async () => {
    while (next < endpoints && !deps.stop.aborted) {
      const index = next++;
      const hostname = `sim-${String(index + 1).padStart(5, "0")}`;
      const device = await makeDevice();
      const host = { hostname, employeeId: `sim-user-${(index % 500) + 1}` };
      members.push({
        device,
        enrolled: await enrolDevice(send, connection.url, made.token, device, host),
        hostname,
        engines: index < riskyCount ? RISKY[index % RISKY.length]!() : [],
        stateSince: timestamp(deps.clock()),
        sequence: 0,
        containment: NO_CONTAINMENT,
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: ENROLLING_AT_ONCE }, lane));
  } catch (cause) {
    throw new Failure(`the fleet could not enrol: ${messageOf(cause, "no response")}`, {
      cause,
    });
  }
  return members;
}

type Sending = { send: Send; patient: Send; connection: Connection; deps: Deps };

/**
 * Sends heartbeats evenly over the interval. A slow response delays no other heartbeat. Latency counts from
 * the scheduled time.
 */
async function report(
  members: Member[],
  { seconds, intervalMs }: { seconds: number; intervalMs: number },
  sending: Sending,
): Promise<Tally> {
  const tally: Tally = { sent: 0, accepted: 0, refused: {}, latenciesMs: [] };
  const inFlight = new Set<Promise<void>>();
  const startMs = performance.now();
  const stepMs = intervalMs / members.length;
  const turns = Math.floor((seconds * 1000) / stepMs);
  for (let turn = 0; turn < turns && !sending.deps.stop.aborted; turn++) {
    const dueMs = startMs + turn * stepMs;
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await Promise.race([Bun.sleep(waitMs), aborted(sending.deps.stop)]);
    while (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
    const one = beat(members[turn % members.length]!, dueMs, intervalMs, tally, sending);
    inFlight.add(one);
    void one.finally(() => inFlight.delete(one));
  }
  await Promise.all(inFlight);
  return tally;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

async function beat(
  member: Member,
  dueMs: number,
  intervalMs: number,
  tally: Tally,
  sending: Sending,
): Promise<void> {
  const { connection, deps, send } = sending;
  tally.sent++;
  try {
    const signer = await sessionOf(member, sending);
    const heartbeat = makeHeartbeat(++member.sequence, deps.clock(), member.hostname, {
      agent: { version: "0.1.0", catalogue: "simulated", intervalMs },
      engines: member.engines,
      stateSince: member.stateSince,
      containment: member.containment,
    });
    const body = JSON.stringify(heartbeat);
    const answer = await send(await signedRequest(connection.url, "/v1/heartbeats", body, signer));
    if (answer.status === 202) {
      const { directive } = heartbeatAnswer.parse(await answer.json());
      tally.accepted++;
      tally.latenciesMs.push(Math.round((performance.now() - dueMs) * 100) / 100);
      if (directive !== undefined) await applyDirective(member, directive, deps.clock());
    } else {
      await answer.body?.cancel();
      increment(tally.refused, String(answer.status));
    }
  } catch {
    increment(tally.refused, "no response");
  }
}

const increment = (counts: Record<string, number>, name: string) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

async function sessionOf(member: Member, { patient, connection, deps }: Sending): Promise<Signer> {
  const nowSeconds = deps.clock() / 1000;
  if (!member.session || member.session.expiresAtSeconds - SESSION_SPARE_SECONDS < nowSeconds) {
    const session = await openSession(patient, connection.url, member.device, member.enrolled);
    member.session = { signer: await sessionSigner(session), expiresAtSeconds: session.expiresAtSeconds };
  }
  return member.session.signer;
}

/** Handles a directive like an agent. Reports a failure for modes that need a real host. */
async function applyDirective(member: Member, jws: string, nowMs: number): Promise<void> {
  const { tenantId, assetId, jwks } = member.enrolled;
  const wanted = await verifyDirective(jws, jwks, { tenantId, assetId }, nowMs).catch(() => undefined);
  if (!wanted || wanted.generation <= member.containment.generation) return;
  const { generation, action, mode } = wanted;
  const can = mode === "observe" || action === "release";
  const signed = await member.device.sign(member.enrolled, {
    generation,
    action,
    mode,
    outcome: can ? "applied" : "failed",
    at: timestamp(nowMs),
    ...(!can && { reason: "a simulated asset cannot be isolated" }),
  });
  member.stateSince = timestamp(nowMs);
  member.containment = signed;
}
