import { type HeartbeatAnswer, heartbeatAnswer } from "../../shared/wire/heartbeat.ts";
import { isStale, type Session } from "../identity/session.ts";
import { type Answer, type Post, parseJson } from "../network/control-plane-client.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { Log } from "../platform/log.ts";
import type { Spool, Waiting } from "./spool.ts";

/** Between two heartbeats out of the spool: at most ten a second, whatever was missed. */
const SPOOL_PAUSE_MS = 100;
/** A revocation is for good; it is asked about this seldom, should the edge have been set up wrongly for a while. */
export const REVOKED_RETRY_MS = 300_000;
/** How long a send under way may still take once the daemon was told to stop. */
export const STOP_GRACE_MS = 2000;
/** One renewal of the session and one correction of the clock, each tried once. */
const TRIES_MAX = 3;

export type Judgement =
  | { is: "taken" }
  /** The session is over or unknown: ask for a new one. */
  | { is: "renew" }
  /** Can never be taken, however often it is sent. */
  | { is: "hopeless"; reason: string }
  | { is: "revoked"; reason: string }
  /** The identity belongs to another machine. */
  | { is: "copied"; reason: string }
  /** The edge is not there, or not able now. */
  | { is: "away"; reason: string; retryAfterMs: number };

/**
 * The least that a control plane of any version answers to a heartbeat it took. The rest is checked by its own schema:
 * a member this agent does not understand must not make it send the heartbeat again.
 */
const receipt = heartbeatAnswer.pick({ receivedAt: true });

/**
 * What an answer means for the heartbeat. A captive portal may answer 202 with its page, so the body has to be the
 * edge's own. Only the edge's own refusals (with its code) give a heartbeat up: a
 * captive portal or a proxy answers 4xx too, and knows nothing of us.
 */
export function judge(answer: Answer): Judgement {
  if (answer.kind === "unreachable") return { is: "away", reason: answer.reason, retryAfterMs: 0 };
  const { status, problem, retryAfterMs = 0 } = answer;
  if (status === 202) {
    if (receipt.safeParse(parseJson(answer.body)).success) return { is: "taken" };
    return {
      is: "away",
      reason: "HTTP 202 from something that is no LifecycleZero control plane",
      retryAfterMs,
    };
  }
  const reason = problem
    ? `${problem.title}${problem.detail ? `: ${problem.detail}` : ""} (${problem.code})`
    : `HTTP ${status}`;
  if (problem?.code === "asset.revoked") return { is: "revoked", reason };
  if (problem?.code === "asset.copied") return { is: "copied", reason };
  if (status === 401 && problem && problem.code !== "wire.stale") return { is: "renew" };
  if (problem?.code.startsWith("wire.") && (status === 400 || status === 413))
    return { is: "hopeless", reason };
  return { is: "away", reason, retryAfterMs };
}

export type Connection = { state: "starting" | "online" | "away" | "revoked" | "copied"; reason?: string };

export type SendDeps = {
  post: Post;
  session: Session;
  spool: Spool;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
  onAnswer: (answer: HeartbeatAnswer) => void;
  onConnection: (connection: Connection) => void;
};

export type Sender = {
  /** Hands a heartbeat over. It goes out at once, or waits in the spool behind those before it. */
  offer: (heartbeat: Waiting) => void;
  /** True while nothing waits: every heartbeat is worth making. */
  isKeepingUp: () => boolean;
  /** The asset was revoked, or belongs to another machine. */
  isRevoked: () => boolean;
  /** Sends until aborted. Then what is still in hand is in the spool. */
  run: (signal: AbortSignal) => Promise<void>;
};

/** Sends heartbeats in the order of their sequence, one at a time; a missing edge is waited for. */
export function createSender(deps: SendDeps): Sender {
  let direct: Waiting | undefined;
  let connection: Connection = { state: "starting" };
  let failures = 0;
  let wake: () => void = () => {};

  function become(next: Connection): void {
    const changed = next.state !== connection.state;
    connection = next;
    if (!changed) return;
    const waiting = deps.spool.waiting();
    if (next.state === "online") deps.log("info", "control-plane.online", { waiting });
    if (next.state === "away") {
      deps.log("warn", "control-plane.away", { reason: next.reason });
    }
    if (next.state === "revoked") {
      deps.log("error", "asset.revoked", {
        reason: next.reason,
        retrySeconds: REVOKED_RETRY_MS / 1000,
      });
    }
    if (next.state === "copied") {
      deps.log("error", "asset.copied", {
        reason: next.reason,
        retrySeconds: REVOKED_RETRY_MS / 1000,
      });
    }
    deps.onConnection(next);
  }

  const isRefused = () => connection.state === "revoked" || connection.state === "copied";

  async function deliver(body: string, signal: AbortSignal): Promise<Judgement> {
    let judgement: Judgement = { is: "away", reason: "not sent", retryAfterMs: 0 };
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const opened = await deps.session.signer(signal);
      // The session is asked for with the device key: a refusal of that one is not cured by asking again.
      if (!opened.ok) return asAway(judge(opened.answer), opened.answer);
      const answer = await deps.post.send("heartbeat", body, opened.signer, signal);
      judgement = judge(answer);
      if (judgement.is === "taken" && answer.kind === "answered") readTaken(answer.body);
      if (judgement.is === "renew") deps.session.forget();
      else if (!(isStale(answer) && deps.post.correctClock())) return judgement;
    }
    return judgement.is === "renew"
      ? { is: "away", reason: "the session is not accepted", retryAfterMs: 0 }
      : judgement;
  }

  function readTaken(body: string): void {
    const parsed = heartbeatAnswer.safeParse(parseJson(body));
    if (parsed.success) deps.onAnswer(parsed.data);
    else deps.log("warn", "heartbeat.response-invalid");
  }

  /** Settles one heartbeat by what became of it, and says how long to wait before the next try. */
  function settle(beat: Waiting, judgement: Judgement): number {
    const fromSpool = beat !== direct;
    if (judgement.is === "taken") {
      failures = 0;
      become({ state: "online" });
      if (fromSpool) deps.spool.remove(beat.sequence);
      else direct = undefined;
      return deps.spool.waiting() > 0 ? SPOOL_PAUSE_MS : 0;
    }
    if (!fromSpool) {
      direct = undefined;
      deps.spool.append(beat.sequence, beat.body);
    }
    if (judgement.is === "hopeless") {
      deps.log("error", "heartbeat.rejected", {
        sequence: beat.sequence,
        reason: judgement.reason,
      });
      deps.spool.drop(beat.sequence);
      return SPOOL_PAUSE_MS;
    }
    if (judgement.is === "revoked" || judgement.is === "copied") {
      become({ state: judgement.is, reason: judgement.reason });
      return REVOKED_RETRY_MS;
    }
    failures += 1;
    const away =
      judgement.is === "away" ? judgement : { reason: "the session is not accepted", retryAfterMs: 0 };
    become({ state: "away", reason: away.reason });
    return backoffMs(failures, deps.random, away.retryAfterMs);
  }

  async function run(signal: AbortSignal): Promise<void> {
    const sending = new AbortController();
    const stop = async (): Promise<void> => {
      wake();
      await deps.sleep(STOP_GRACE_MS, sending.signal);
      sending.abort();
    };
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      const beat = direct ?? deps.spool.oldest();
      if (!beat) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const judgement = await deliver(beat.body, sending.signal);
      if (signal.aborted && judgement.is !== "taken") break;
      const pauseMs = settle(beat, judgement);
      if (pauseMs > 0) await deps.sleep(pauseMs, signal);
    }
    sending.abort();
    if (direct) deps.spool.append(direct.sequence, direct.body);
    direct = undefined;
  }

  return {
    offer: (beat) => {
      if (!direct && deps.spool.waiting() === 0 && connection.state !== "away" && !isRefused()) {
        direct = beat;
      } else deps.spool.append(beat.sequence, beat.body);
      wake();
    },
    isKeepingUp: () => deps.spool.waiting() === 0 && connection.state !== "away",
    isRevoked: isRefused,
    run,
  };
}

/** A refused session leaves the heartbeat waiting, unless the asset was revoked or belongs to another machine. */
function asAway(judgement: Judgement, answer: Answer): Judgement {
  if (["revoked", "copied", "away"].includes(judgement.is)) return judgement;
  const reason =
    answer.kind === "answered" ? (answer.problem?.title ?? `HTTP ${answer.status}`) : answer.reason;
  return { is: "away", reason: `no session: ${reason}`, retryAfterMs: 0 };
}
