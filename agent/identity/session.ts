import { fromBase64url } from "../../shared/encoding/bytes.ts";
import { type SessionRequest, sessionAnswer } from "../../shared/wire/enrolment.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import { importHmacKey, type Signer } from "../../shared/wire/signature.ts";
import { type Answer, type Post, parseJson } from "../network/control-plane-client.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";

/** Share of a session's lifetime after which the agent renews the session, while it is still valid. */
const RENEW_AT = 0.8;

export type SessionDeps = {
  post: Post;
  device: Signer;
  /** Fingerprint of this machine. */
  hardware?: Hardware | undefined;
  /**
   * Called with the tenant's settings, signed by a control key. The value is undefined if the control plane
   * has no settings.
   */
  onSettings: (signed: string | undefined) => void | Promise<void>;
  /** Called with a signed set of control keys while a control key is being rotated. */
  onKeySet?: (jws: string) => Promise<void>;
};

export type Session = {
  /**
   * Returns the signer of the current session. Opens a session if none is open or the current one must be
   * renewed.
   */
  signer: (signal: AbortSignal) => Promise<{ ok: true; signer: Signer } | { ok: false; answer: Answer }>;
  /** Discards the session, because the edge no longer accepts it. */
  forget: () => void;
};

/** Opens and renews sessions. The session key is only in memory, so a new session is opened after a restart. */
export function createSession(deps: SessionDeps): Session {
  let current: { signer: Signer; renewAtMs: number; expiresAtMs: number } | undefined;

  async function open(signal: AbortSignal): Promise<Answer | undefined> {
    const body = JSON.stringify(sessionBody(deps.hardware));
    let answer = await deps.post.send("session", body, deps.device, signal);
    if (isStale(answer) && deps.post.correctClock()) {
      answer = await deps.post.send("session", body, deps.device, signal);
    }
    if (answer.kind !== "answered" || answer.status < 200 || answer.status > 299) return answer;
    const parsed = sessionAnswer.safeParse(parseJson(answer.body));
    const key = parsed.success ? fromBase64url(parsed.data.key) : undefined;
    if (!parsed.success || !key)
      return { kind: "unreachable", reason: "the response to the session request has an unexpected form" };
    const nowMs = deps.post.clock();
    const expiresAtMs = parsed.data.expiresAtSeconds * 1000;
    current = {
      signer: {
        keyid: parsed.data.keyid,
        algorithm: "hmac-sha256",
        key: await importHmacKey(key, ["sign"]),
      },
      renewAtMs: nowMs + RENEW_AT * (expiresAtMs - nowMs),
      expiresAtMs,
    };
    // Pin new keys first, because one of them may already have signed the settings.
    if (parsed.data.keySet !== undefined) await deps.onKeySet?.(parsed.data.keySet);
    await deps.onSettings(parsed.data.signedSettings);
    return undefined;
  }

  return {
    forget: () => {
      current = undefined;
    },
    signer: async (signal) => {
      const nowMs = deps.post.clock();
      if (current && nowMs < current.renewAtMs) return { ok: true, signer: current.signer };
      const failure = await open(signal);
      if (failure === undefined) return { ok: true, signer: current!.signer };
      // The renewal failed, but the current session is still valid.
      if (current && nowMs < current.expiresAtMs && !isRefused(failure))
        return { ok: true, signer: current.signer };
      return { ok: false, answer: failure };
    },
  };
}

/** Builds the body of a session request. */
export const sessionBody = (hardware: Hardware | undefined): SessionRequest => ({
  agentVersion: AGENT_VERSION,
  ...(hardware && { hardware }),
});

const isRefused = (answer: Answer): boolean =>
  answer.kind === "answered" && ["asset.revoked", "asset.copied"].includes(answer.problem?.code ?? "");

export const isStale = (answer: Answer): boolean =>
  answer.kind === "answered" && answer.problem?.code === "wire.stale";
