import { evictOldest } from "../../shared/evict-oldest.ts";
import {
  deriveSessionKey,
  parseSessionKeyid,
  type SessionKeyId,
  sessionKeyid,
} from "../../shared/wire/keyid.ts";
import { type Hashing, type MacKey, webHashing } from "../runtime/hashing.ts";

export type EdgeSecret = { version: string; key: CryptoKey };
export type SessionKey = { id: SessionKeyId; key: MacKey };

/**
 * Maximum number of cached keys, which is sufficient for 100,000 assets on one node. Each key takes a few
 * hundred bytes.
 */
const KEPT_MAX = 120_000;

type Kept = { key: SessionKey; movedAt: number };

export type SessionKeys = {
  /**
   * Finds the key that verifies signatures with this keyid. Undefined if the keyid is malformed or names an
   * unknown version of the secret.
   */
  find(keyid: string): Promise<SessionKey | undefined>;
  /**
   * Caches a key. Call this only after a signature was verified with the key, so that forged keyids cannot
   * evict valid keys.
   */
  keep(keyid: string, key: SessionKey): void;
  /** Creates a session with the newest secret. Returns the keyid, and the 32 bytes of the session key. */
  issue(id: Omit<SessionKeyId, "version">): Promise<{ keyid: string; bytes: Uint8Array<ArrayBuffer> }>;
};

/**
 * Derives session keys from the edge secrets and caches them (LRU). Keys are not stored. A node that lost its
 * cache derives the same keys again.
 *
 * @param secrets new sessions use the first secret, and existing sessions can use any of them ⏎ @param
 * keptMax maximum number of cached keys
 */
export function createSessionKeys(
  secrets: readonly [EdgeSecret, ...EdgeSecret[]],
  hashing: Pick<Hashing, "macKey"> = webHashing,
  keptMax = KEPT_MAX,
): SessionKeys {
  // A used key moves to the end only after an eighth of the cache has moved behind it. Most heartbeats
  // therefore do not move a key.
  const movedAfter = keptMax / 8;
  const byVersion = new Map(secrets.map((secret) => [secret.version, secret.key]));
  /** Cached keys, least recently used first. A key's position is wrong by at most an eighth of the cache. */
  const kept = new Map<string, Kept>();
  let moves = 0;
  return {
    async find(keyid) {
      const known = kept.get(keyid);
      if (known) return known.key;
      const id = parseSessionKeyid(keyid);
      const secret = id && byVersion.get(id.version);
      if (!id || !secret) return undefined;
      return { id, key: await hashing.macKey(await deriveSessionKey(secret, keyid)) };
    },
    keep(keyid, key) {
      const known = kept.get(keyid);
      if (known) {
        if (moves - known.movedAt < movedAfter) return;
        kept.delete(keyid);
      } else evictOldest(kept, keptMax);
      kept.set(keyid, { key, movedAt: ++moves });
    },
    async issue(id) {
      const [newest] = secrets;
      const keyid = sessionKeyid({ ...id, version: newest.version });
      return { keyid, bytes: await deriveSessionKey(newest.key, keyid) };
    },
  };
}
