import {
  deriveSessionKey,
  parseSessionKeyid,
  type SessionKeyId,
  sessionKeyid,
} from "../../shared/wire/keyid.ts";
import { type Hashing, type MacKey, webHashing } from "../runtime/hashing.ts";

export type EdgeSecret = { version: string; key: CryptoKey };
export type SessionKey = { id: SessionKeyId; key: MacKey };

/** A cached key takes a few hundred bytes. This is enough for 100,000 assets on one node. */
const KEPT_MAX = 120_000;

type Kept = { key: SessionKey; movedAt: number };

export type SessionKeys = {
  /** Key to verify with. Undefined if the keyid is malformed or names an unknown secret version. */
  find(keyid: string): Promise<SessionKey | undefined>;
  /** Caches a key. Call only after a signature has verified with it, so that forged keyids evict nothing. */
  keep(keyid: string, key: SessionKey): void;
  /** Creates a session under the newest secret: its keyid and its key of 32 bytes. */
  issue(id: Omit<SessionKeyId, "version">): Promise<{ keyid: string; bytes: Uint8Array<ArrayBuffer> }>;
};

/**
 * Derives session keys from the edge secrets and caches them (LRU). Nothing is stored: a node that lost its cache derives
 * the same keys again.
 *
 * @param secrets new sessions use the first one; all of them verify
 * @param keptMax size of the cache
 */
export function createSessionKeys(
  secrets: readonly [EdgeSecret, ...EdgeSecret[]],
  hashing: Pick<Hashing, "macKey"> = webHashing,
  keptMax = KEPT_MAX,
): SessionKeys {
  // A key moves to the end only after an eighth of the cache moved behind it, so that most heartbeats move nothing.
  const movedAfter = keptMax / 8;
  const byVersion = new Map(secrets.map((secret) => [secret.version, secret.key]));
  /** Least recently used first, with an error of at most an eighth of the cache. */
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
      } else if (kept.size >= keptMax) kept.delete(kept.keys().next().value!);
      kept.set(keyid, { key, movedAt: ++moves });
    },
    async issue(id) {
      const [newest] = secrets;
      const keyid = sessionKeyid({ ...id, version: newest.version });
      return { keyid, bytes: await deriveSessionKey(newest.key, keyid) };
    },
  };
}
