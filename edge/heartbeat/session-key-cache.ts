import {
  deriveSessionKey,
  parseSessionKeyid,
  type SessionKeyId,
  sessionKeyid,
} from "../../shared/wire/keyid.ts";
import { type Hashing, type MacKey, webHashing } from "../runtime/hashing.ts";

export type EdgeSecret = { version: string; key: CryptoKey };
export type SessionKey = { id: SessionKeyId; key: MacKey };

/** A kept key costs some hundred bytes: this many serve a hundred thousand assets on one node. */
const KEPT_MAX = 120_000;

type Kept = { key: SessionKey; movedAt: number };

export type SessionKeys = {
  /** Key to verify with; undefined for a keyid that is malformed or of an unknown secret version. */
  find(keyid: string): Promise<SessionKey | undefined>;
  /** Keeps a key whose signature has verified, and only then: forged keyids push nothing out. */
  keep(keyid: string, key: SessionKey): void;
  /** A new session: its keyid and its key of 32 bytes, under the newest secret. */
  issue(id: Omit<SessionKeyId, "version">): Promise<{ keyid: string; bytes: Uint8Array<ArrayBuffer> }>;
};

/**
 * @param secrets the first one issues; all of them verify
 * @param keptMax as many keys are kept; the one used longest ago goes first
 */
export function createSessionKeys(
  secrets: readonly [EdgeSecret, ...EdgeSecret[]],
  hashing: Pick<Hashing, "macKey"> = webHashing,
  keptMax = KEPT_MAX,
): SessionKeys {
  // A key that few others were moved behind since is new enough: most heartbeats move nothing.
  const movedAfter = keptMax / 8;
  const byVersion = new Map(secrets.map((secret) => [secret.version, secret.key]));
  /** Least recently used first, to within an eighth of it. */
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
