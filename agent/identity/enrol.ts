import {
  type EnrolmentAnswer,
  type EnrolmentRequest,
  enrolmentAnswer,
  enrolmentRequest,
} from "../../shared/wire/enrolment.ts";
import { type Answer, type Post, parseJson } from "../network/control-plane-client.ts";
import { backoffMs } from "../platform/backoff.ts";
import type { Log } from "../platform/log.ts";
import { type DeviceKey, enrolmentSigner } from "./device-identity.ts";
import { isStale } from "./session.ts";

/** Maximum number of attempts. With doubling pauses, they cover an edge that is unreachable for about two minutes. */
const ENROL_TRIES_MAX = 8;

export type EnrolDeps = {
  post: Post;
  random: () => number;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

/** `isAway`: true if no control plane responded. The network can be the cause. */
export type Enrolled =
  | { ok: true; answer: EnrolmentAnswer }
  | { ok: false; reason: string; isAway?: boolean };

/**
 * Enrols this host as an asset of the tenant that issued the token. Retries while the edge is unreachable.
 * The request is idempotent, because the edge recognises the device key. The token is not stored.
 */
export async function enrol(
  deps: EnrolDeps,
  device: DeviceKey,
  request: Omit<EnrolmentRequest, "deviceKey">,
  signal: AbortSignal,
): Promise<Enrolled> {
  const parsed = enrolmentRequest.safeParse({ ...request, deviceKey: device.x });
  if (!parsed.success) {
    const path = parsed.error.issues[0]?.path.join(".");
    return { ok: false, reason: `${path} has a format that the control plane does not accept` };
  }
  const body = JSON.stringify(parsed.data);
  let reason = "no response";
  for (let failures = 1; failures <= ENROL_TRIES_MAX && !signal.aborted; failures++) {
    const answer = await deps.post.send("enrolment", body, enrolmentSigner(device), signal);
    if (isStale(answer) && deps.post.correctClock()) continue;
    const outcome = read(answer);
    if (outcome.is === "enrolled") return { ok: true, answer: outcome.answer };
    reason = outcome.reason;
    if (outcome.is === "refused") return { ok: false, reason };
    if (failures === ENROL_TRIES_MAX) break;
    const pauseMs = backoffMs(failures, deps.random, outcome.retryAfterMs);
    deps.log("warn", "enrolment.retried", {
      reason,
      inMs: pauseMs,
    });
    await deps.sleep(pauseMs, signal);
  }
  return { ok: false, reason: `the control plane cannot be reached: ${reason}`, isAway: true };
}

type Outcome =
  | { is: "enrolled"; answer: EnrolmentAnswer }
  | { is: "refused"; reason: string }
  | { is: "away"; reason: string; retryAfterMs: number };

function read(answer: Answer): Outcome {
  if (answer.kind === "unreachable") return { is: "away", reason: answer.reason, retryAfterMs: 0 };
  const { status, problem, retryAfterMs = 0 } = answer;
  if (status >= 200 && status < 300) {
    const parsed = enrolmentAnswer.safeParse(parseJson(answer.body));
    if (parsed.success) return { is: "enrolled", answer: parsed.data };
    return { is: "refused", reason: "the response is not from a LifecycleZero control plane" };
  }
  if (problem && status >= 400 && status < 500 && status !== 429) {
    const detail = problem.detail ? `: ${problem.detail}` : "";
    return { is: "refused", reason: `${problem.title}${detail} (${problem.code})` };
  }
  if (status === 429 || status >= 500) return { is: "away", reason: `HTTP ${status}`, retryAfterMs };
  return { is: "refused", reason: `HTTP ${status} from a server that is not a LifecycleZero control plane` };
}
