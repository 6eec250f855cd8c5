import { hex, utf8 } from "../../shared/encoding/bytes.ts";
import { contentDigest, importHmacKey } from "../../shared/wire/signature.ts";

/** A session key as the hot path needs it. Verifies in constant time. */
export type MacKey = { verify(data: string, signature: Uint8Array<ArrayBuffer>): boolean | Promise<boolean> };

/**
 * What the hot path does with bytes: hashes, comparison, compression. The web's own work everywhere; a runtime with synchronous ones saves
 * the trip through a thread pool, which costs more than hashing a heartbeat.
 */
export type Hashing = {
  /** `sha-256=:…:` (RFC 9530) of the bytes. */
  contentDigest(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  macKey(bytes: Uint8Array<ArrayBuffer>): MacKey | Promise<MacKey>;
  /** Of bytes that are no secret: it may leave at the first difference. */
  isEqual(a: Uint8Array, b: Uint8Array): boolean;
  /** MD5 in lower-case hex (RFC 1321), as SQS states it of the message it took. Against mix-ups, not against attackers. */
  md5(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  /** Raw deflate (RFC 1951), for speed rather than for size. */
  deflate(bytes: Uint8Array<ArrayBuffer>): Uint8Array | Promise<Uint8Array>;
};

export const webHashing: Hashing = {
  contentDigest,
  async macKey(bytes) {
    const key = await importHmacKey(bytes, ["verify"]);
    return { verify: (data, signature) => crypto.subtle.verify("HMAC", key, signature, utf8(data)) };
  },
  isEqual: (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]),
  // Only workerd has MD5 in its WebCrypto (developers.cloudflare.com/workers/runtime-apis/web-crypto); Bun and Deno
  // bring a Hashing of their own.
  async md5(bytes) {
    return hex(new Uint8Array(await crypto.subtle.digest("MD5", bytes)));
  },
  async deflate(bytes) {
    const deflated = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(deflated).arrayBuffer());
  },
};
