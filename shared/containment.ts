import type { AssetItem } from "./table/items.ts";

/**
 * The containment of an asset as it may be told: the admin's wish and the agent's proof, joined in one place.
 *
 *   active → pending → acknowledged | enforced | failed | expired → releasing → active
 *
 * - `pending`, `releasing`: wished, not proven. `offline` says that the asset has not been heard of lately.
 * - `acknowledged`: the agent proved that it obeyed mode `observe`, which changes nothing on the host.
 * - `enforced`: the agent proved a blocking mode, with both probes good.
 */
export type ContainmentState =
  | "active"
  | "pending"
  | "acknowledged"
  | "enforced"
  | "failed"
  | "expired"
  | "releasing"
  | "release-failed";

export type Containment = { state: ContainmentState; offline: boolean; reason?: string };

/** An asset that missed this many heartbeats in a row, or a minute and a half, is called offline. */
const MISSED_HEARTBEATS = 6;
const OFFLINE_MS_MIN = 90_000;

export function isOffline(
  presence: { lastSeenAt: string; intervalMs: number } | undefined,
  nowMs: number,
): boolean {
  if (!presence) return true;
  const silenceMs = nowMs - Date.parse(presence.lastSeenAt);
  return silenceMs > Math.max(OFFLINE_MS_MIN, MISSED_HEARTBEATS * presence.intervalMs);
}

export function containmentOf(
  asset: Pick<AssetItem, "status" | "generation" | "wish" | "proof">,
  presence: { lastSeenAt: string; intervalMs: number } | undefined,
  nowMs: number,
): Containment {
  const offline = isOffline(presence, nowMs);
  const { wish, proof } = asset;
  if (!wish) return { state: "active", offline };
  const proven =
    proof && proof.generation === wish.generation && proof.action === wish.action ? proof : undefined;
  const failure = proven?.outcome === "failed" ? { reason: proven.reason ?? "no reason given" } : undefined;
  if (wish.action === "release") {
    if (failure) return { state: "release-failed", offline, ...failure };
    return { state: proven?.outcome === "applied" ? "active" : "releasing", offline };
  }
  if (failure) return { state: "failed", offline, ...failure };
  if (proven?.outcome === "applied") {
    if (wish.mode === "observe") return { state: "acknowledged", offline };
    const { controlPlaneReachable, forbiddenBlocked } = proven.probes ?? {};
    if (controlPlaneReachable && forbiddenBlocked) return { state: "enforced", offline };
    return { state: "failed", offline, reason: "the agent reported it applied without both probes" };
  }
  return { state: nowMs > Date.parse(wish.expiresAt) ? "expired" : "pending", offline };
}
