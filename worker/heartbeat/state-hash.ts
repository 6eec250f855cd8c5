import type { Policy } from "../../shared/table/items/policy.ts";

/** What a heartbeat says of its spool: heartbeats that wait on the host, and those that were lost. */
export type Spooled = { waiting: number; dropped: number };

const MARK = "+";
const POLICY = ".";

/** Names what a host showed and the policy that assessed it. Presence items of older versions hold one hash of both. */
export const stateHashOf = (stateText: string, policyKey: string): string =>
  `${Bun.hash.wyhash(stateText).toString(36)}${POLICY}${Bun.hash.wyhash(policyKey).toString(36)}`;

/** True when two hashes are of the same state of the host, whatever the policy and the spool. */
export const isSameState = (a: string, b: string): boolean => hostPart(a) === hostPart(b);

const hostPart = (stateHash: string): string => stateHash.split(POLICY, 1)[0]!;

/**
 * Ends the hash of a state: which of the policy's bounds the spool is beyond. The counts themselves move all the
 * time and are no state; crossing a bound is one, for rules speak of it. Empty within both bounds.
 */
export function spoolMark({ waiting, dropped }: Spooled, policy: Policy): string {
  const isLost = dropped > policy.spoolDroppedMax;
  const isLate = waiting > policy.spoolWaitingMax;
  if (isLost) return isLate ? `${MARK}lost${MARK}late` : `${MARK}lost`;
  return isLate ? `${MARK}late` : "";
}

/** Ends the hash of a state in which more than one machine used the identity. */
export const SHARED_MARK = `${MARK}shared`;

/** A hash without what the spool and the use of the identity add to it. */
export function withoutSpool(stateHash: string): string {
  const end = stateHash.indexOf(MARK);
  return end < 0 ? stateHash : stateHash.slice(0, end);
}

export const hasMark = (stateHash: string, mark: string): boolean =>
  mark === "" ? !stateHash.includes(MARK) : stateHash.slice(stateHash.indexOf(MARK)) === mark;
