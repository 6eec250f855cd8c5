import type { AssetItem, ProvenReport } from "../table/items/asset/asset.ts";
import type { ContainmentReport } from "../wire/heartbeat.ts";

/**
 * The rules of containment, for every stage: docs/containment.md draws them, and
 * tests/offline/shared/containment/containment-model.test.ts explores what they come to under loss, delay and repetition.
 *
 *   active → pending → acknowledged | enforced | failed | expired → releasing → active | release-failed
 *
 * - `pending`, `releasing`: wished, not proven. `offline` says that the asset has not been heard of lately.
 * - `acknowledged`: the agent proved that it obeyed mode `observe`, which changes nothing on the host.
 * - `enforced`: the agent proved a blocking mode, with both probes good.
 * - `released-offline`: still wished isolated, but freed at the host with a one-time release code.
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

/** An asset that missed this many heartbeats in a row, or a minute and a half, is called offline. */
const MISSED_HEARTBEATS = 6;
const OFFLINE_MS_MIN = 90_000;

export function isOffline(presence: Seen, nowMs: number): boolean {
  if (!presence) return true;
  const silenceMs = nowMs - Date.parse(presence.lastSeenAt);
  return silenceMs > Math.max(OFFLINE_MS_MIN, MISSED_HEARTBEATS * presence.intervalMs);
}

/** An agent from before there was a choice stops the engines, and says so; it just does not end them. */
const MILDER = "the engines are suspended, not terminated: update the agent";

/** Why nothing is proven although somebody said so in the host's name. */
export const UNSIGNED = "its report is not signed by this device";

/** Why a stored report proves nothing: see `checkReports`. */
export const REPORT_REFUSED = {
  unsigned: "proof has no valid signature",
  keyReplaced: "the device key was replaced after its proof",
  asset: "the stored record of this host is not what was signed",
} as const;
export type ReportRefusal = (typeof REPORT_REFUSED)[keyof typeof REPORT_REFUSED];

/**
 * The containment to show: the admin's wish and the agent's proof, joined in this one place.
 *
 * @param asset its reports have to be verified before: see `checkReports`
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
      const back = `the host went back to the isolation of generation ${asset.setBack?.generation} after its release`;
      if (!isExpired) return { state: "releasing", offline, reason: back };
      return { state: "release-failed", offline, reason: `${back}, and the directive has expired` };
    }
    if (proven?.outcome === "applied") return { state: "active", offline };
    if (ofWish?.action === "isolate")
      return { state: "release-failed", offline, reason: answeredBefore(ofWish, "release it again") };
    if (isExpired)
      return { state: "release-failed", offline, reason: "its directive expired untaken", ...unproven };
    return { state: "releasing", offline, ...unproven };
  }
  if (isReleasedOffline(asset)) {
    return { state: "released-offline", offline, ...(proof?.reason && { reason: proof.reason }) };
  }
  if (ofWish?.action === "release")
    return { state: "failed", offline, reason: answeredBefore(ofWish, "release it and isolate it again") };
  if (failure) return { state: "failed", offline, ...failure };
  if (proven?.outcome === "applied") {
    if (proven.mode !== wish.mode)
      return { state: "failed", offline, reason: `the host is in mode ${proven.mode}, not ${wish.mode}` };
    if (wish.mode === "observe") return { state: "acknowledged", offline };
    const { controlPlaneReachable, forbiddenBlocked } = proven.probes ?? {};
    if (controlPlaneReachable && forbiddenBlocked) {
      const isMilder = wish.stopEnginesBy === "terminate" && proven.stopEnginesBy !== "terminate";
      return { state: "enforced", offline, ...(isMilder && { reason: MILDER }) };
    }
    return { state: "failed", offline, reason: "the agent reported it applied without both probes" };
  }
  return { state: isExpired ? "expired" : "pending", offline, ...unproven };
}

/**
 * The table counts this generation a second time, having been restored from a backup: the host obeyed another directive
 * of the same number and takes this one for old. See {@link nextGeneration}.
 */
const answeredBefore = ({ generation, action, at }: ProvenReport, remedy: string): string =>
  `the host proved another directive of generation ${generation} (${action}) at ${at}: ${remedy}`;

const isSetBack = ({ generation, setBack }: Pick<AssetItem, "generation" | "setBack">): boolean =>
  setBack !== undefined && setBack.since === generation;

/** The agent's words for a release by a code; no other release has them. */
const BY_CODE = /^released at the host with code /;

/** An isolation whose host reports a release of that very generation: no admin wished it, a code did it. */
export const isReleasedOffline = ({ wish, proof }: Pick<AssetItem, "wish" | "proof">): boolean =>
  wish?.action === "isolate" &&
  proof?.generation === wish.generation &&
  proof.action === "release" &&
  proof.outcome === "applied" &&
  BY_CODE.test(proof.reason ?? "");

/** The worker's part: a code freed the host, and the custody log does not say so yet, whatever is wished by now. */
export const isUnrecordedRelease = (
  asset: Pick<AssetItem, "generation" | "offlineReleaseOf">,
  { generation, action, outcome, reason }: ContainmentReport,
): boolean =>
  action === "release" &&
  outcome === "applied" &&
  BY_CODE.test(reason ?? "") &&
  generation <= asset.generation &&
  generation > (asset.offlineReleaseOf ?? 0);

/** The oldest release by a code that is still to be written into the custody log. */
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
 * The admin's transition. Why it is refused now; undefined when it may be made.
 *
 * An asset is isolated once. A release may be asked for again when the one before it failed or expired, or the host
 * went back behind it: there is no state in which a contained host cannot be freed.
 */
export function refusedChange(
  asset: Contained & Pick<AssetItem, "revokedAt">,
  action: "isolate" | "release",
  nowMs: number,
): string | undefined {
  if (asset.revokedAt !== undefined)
    return action === "isolate"
      ? "the asset was revoked"
      : "the asset was revoked, and no directive reaches it: a release code frees the host";
  if (action === "isolate") return asset.status === "ISOLATED" ? "the asset is already ISOLATED" : undefined;
  if (asset.status === "ISOLATED") return undefined;
  const { state } = containmentOf(asset, undefined, nowMs);
  return state === "release-failed" || isSetBack(asset)
    ? undefined
    : `the asset is ${asset.status}, not ISOLATED`;
}

/** Generation of the next wish: newer than every directive that the host is known to have obeyed. */
export const nextGeneration = ({
  generation,
  heardGeneration = 0,
}: Pick<AssetItem, "generation" | "heardGeneration">): number => Math.max(generation, heardGeneration) + 1;

/** Wishes that a restored backup may be behind by. A host that claims more could use up all the numbers there are. */
const AHEAD_MAX = 1_000_000;

/** The worker's part: whether a report answers a wish that the table does not know, so that {@link nextGeneration} goes past it. */
export const isAhead = (
  asset: Pick<AssetItem, "generation" | "heardGeneration" | "revokedAt">,
  { generation }: Pick<ContainmentReport, "generation">,
): boolean =>
  asset.revokedAt === undefined &&
  generation >= nextGeneration(asset) &&
  generation <= asset.generation + AHEAD_MAX;

/** What the admin wants after the transition. */
export const statusAfter = (action: "isolate" | "release"): AssetItem["status"] =>
  action === "isolate" ? "ISOLATED" : "ACTIVE";

/** The edge's part: whether a heartbeat is answered with the directive of an open action. */
export function isDirectiveDue(
  action: { generation: number; expiresAtMs: number },
  reportedGeneration: number,
  nowMs: number,
): boolean {
  return reportedGeneration < action.generation && nowMs < action.expiresAtMs;
}

/** The agent's part: it never goes back to an older generation, and obeys none twice. */
export const isNewDirective = (
  directive: { generation: number },
  obeyed: Pick<ContainmentReport, "generation">,
): boolean => directive.generation > obeyed.generation;

/**
 * The worker's part: whether a report becomes the asset's proof. It has to be of the very generation that is
 * wished, and newer than the one that is there: what comes late, twice or out of order changes nothing.
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
 * The worker's part: whether a host says, after its release was proven, that an older isolation is in force. It was put
 * back to a snapshot, or its state directory was restored. Its action is open again, so that the release goes out.
 *
 * By when it proved that: what it proved before the release is late, not a step back, and nothing is one twice. When a
 * heartbeat was sent says nothing here, for that is not signed by the device. Such a host proves its isolation anew.
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

/** The proof of a release that was wished ends the action: the asset leaves the index of open ones. */
export const endsAction = (
  asset: { wish?: AssetItem["wish"] },
  report: Pick<ContainmentReport, "action" | "outcome">,
): boolean => asset.wish?.action === "release" && report.action === "release" && report.outcome === "applied";
