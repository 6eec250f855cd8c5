import { type HeartbeatAnswer, heartbeatAnswer } from "../../shared/wire/heartbeat.ts";
import { isStale, type Session } from "../identity/session.ts";
import { type Post, parseJson } from "../network/control-plane-client.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { Log } from "../platform/log.ts";
import { type Outcome, outcomeOf, outcomeWithoutSession } from "./heartbeat-outcome.ts";
import type { Spool, Waiting } from "./spool.ts";

/** Pause in milliseconds between two heartbeats from the spool. It limits the rate to ten per second. */
const SPOOL_PAUSE_MS = 100;
/**
 * Interval in milliseconds between attempts after a revocation. A revocation is permanent, but the agent
 * retries in case the edge was misconfigured.
 */
export const REVOKED_RETRY_MS = 300_000;
/** Maximum time in milliseconds that a request in flight may take after the shutdown began. */
export const STOP_GRACE_MS = 2000;
/** Maximum number of attempts: one at first, one after a new session, and one after a clock correction. */
const TRIES_MAX = 3;
const SESSION_REJECTED = {
  is: "away",
  reason: "the control plane rejects the session",
  retryAfterMs: 0,
} as const;

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
  /** Sends a heartbeat immediately, or puts it into the spool if it must wait. */
  offer: (heartbeat: Waiting) => void;
  /**
   * True while the spool is empty and the control plane is reachable, so that a new heartbeat can be sent
   * immediately.
   */
  isKeepingUp: () => boolean;
  /** True if the asset was revoked, or if the identity belongs to another machine. */
  isRevoked: () => boolean;
  /** Sends until aborted. After that, every heartbeat that was not accepted is in the spool. */
  run: (signal: AbortSignal) => Promise<void>;
};

/**
 * Creates the sender. It sends heartbeats in the order of their sequence numbers, one at a time, and waits
 * while the edge is unreachable.
 */
export const createSender = (deps: SendDeps): Sender => new HeartbeatSender(deps);

class HeartbeatSender implements Sender {
  readonly #deps: SendDeps;
  /** A heartbeat that is sent directly and was never in the spool. */
  #direct: Waiting | undefined;
  #connection: Connection = { state: "starting" };
  /** Number of failed attempts since the last success, for the backoff. */
  #failures = 0;
  #wake: () => void = () => {};

  constructor(deps: SendDeps) {
    this.#deps = deps;
  }

  offer(beat: Waiting): void {
    if (!this.#direct && this.isKeepingUp() && !this.isRevoked()) this.#direct = beat;
    else this.#deps.spool.append(beat.sequence, beat.body);
    this.#wake();
  }

  isKeepingUp(): boolean {
    return this.#deps.spool.waiting() === 0 && this.#connection.state !== "away";
  }

  isRevoked(): boolean {
    return this.#connection.state === "revoked" || this.#connection.state === "copied";
  }

  async run(signal: AbortSignal): Promise<void> {
    const { spool, sleep } = this.#deps;
    const sending = new AbortController();
    const stop = async (): Promise<void> => {
      this.#wake();
      await sleep(STOP_GRACE_MS, sending.signal);
      sending.abort();
    };
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      const beat = this.#direct ?? spool.oldest();
      if (!beat) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const outcome = await this.#deliver(beat.body, sending.signal);
      if (signal.aborted && outcome.is !== "taken") break;
      const pauseMs = this.#settle(beat, outcome);
      if (pauseMs > 0) await sleep(pauseMs, signal);
    }
    sending.abort();
    if (this.#direct) spool.append(this.#direct.sequence, this.#direct.body);
    this.#direct = undefined;
  }

  /** Sends one heartbeat. Sends the same heartbeat again after a new session or a clock correction. */
  async #deliver(body: string, signal: AbortSignal): Promise<Outcome> {
    const { session, post } = this.#deps;
    let outcome: Outcome = { is: "away", reason: "not sent", retryAfterMs: 0 };
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const opened = await session.signer(signal);
      // The session request is signed with the device key. If that signature is rejected, a retry does not
      // help.
      if (!opened.ok) return outcomeWithoutSession(opened.answer);
      const answer = await post.send("heartbeat", body, opened.signer, signal);
      outcome = outcomeOf(answer);
      if (outcome.is === "taken" && answer.kind === "answered") this.#readAccepted(answer.body);
      if (outcome.is === "renew") session.forget();
      else if (!(isStale(answer) && post.correctClock())) return outcome;
    }
    return outcome.is === "renew" ? SESSION_REJECTED : outcome;
  }

  #readAccepted(body: string): void {
    const parsed = heartbeatAnswer.safeParse(parseJson(body));
    if (parsed.success) this.#deps.onAnswer(parsed.data);
    else this.#deps.log("warn", "heartbeat.response-invalid");
  }

  /**
   * Removes the heartbeat after success, keeps it in the spool, or drops it. Returns the pause in
   * milliseconds before the next request.
   */
  #settle(beat: Waiting, outcome: Outcome): number {
    const { spool, log, random } = this.#deps;
    const isDirect = beat === this.#direct;
    if (isDirect) this.#direct = undefined;
    if (outcome.is === "taken") {
      this.#failures = 0;
      this.#become({ state: "online" });
      if (!isDirect) spool.remove(beat.sequence);
      return spool.waiting() > 0 ? SPOOL_PAUSE_MS : 0;
    }
    if (isDirect) spool.append(beat.sequence, beat.body);
    if (outcome.is === "hopeless") {
      log("error", "heartbeat.rejected", { sequence: beat.sequence, reason: outcome.reason });
      spool.drop(beat.sequence);
      return SPOOL_PAUSE_MS;
    }
    if (outcome.is === "revoked" || outcome.is === "copied") {
      this.#become({ state: outcome.is, reason: outcome.reason });
      return REVOKED_RETRY_MS;
    }
    this.#failures += 1;
    const { reason, retryAfterMs } = outcome.is === "away" ? outcome : SESSION_REJECTED;
    this.#become({ state: "away", reason });
    return backoffMs(this.#failures, random, retryAfterMs);
  }

  /** Logs and reports a change of the connection's state. */
  #become(next: Connection): void {
    const { log, spool, onConnection } = this.#deps;
    const isChange = next.state !== this.#connection.state;
    this.#connection = next;
    if (!isChange) return;
    const { reason } = next;
    const retrySeconds = REVOKED_RETRY_MS / 1000;
    if (next.state === "online") log("info", "control-plane.online", { waiting: spool.waiting() });
    if (next.state === "away") log("warn", "control-plane.away", { reason });
    if (next.state === "revoked") log("error", "asset.revoked", { reason, retrySeconds });
    if (next.state === "copied") log("error", "asset.copied", { reason, retrySeconds });
    onConnection(next);
  }
}
