import { identityConflictOf, noteRun } from "../../shared/fleet/identity-use.ts";
import type { IdentityConflict } from "../../shared/policy/rule.ts";
import type { IdentityUse, PresenceItem } from "../../shared/table/items/asset/presence.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";
import type { Known } from "../assess/presence-cache.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";
import { SHARED_MARK, spoolMark } from "../heartbeat/state-hash.ts";
import type { Moment } from "../heartbeat/timeline-position.ts";

/** How an identity is used at the time of a heartbeat. */
export type Use = { identity: IdentityUse | undefined; run: string | undefined; intervalMs: number };
/** {@link Use}, with the hash of the state. */
export type Seen = Use & { stateHash: string };

/**
 * Adds the run of a heartbeat to the use of the identity. Older agents report no run id, so nothing is known
 * about their runs.
 */
export function useOf(delivery: Delivery, known: Known | undefined): Use {
  const { presence } = known ?? {};
  // A heartbeat whose state text is cached does not need to be parsed.
  const isKnown = presence !== undefined && delivery.raw !== undefined && known?.raw === delivery.raw;
  const { run, intervalMs, hostname } = isKnown ? presence : saidBy(delivery);
  if (run === undefined) return { identity: presence?.identity, run, intervalMs };
  const used = { run, hostname, at: delivery.at, intervalMs };
  return { identity: noteRun(presence?.identity, used), run, intervalMs };
}

function saidBy(delivery: Delivery): { run?: string | undefined; intervalMs: number; hostname: string } {
  const { agent, host } = delivery.heartbeat();
  return { run: agent.run, intervalMs: agent.intervalMs, hostname: host.hostname };
}

/** Suffixes of the state hash for the spool and for a shared identity. */
export function marksOf(
  moment: Moment & Pick<Delivery, "waiting" | "dropped">,
  identity: IdentityUse | undefined,
  intervalMs: number,
  { policy }: TenantItem,
): string {
  const isShared = identityConflictOf(identity, { at: moment.at, intervalMs }) !== undefined;
  return spoolMark(moment, policy) + (isShared ? SHARED_MARK : "");
}

/** Evidence for the rules about an identity that is used by the wrong machine or by more than one machine. */
export function sceneFor(
  { identity, intervalMs }: Use,
  at: string,
  isolatedBefore: PresenceItem["isolatedBefore"],
): IdentityConflict | undefined {
  const scene = identityConflictOf(identity, { at, intervalMs });
  return scene || isolatedBefore
    ? { ...(scene ?? { machines: [] }), ...(isolatedBefore && { isolatedBefore }) }
    : undefined;
}

/** Members of presence that describe the use of the identity. */
export const usedBy = ({ identity, run }: Use): Pick<PresenceItem, "identity" | "run"> => ({
  ...(identity && { identity }),
  ...(run !== undefined && { run }),
});

/** Presence with its identity use updated from a heartbeat of another state. */
export const withUse = (presence: PresenceItem, { identity }: Use): PresenceItem =>
  identity === undefined || identity === presence.identity ? presence : { ...presence, identity };
