import { utf8 } from "../shared/bytes.ts";
import { contentDigest, importHmacKey } from "../shared/wire/signature.ts";

/** A session key as the hot path needs it. Verifies in constant time. */
export type MacKey = { verify(data: string, signature: Uint8Array<ArrayBuffer>): boolean | Promise<boolean> };

/**
 * SHA-256 and HMAC-SHA256 of the hot path. WebCrypto does it everywhere; a runtime with a synchronous hash of its
 * own saves the trip through a thread pool, which costs more than hashing a heartbeat.
 */
export type Hashing = {
  /** `sha-256=:…:` (RFC 9530) of the bytes. */
  contentDigest(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  macKey(bytes: Uint8Array<ArrayBuffer>): MacKey | Promise<MacKey>;
};

export const webHashing: Hashing = {
  contentDigest,
  async macKey(bytes) {
    const key = await importHmacKey(bytes, ["verify"]);
    return { verify: (data, signature) => crypto.subtle.verify("HMAC", key, signature, utf8(data)) };
  },
};
