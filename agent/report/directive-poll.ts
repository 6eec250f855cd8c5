import { DIRECTIVE_HOLD_MS, type DirectivePoll, directiveAnswer } from "../../shared/wire/directive-poll.ts";
import type { Session } from "../identity/session.ts";
import { type Answer, type Post, parseJson } from "../network/control-plane-client.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { Log } from "../platform/log.ts";
import { outcomeOf } from "./heartbeat-outcome.ts";
import { type Connection, REVOKED_RETRY_MS } from "./heartbeat-sender.ts";

/**
 * Timeout of a long poll in milliseconds. The edge always responds earlier, so without a response by then,
 * the connection is broken.
 */
const TIMEOUT_MS = DIRECTIVE_HOLD_MS + 10_000;
/**
 * Pause in milliseconds before the next attempt at an edge that does not support long polls. The edge may be
 * updated in the meantime. Until then, directives arrive with heartbeat responses.
 */
const UNSUPPORTED_RETRY_MS = 900_000;
/**
 * Minimum pause in milliseconds between two polls. Without it, a server that always responds immediately
 * would be polled in a tight loop.
 */
const PAUSE_MS_MIN = 1000;

export type DirectivePollDeps = {
  post: Pick<Post, "send">;
  session: Pick<Session, "signer">;
  /** Generation of the newest directive that this host has carried out. */
  generation: () => number;
  /** Resolves when the directive has been carried out or rejected. */
  consider: (jws: string, signal: AbortSignal) => Promise<void>;
  elapsed: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

export type DirectivePolling = {
  /**
   * Sets the state of the connection. The agent polls only while heartbeats are accepted. If the edge is
   * unreachable, only the sender tries to reach it.
   */
  connection: (connection: Connection) => void;
  run: (signal: AbortSignal) => Promise<void>;
};

/** The pause after a poll, and whether the poll counts as a failure for the backoff. */
type Next = { pauseMs: number; isFailure: boolean };

/**
 * Keeps one long poll open at the edge, so that a directive arrives before the next heartbeat. The directive
 * must pass the same checks as a directive in a heartbeat response: signature, asset, tenant, generation and
 * expiry.
 */
export function createDirectivePoll(deps: DirectivePollDeps): DirectivePolling {
  let isOnline = false;
  let failures = 0;
  let wake: () => void = () => {};

  async function poll(signal: AbortSignal): Promise<Answer> {
    const opened = await deps.session.signer(signal);
    if (!opened.ok) return opened.answer;
    const body: DirectivePoll = { v: 1, generation: deps.generation() };
    return deps.post.send("directive", JSON.stringify(body), opened.signer, signal, TIMEOUT_MS);
  }

  async function settle(answer: Answer, signal: AbortSignal): Promise<Next> {
    const failed = (pauseMs = 0): Next => ({ pauseMs, isFailure: true });
    if (answer.kind === "unreachable") return failed();
    if (answer.status === 204) return { pauseMs: spread(answer.retryAfterMs ?? 0), isFailure: false };
    if (answer.status === 200) {
      const parsed = directiveAnswer.safeParse(parseJson(answer.body));
      if (!parsed.success) return failed();
      const before = deps.generation();
      await deps.consider(parsed.data.directive, signal);
      // Every response repeats a rejected directive. So the rejection counts as a failure, which slows down
      // the polling.
      return deps.generation() > before ? { pauseMs: 0, isFailure: false } : failed();
    }
    if (answer.status === 404 || answer.status === 405) {
      deps.log("debug", "long-poll.unsupported");
      return { pauseMs: spread(UNSUPPORTED_RETRY_MS), isFailure: false };
    }
    // The sender renews an expired session with the next heartbeat.
    const outcome = outcomeOf(answer);
    if (outcome.is === "revoked") return { pauseMs: REVOKED_RETRY_MS, isFailure: false };
    return failed(outcome.is === "away" ? outcome.retryAfterMs : 0);
  }

  /** Adds a random share of up to 20%, so that the hosts of a fleet do not poll again at the same moment. */
  const spread = (ms: number): number => Math.round(ms * (1 + 0.2 * deps.random()));

  async function untilOnline(signal: AbortSignal): Promise<void> {
    while (!isOnline && !signal.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    connection: ({ state }) => {
      isOnline = state === "online";
      if (isOnline) wake();
    },
    run: async (signal) => {
      signal.addEventListener("abort", () => wake(), { once: true });
      while (!signal.aborted) {
        await untilOnline(signal);
        if (signal.aborted) return;
        const startedAtMs = deps.elapsed();
        const next = await settle(await poll(signal), signal);
        failures = next.isFailure ? failures + 1 : 0;
        const backoff = next.isFailure ? backoffMs(failures, deps.random, next.pauseMs) : next.pauseMs;
        const tooSoonMs = PAUSE_MS_MIN - (deps.elapsed() - startedAtMs);
        const pauseMs = Math.max(backoff, tooSoonMs);
        if (pauseMs > 0) await deps.sleep(pauseMs, signal);
      }
    },
  };
}
