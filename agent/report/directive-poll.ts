import { DIRECTIVE_HOLD_MS, type DirectivePoll, directiveAnswer } from "../../shared/wire/directive-poll.ts";
import type { Session } from "../identity/session.ts";
import { type Answer, type Post, parseJson } from "../network/control-plane-client.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { Log } from "../platform/log.ts";
import { outcomeOf } from "./heartbeat-outcome.ts";
import { type Connection, REVOKED_RETRY_MS } from "./heartbeat-sender.ts";

/** Longer than the edge holds: an answer that is still not there belongs to a connection that is gone. */
const TIMEOUT_MS = DIRECTIVE_HOLD_MS + 10_000;
/** An edge that does not hold requests may learn to with its next version; heartbeats bring directives meanwhile. */
const UNSUPPORTED_RETRY_MS = 900_000;
/** Nothing sooner than this: something that answers at once, and is no edge of ours, must not be asked in a loop. */
const PAUSE_MS_MIN = 1000;

export type DirectivePollDeps = {
  post: Pick<Post, "send">;
  session: Pick<Session, "signer">;
  /** Of the newest directive obeyed. */
  generation: () => number;
  /** Resolves when the directive was carried out, or was not worth it. */
  consider: (jws: string, signal: AbortSignal) => Promise<void>;
  elapsed: () => number;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

export type DirectivePolling = {
  /** Polls only while heartbeats are taken: two ways of looking for an edge that is away are one too many. */
  connection: (connection: Connection) => void;
  run: (signal: AbortSignal) => Promise<void>;
};

/** What to do after one poll: how long to wait, and whether this counts as one more failure in a row. */
type Next = { pauseMs: number; isFailure: boolean };

/**
 * Holds one question open at the edge, so that a directive is here at once and not with the next heartbeat. What
 * comes this way is obeyed on the same terms: signature, asset, tenant, generation, expiry.
 */
export function createDirectivePoll(deps: DirectivePollDeps): DirectivePolling {
  let isOnline = false;
  let failures = 0;
  let wake: () => void = () => {};

  async function ask(signal: AbortSignal): Promise<Answer> {
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
      // One that is not obeyed comes again with every answer: it is not asked for faster than faults are.
      return deps.generation() > before ? { pauseMs: 0, isFailure: false } : failed();
    }
    if (answer.status === 404 || answer.status === 405) {
      deps.log("debug", "long-poll.unsupported");
      return { pauseMs: spread(UNSUPPORTED_RETRY_MS), isFailure: false };
    }
    // A session that is over is renewed by the next heartbeat, which meets the same refusal.
    const outcome = outcomeOf(answer);
    if (outcome.is === "revoked") return { pauseMs: REVOKED_RETRY_MS, isFailure: false };
    return failed(outcome.is === "away" ? outcome.retryAfterMs : 0);
  }

  /** A fleet that was sent away at one moment does not come back at one moment. */
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
        const next = await settle(await ask(signal), signal);
        failures = next.isFailure ? failures + 1 : 0;
        const backoff = next.isFailure ? backoffMs(failures, deps.random, next.pauseMs) : next.pauseMs;
        const tooSoonMs = PAUSE_MS_MIN - (deps.elapsed() - startedAtMs);
        const pauseMs = Math.max(backoff, tooSoonMs);
        if (pauseMs > 0) await deps.sleep(pauseMs, signal);
      }
    },
  };
}
