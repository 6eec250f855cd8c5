import { isJsonObject } from "../../shared/encoding/json-object.ts";
import type { Hardware } from "../../shared/wire/hardware.ts";
import { deviceSigner, type Identity, openDeviceKey, readPublicKey } from "../identity/device-identity.ts";
import { takeKeySet } from "../identity/pinned-keys.ts";
import { createSession, type SessionDeps } from "../identity/session.ts";
import { type SettingsVerdict, takeSettings } from "../identity/tenant-settings.ts";
import { type ControlClock, createControlClock } from "../network/control-clock.ts";
import {
  type Answer,
  createPost,
  parseJson,
  readBounded,
  withTimeout,
} from "../network/control-plane-client.ts";
import { createCompatiblePost } from "../network/older-edge.ts";
import type { Fetch } from "../network/outbound-network.ts";
import { silent } from "../platform/log.ts";
import { StateFault } from "../platform/state-files.ts";
import { type Check, failed, passed, skipped } from "./check.ts";

const TIMEOUT_MS = 10_000;
const BODY_BYTES_MAX = 4096;
/**
 * Maximum clock difference in milliseconds at which the edge accepts a signature. The agent corrects its own
 * clock offset, but other programs on the host do not.
 */
const SKEW_MS_MAX = 300_000;

/** Sends `GET /healthz` with the network settings that the agent uses for all requests. */
export async function checkControlPlane(
  fetch: Fetch,
  edgeUrl: string,
  signal: AbortSignal,
): Promise<{ check: Check; dateMs: number | undefined }> {
  const name = "control plane";
  const seen = await withTimeout(signal, TIMEOUT_MS, async (bounded) => {
    const init = { keepalive: false, redirect: "manual", signal: bounded } as const;
    const response = await fetch(`${edgeUrl}/healthz`, init);
    const body = parseJson(await readBounded(response, BODY_BYTES_MAX));
    const isOk = response.status === 200 && isJsonObject(body) && body.status === "ok";
    const date = Date.parse(response.headers.get("date") ?? "");
    return { kind: "answered", isOk, status: response.status, date } as const;
  });
  if (seen.kind === "unreachable") {
    const cure =
      "fix the failures above first; if there are no others, check the logs of the proxy and of the control plane";
    return { check: failed(name, `${edgeUrl} does not respond: ${seen.reason}`, cure), dateMs: undefined };
  }
  const dateMs = Number.isFinite(seen.date) ? seen.date : undefined;
  if (seen.isOk) return { check: passed(name, `${edgeUrl} responds`), dateMs };
  const detail = `HTTP ${seen.status} from a server that is not a LifecycleZero control plane`;
  const cure =
    seen.status === 407
      ? "set proxy with a user and a password"
      : "check the control plane's address; sign in to the network if it has a captive portal; configure the proxy to forward /healthz and /v1/ unchanged";
  return { check: failed(name, detail, cure), dateMs };
}

const CLOCK_CURES: Partial<Record<NodeJS.Platform, string>> = {
  linux: "turn on time synchronisation: timedatectl set-ntp true",
  darwin: "turn on time synchronisation: sudo systemsetup -setusingnetworktime on",
  win32: "synchronise the clock: w32tm /resync",
};

export function checkClock(dateMs: number | undefined, nowMs: number, platform: NodeJS.Platform): Check {
  const name = "clock";
  if (dateMs === undefined) return skipped(name, "the control plane's time is unknown");
  const skewMs = nowMs - dateMs;
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const side = skewMs < 0 ? "behind" : "ahead of";
  const detail = `${seconds} s ${side} the control plane`;
  if (Math.abs(skewMs) <= SKEW_MS_MAX) return passed(name, detail);
  return failed(
    name,
    `this host's clock is ${detail}`,
    CLOCK_CURES[platform] ?? "synchronise this host's clock",
  );
}

export type SessionAsked = {
  identity: Identity;
  directory: string;
  platform: NodeJS.Platform;
  fetch: Fetch;
  /** Fingerprint of this machine. */
  hardware: Hardware | undefined;
  clock: () => number;
  elapsed: () => number;
};

type Taking = Required<Pick<SessionDeps, "onKeySet" | "onSettings">>;

/** Opens a session with this host's device key, as the daemon does about once an hour. */
export async function checkSession(asked: SessionAsked, signal: AbortSignal): Promise<Check[]> {
  const { clock, elapsed } = asked;
  let { identity } = asked;
  let settings: Check[] = [];
  const control = createControlClock({ clock, elapsed, log: silent });
  const taking: Taking = {
    // Save nothing. The daemon pins new keys when it opens its next session.
    onKeySet: async (jws) => {
      const verdict = await takeKeySet(identity, jws, control.now());
      if (verdict.is === "taken") identity = verdict.identity;
    },
    onSettings: async (signed) => {
      settings = [checkSettings(await takeSettings(identity, signed))];
    },
  };
  return [await openSession({ ...asked, control }, taking, signal), ...settings];
}

/** Checks that a control key signed the tenant's settings. */
function checkSettings(verdict: SettingsVerdict): Check {
  const name = "settings";
  if (verdict.is === "absent")
    return skipped(
      name,
      "the control plane has no signed settings: the previous settings or the defaults are in use",
    );
  if (verdict.is !== "refused") return passed(name, "signed by the control plane");
  return failed(
    name,
    `the tenant's settings were rejected: ${verdict.reason}`,
    "ask your administrator to run lz doctor, which checks the signatures, and lz table sign, which signs again after a key rotation",
  );
}

async function openSession(
  asked: SessionAsked & { control: ControlClock },
  taking: Taking,
  signal: AbortSignal,
): Promise<Check> {
  const { identity, directory, platform, clock, control } = asked;
  const name = "session";
  const again = "run lz-agent enroll --force with a new enrolment token";
  try {
    if (readPublicKey(directory) === undefined)
      return failed(name, `there is no device key in ${directory}`, `restore it from a backup, or ${again}`);
    const device = await openDeviceKey(directory, platform);
    const { edgeUrl } = identity;
    let isOlder = false;
    const post = createCompatiblePost(
      createPost({ edgeUrl, fetch: asked.fetch, clock: control, wallClock: clock }),
      () => {
        isOlder = true;
      },
    );
    const signer = deviceSigner(device, identity);
    const session = createSession({ post, device: signer, hardware: asked.hardware, ...taking });
    const opened = await session.signer(signal);
    const older = isOlder ? "; the edge is older than this agent: update the edge" : "";
    if (opened.ok) return passed(name, `the control plane knows ${identity.assetId}${older}`);
    return refusedSession(opened.answer, again);
  } catch (cause) {
    if (cause instanceof StateFault) return failed(name, cause.message, again);
    throw cause;
  }
}

function refusedSession(answer: Answer, again: string): Check {
  const name = "session";
  if (answer.kind === "unreachable")
    return failed(name, answer.reason, "fix the failures above first; if there are no others, try again");
  const { status, problem } = answer;
  if (problem?.code === "asset.revoked")
    return failed(name, `${problem.title} (${problem.code})`, `if this host should report again, ${again}`);
  if (problem?.code === "asset.copied")
    return failed(name, `${problem.title} (${problem.code})`, "run lz-agent enroll with an enrolment token");
  if (problem && status >= 400 && status < 500 && status !== 429)
    return failed(name, `the control plane rejects this host: ${problem.title} (${problem.code})`, again);
  return failed(
    name,
    `HTTP ${status}`,
    "try again in a few minutes; if it fails again, check the log of the control plane",
  );
}
