import { heartbeatAnswer } from "../../shared/wire/heartbeat.ts";
import { type Answer, parseJson } from "../network/control-plane-client.ts";

/** The meaning of a response for the heartbeat that was sent. */
export type Outcome =
  | { is: "taken" }
  /** The session has expired or is unknown: open a new one. */
  | { is: "renew" }
  /** The control plane will never accept this heartbeat. */
  | { is: "hopeless"; reason: string }
  | { is: "revoked"; reason: string }
  /** The identity belongs to another machine. */
  | { is: "copied"; reason: string }
  /** The edge cannot be reached, or cannot accept heartbeats now. */
  | { is: "away"; reason: string; retryAfterMs: number };

/**
 * The least that a control plane of any version responds to a heartbeat it accepted. The sender checks the rest with the
 * whole schema: a member that this agent does not understand must not make it send the heartbeat again.
 */
const receipt = heartbeatAnswer.pick({ receivedAt: true });

/**
 * The outcome of a heartbeat. A captive portal may respond 202 with its own page, so the body must be the edge's. Likewise a
 * heartbeat is given up only if the edge itself rejected it (with an error code): a proxy may respond 4xx too.
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

/** The outcome of a heartbeat that was not sent because no session could be opened: it waits, unless the asset is blocked. */
export function outcomeWithoutSession(answer: Answer): Outcome {
  const outcome = outcomeOf(answer);
  if (["revoked", "copied", "away"].includes(outcome.is)) return outcome;
  const reason =
    answer.kind === "answered" ? (answer.problem?.title ?? `HTTP ${answer.status}`) : answer.reason;
  return { is: "away", reason: `no session: ${reason}`, retryAfterMs: 0 };
}
