import { canonicalJson } from "../../shared/encoding/canonical-json.ts";
import type { Policy } from "../../shared/table/items/policy.ts";
import type { TenantItem } from "../../shared/table/items/tenant.ts";

/** Spool counts of a heartbeat: heartbeats that wait on the host, and heartbeats that were dropped. */
export type Spooled = { waiting: number; dropped: number };

const MARK = "+";
const POLICY = ".";

const policyKeys = new WeakMap<TenantItem, string>();

/**
 * Text that identifies a policy, independent of the order of its members. It is part of the state hash, so
 * that every asset is assessed again after a change of the policy.
 */
export function policyKeyOf(tenant: TenantItem): string {
  let key = policyKeys.get(tenant);
  if (key === undefined) {
    key = canonicalJson(tenant.policy);
    policyKeys.set(tenant, key);
  }
  return key;
}

/**
 * Hash of a host state, combined with the policy that assessed the state. Presence items of older versions
 * contain a single hash over state and policy.
 */
export const stateHashOf = (stateText: string, policyKey: string): string =>
  `${Bun.hash.wyhash(stateText).toString(36)}${POLICY}${Bun.hash.wyhash(policyKey).toString(36)}`;

/** True if two hashes have the same host state, regardless of policy and spool. */
export const isSameState = (a: string, b: string): boolean => hostPart(a) === hostPart(b);

const hostPart = (stateHash: string): string => stateHash.split(POLICY, 1)[0]!;

/**
 * Suffix of a state hash. It names the policy limits that the spool exceeds, and is empty if the spool
 * exceeds none. Rules evaluate the limits, so crossing a limit is a change of state. A change of the counts
 * alone is not.
 */
export function spoolMark({ waiting, dropped }: Spooled, policy: Policy): string {
  const isLost = dropped > policy.spoolDroppedMax;
  const isLate = waiting > policy.spoolWaitingMax;
  if (isLost) return isLate ? `${MARK}lost${MARK}late` : `${MARK}lost`;
  return isLate ? `${MARK}late` : "";
}

/** Suffix of a state hash while more than one machine uses the identity. */
export const SHARED_MARK = `${MARK}shared`;

/** Returns a state hash without the suffixes for spool and shared identity. */
export function withoutSpool(stateHash: string): string {
  const end = stateHash.indexOf(MARK);
  return end < 0 ? stateHash : stateHash.slice(0, end);
}

export const hasMark = (stateHash: string, mark: string): boolean =>
  mark === "" ? !stateHash.includes(MARK) : stateHash.slice(stateHash.indexOf(MARK)) === mark;
