import { heartbeatAnswer } from "../../shared/wire/heartbeat.ts";
import { type Answer, parseJson } from "../network/control-plane-client.ts";

/** The meaning of a response for the heartbeat that was sent. */
export type Outcome =
  | { is: "taken" }
  /** The session has expired or is unknown. Open a new session. */
  | { is: "renew" }
  /** The control plane will never accept this heartbeat. */
  | { is: "hopeless"; reason: string }
  | { is: "revoked"; reason: string }
  /** The identity belongs to another machine. */
  | { is: "copied"; reason: string }
  /** The edge is unreachable or cannot accept heartbeats at the moment. */
  | { is: "away"; reason: string; retryAfterMs: number };

/**
 * The minimum response to an accepted heartbeat, from a control plane of any version. The sender checks the
 * other members with the full schema. An unknown member must not cause the agent to send the heartbeat again.
 */
const receipt = heartbeatAnswer.pick({ receivedAt: true });

/**
 * Returns the outcome of a heartbeat. A captive portal can respond with status 202 and its own page, so the
 * body must come from the edge. A proxy can respond with a 4xx status, so a heartbeat is dropped only if the
 * edge itself rejected it with an error code.
 */
export function outcomeOf(answer: Answer): Outcome {
  if (answer.kind === "unreachable") return { is: "away", reason: answer.reason, retryAfterMs: 0 };
  const { status, problem, retryAfterMs = 0 } = answer;
  if (status === 202) {
    if (receipt.safeParse(parseJson(answer.body)).success) return { is: "taken" };
    const reason = "HTTP 202 from a server that is not a LifecycleZero control plane";
    return { is: "away", reason, retryAfterMs };
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

/**
 * Returns the outcome of a heartbeat that was not sent because no session could be opened. The heartbeat
 * stays in the spool, unless the asset is revoked or the identity is copied.
 */
export function outcomeWithoutSession(answer: Answer): Outcome {
  const outcome = outcomeOf(answer);
  if (["revoked", "copied", "away"].includes(outcome.is)) return outcome;
  const reason =
    answer.kind === "answered" ? (answer.problem?.title ?? `HTTP ${answer.status}`) : answer.reason;
  return { is: "away", reason: `no session: ${reason}`, retryAfterMs: 0 };
}
