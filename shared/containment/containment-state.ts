import type { AssetItem, ProvenReport } from "../table/items/asset/asset.ts";
import type { ContainmentReport } from "../wire/heartbeat.ts";

/**
 * Rules of containment. Every stage uses them. docs/containment.md shows them as a diagram.
 * tests/offline/shared/containment/containment-model.test.ts tests them with lost, delayed and repeated messages.
 *
 *   active → pending → acknowledged | enforced | failed | expired → releasing → active | release-failed
 *
 * - `pending`, `releasing`: requested, but not proven yet. `offline` means that the asset has not reported recently.
 * - `acknowledged`: the agent proved that it applied mode `observe`, which changes nothing on the host.
 * - `enforced`: the agent proved a blocking mode, and both probes succeeded.
 * - `released-offline`: isolation is still requested, but a one-time release code was used at the host.
 */
export type ContainmentState =
  | "active"
  | "pending"
  | "acknowledged"
  | "enforced"
  | "failed"
  | "expired"
  | "releasing"
  | "release-failed"
  | "released-offline";

export type Containment = { state: ContainmentState; offline: boolean; reason?: string };

type Contained = Pick<
  AssetItem,
  "status" | "generation" | "wish" | "proof" | "setBack" | "unsignedReport"
> & { refused?: { reason: ReportRefusal; proof?: ProvenReport } };
type Seen = { lastSeenAt: string; intervalMs: number } | undefined;

/** Number of consecutive missed heartbeats after which an asset is offline. The minimum is 90 seconds. */
const MISSED_HEARTBEATS = 6;
const OFFLINE_MS_MIN = 90_000;

export function isOffline(presence: Seen, nowMs: number): boolean {
  if (!presence) return true;
  const silenceMs = nowMs - Date.parse(presence.lastSeenAt);
  return silenceMs > Math.max(OFFLINE_MS_MIN, MISSED_HEARTBEATS * presence.intervalMs);
}

/** Reason that is shown if an older agent, which cannot terminate engines, suspended them instead. */
const ONLY_SUSPENDED = "the agent suspended the engines instead of terminating them: update the agent";

/** Reason that is shown if a report for this host has no valid signature. */
export const UNSIGNED = "the report is not signed by the device key of this host";

/** Reasons why a stored report proves nothing, see `checkReports`. */
export const REPORT_REFUSED = {
  unsigned: "proof has no valid signature",
  keyReplaced: "the device key was replaced after this proof",
  asset: "the stored record of this host does not match its signature",
} as const;
export type ReportRefusal = (typeof REPORT_REFUSED)[keyof typeof REPORT_REFUSED];

/**
 * Containment state for display. Only this function combines the administrator's request with the agent's
 * proof.
 *
 * @param asset an asset with verified reports, see `checkReports`
 */
export function containmentOf(asset: Contained, presence: Seen, nowMs: number): Containment {
  const offline = isOffline(presence, nowMs);
  const { wish, proof, refused } = asset;
  const because = refused?.proof && { reason: refused.reason };
  if (!wish) return { state: "active", offline, ...because };
  const ofWish = proof?.generation === wish.generation ? proof : undefined;
  const proven = ofWish?.action === wish.action ? ofWish : undefined;
  const failure = proven?.outcome === "failed" ? { reason: proven.reason ?? "no reason given" } : undefined;
  const isExpired = nowMs > Date.parse(wish.expiresAt);
  const isUnsigned = asset.unsignedReport?.generation === wish.generation;
  const unproven = because ?? (isUnsigned ? { reason: UNSIGNED } : undefined);
  if (wish.action === "release") {
    if (failure) return { state: "release-failed", offline, ...failure };
    if (isSetBack(asset)) {
      const back = `the host returned to the isolation of generation ${asset.setBack?.generation} after its release`;
      if (!isExpired) return { state: "releasing", offline, reason: back };
      return { state: "release-failed", offline, reason: `${back}, and the directive has expired` };
    }
    if (proven?.outcome === "applied") return { state: "active", offline };
    if (ofWish?.action === "isolate")
      return {
        state: "release-failed",
        offline,
        reason: generationUsedTwice(ofWish, "release the host again"),
      };
    if (isExpired)
      return {
        state: "release-failed",
        offline,
        reason: "the directive expired before the host applied it",
        ...unproven,
      };
    return { state: "releasing", offline, ...unproven };
  }
  if (isReleasedOffline(asset)) {
    return { state: "released-offline", offline, ...(proof?.reason && { reason: proof.reason }) };
  }
  if (ofWish?.action === "release")
    return {
      state: "failed",
      offline,
      reason: generationUsedTwice(ofWish, "release the host and isolate it again"),
    };
  if (failure) return { state: "failed", offline, ...failure };
  if (proven?.outcome === "applied") {
    if (proven.mode !== wish.mode)
      return { state: "failed", offline, reason: `the host is in mode ${proven.mode}, not ${wish.mode}` };
    if (wish.mode === "observe") return { state: "acknowledged", offline };
    const { controlPlaneReachable, forbiddenBlocked } = proven.probes ?? {};
    if (controlPlaneReachable && forbiddenBlocked) {
      const isOnlySuspended = wish.stopEnginesBy === "terminate" && proven.stopEnginesBy !== "terminate";
      return { state: "enforced", offline, ...(isOnlySuspended && { reason: ONLY_SUSPENDED }) };
    }
    return {
      state: "failed",
      offline,
      reason: "the agent reported the isolation as applied, but not both probes succeeded",
    };
  }
  return { state: isExpired ? "expired" : "pending", offline, ...unproven };
}

/**
 * Reason that is shown if a generation was issued twice, because the table was restored from a backup. The
 * host has already obeyed another directive with the same number, so it ignores this one. See {@link
 * nextGeneration}.
 */
const generationUsedTwice = ({ generation, action, at }: ProvenReport, remedy: string): string =>
  `the host already proved another directive with generation ${generation} (${action}) at ${at}: ${remedy}`;

const isSetBack = ({ generation, setBack }: Pick<AssetItem, "generation" | "setBack">): boolean =>
  setBack !== undefined && setBack.since === generation;

/** Start of the reason that an agent reports for a release by code. No other release has this reason. */
const BY_CODE = /^released at the host with code /;

/**
 * True if the host reports a release with the generation of the isolation. This means that a release code was
 * used, not a directive.
 */
const isReleasedOffline = ({ wish, proof }: Pick<AssetItem, "wish" | "proof">): boolean =>
  wish?.action === "isolate" &&
  proof?.generation === wish.generation &&
  proof.action === "release" &&
  proof.outcome === "applied" &&
  BY_CODE.test(proof.reason ?? "");

/**
 * Worker: whether a release code was used and the custody log does not contain this release yet. The result
 * does not depend on the current request.
 */
export const isUnrecordedRelease = (
  asset: Pick<AssetItem, "generation" | "offlineReleaseOf">,
  { generation, action, outcome, reason }: ContainmentReport,
): boolean =>
  action === "release" &&
  outcome === "applied" &&
  BY_CODE.test(reason ?? "") &&
  generation <= asset.generation &&
  generation > (asset.offlineReleaseOf ?? 0);

/** The oldest use of a release code that is missing from the custody log. Undefined if none is missing. */
export function unrecordedRelease(
  asset: Pick<AssetItem, "wish" | "proof" | "freedByCode" | "offlineReleaseOf">,
): ProvenReport | undefined {
  const freed = [asset.freedByCode, isReleasedOffline(asset) ? asset.proof : undefined];
  return freed
    .filter((report) => report !== undefined)
    .filter(({ generation }) => generation > (asset.offlineReleaseOf ?? 0))
    .sort((a, b) => a.generation - b.generation)[0];
}

/**
 * Reason why an administrator's request is refused in the current state, or undefined if it is allowed.
 *
 * An isolated asset cannot be isolated again. A release can be repeated if the previous one failed or
 * expired, or if the host returned to its isolation. Therefore an isolated host can be released in every
 * state.
 */
export function refusedChange(
  asset: Contained & Pick<AssetItem, "revokedAt">,
  action: "isolate" | "release",
  nowMs: number,
): string | undefined {
  if (asset.revokedAt !== undefined)
    return action === "isolate"
      ? "the asset was revoked"
      : "the asset was revoked, so directives no longer reach it. Use a release code at the host";
  if (action === "isolate") return asset.status === "ISOLATED" ? "the asset is already ISOLATED" : undefined;
  if (asset.status === "ISOLATED") return undefined;
  const { state } = containmentOf(asset, undefined, nowMs);
  return state === "release-failed" || isSetBack(asset)
    ? undefined
    : `the asset is ${asset.status}, not ISOLATED`;
}

/**
 * Generation of the next request. It is higher than that of every directive that the host is known to have
 * obeyed.
 */
export const nextGeneration = ({
  generation,
  heardGeneration = 0,
}: Pick<AssetItem, "generation" | "heardGeneration">): number => Math.max(generation, heardGeneration) + 1;

/**
 * Maximum difference between a reported generation and the stored one after a restore from a backup. Without
 * this limit a host could use up all generation numbers.
 */
const AHEAD_MAX = 1_000_000;

/**
 * Worker: whether a report is about a request that the table does not contain. {@link nextGeneration} then
 * skips its generation.
 */
export const isAhead = (
  asset: Pick<AssetItem, "generation" | "heardGeneration" | "revokedAt">,
  { generation }: Pick<ContainmentReport, "generation">,
): boolean =>
  asset.revokedAt === undefined &&
  generation >= nextGeneration(asset) &&
  generation <= asset.generation + AHEAD_MAX;

/** Requested status of an asset after the transition. */
export const statusAfter = (action: "isolate" | "release"): AssetItem["status"] =>
  action === "isolate" ? "ISOLATED" : "ACTIVE";

/** Edge: whether the response to a heartbeat contains the directive of an open action. */
export function isDirectiveDue(
  action: { generation: number; expiresAtMs: number },
  reportedGeneration: number,
  nowMs: number,
): boolean {
  return reportedGeneration < action.generation && nowMs < action.expiresAtMs;
}

/** Agent: whether a directive is newer than the last one obeyed. An agent ignores older and repeated directives. */
export const isNewDirective = (
  directive: { generation: number },
  obeyed: Pick<ContainmentReport, "generation">,
): boolean => directive.generation > obeyed.generation;

/**
 * Worker: whether a report becomes the proof of the asset. It must have the requested generation and be newer
 * than the stored proof. Late, duplicate and reordered reports therefore change nothing.
 */
export function isProof(
  asset: Pick<AssetItem, "generation" | "proof" | "revokedAt">,
  report: Pick<ContainmentReport, "generation" | "at">,
): boolean {
  if (report.generation === 0 || asset.revokedAt !== undefined) return false;
  if (report.generation !== asset.generation) return false;
  const { proof } = asset;
  return !proof || proof.generation !== report.generation || proof.at < report.at;
}

/**
 * Worker: whether a host reports an older isolation as in force after its release was proven. This happens if
 * a snapshot or its state directory was restored. The action is then pending again, so that the release is
 * sent again.
 *
 * The time of the proof decides. A proof from before the release has merely arrived late and is ignored. Each
 * report counts once. The device does not sign the time of the heartbeat, so it is not used. A restored host
 * proves its isolation again with a new time.
 */
export const isSetBackBy = (
  asset: Pick<AssetItem, "generation" | "wish" | "proof" | "setBack" | "revokedAt">,
  report: Pick<ContainmentReport, "generation" | "action" | "at">,
): boolean => {
  const { wish, proof, generation } = asset;
  return (
    asset.revokedAt === undefined &&
    report.action === "isolate" &&
    report.generation < generation &&
    !isSetBack(asset) &&
    report.at > (asset.setBack?.at ?? "") &&
    proof !== undefined &&
    proof.generation === generation &&
    endsAction({ wish }, proof) &&
    report.at > proof.at
  );
};

/** True if a proven release ends the action, so that the asset is removed from the index of pending actions. */
export const endsAction = (
  asset: { wish?: AssetItem["wish"] },
  report: Pick<ContainmentReport, "action" | "outcome">,
): boolean => asset.wish?.action === "release" && report.action === "release" && report.outcome === "applied";
