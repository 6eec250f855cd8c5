import { sha256Of } from "../../shared/wire/catalog.ts";
import { verifyKeySet } from "../../shared/wire/key-set.ts";
import type { Identity } from "./device-identity.ts";

export type KeySetVerdict =
  | { is: "taken"; identity: Identity }
  /** The key set is already in use. Session responses repeat it during a rotation. */
  | { is: "known" }
  | { is: "refused"; reason: string };

/**
 * Returns the identity with new pinned control keys, if a pinned key signed the key set and the set is newer
 * than the last one. An older set is rejected, because it could restore a withdrawn key.
 */
export async function takeKeySet(identity: Identity, jws: string, nowMs: number): Promise<KeySetVerdict> {
  const sha256 = await sha256Of(jws);
  const { keySet } = identity;
  if (keySet?.sha256 === sha256) return { is: "known" };
  const verified = await verifyKeySet(jws, identity.jwks, nowMs).catch(() => undefined);
  if (!verified) return { is: "refused", reason: "no pinned control key signed it" };
  const { keys, issuedAtSeconds } = verified;
  if (keySet && issuedAtSeconds <= keySet.issuedAtSeconds)
    return { is: "refused", reason: "it is not newer than the last accepted set" };
  return { is: "taken", identity: { ...identity, jwks: { keys }, keySet: { issuedAtSeconds, sha256 } } };
}
