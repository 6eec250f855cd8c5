import { hex, utf8 } from "../../shared/encoding/bytes.ts";
import { contentDigest, importHmacKey } from "../../shared/wire/signature.ts";

/** A session key that verifies HMAC-SHA256 signatures in constant time. */
export type MacKey = { verify(data: string, signature: Uint8Array<ArrayBuffer>): boolean | Promise<boolean> };

/**
 * Hashing, comparison and compression of bytes, for heartbeats. {@link webHashing} works in every runtime.
 * Bun and Deno use synchronous functions instead, because WebCrypto's thread pool costs more than hashing a
 * heartbeat.
 */
export type Hashing = {
  /** Content digest of the bytes in the format `sha-256=:…:` (RFC 9530). */
  contentDigest(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  macKey(bytes: Uint8Array<ArrayBuffer>): MacKey | Promise<MacKey>;
  /** Compares bytes that are not secret. The comparison is not constant-time. */
  isEqual(a: Uint8Array, b: Uint8Array): boolean;
  /**
   * MD5 in lower-case hex (RFC 1321). SQS returns the MD5 of an accepted message. The comparison detects
   * mix-ups but not attacks.
   */
  md5(bytes: Uint8Array<ArrayBuffer>): string | Promise<string>;
  /** Raw deflate (RFC 1951) at a fast compression level. */
  deflate(bytes: Uint8Array<ArrayBuffer>): Uint8Array | Promise<Uint8Array>;
};

/** {@link Hashing} with WebCrypto and CompressionStream. */
export const webHashing: Hashing = {
  contentDigest,
  async macKey(bytes) {
    const key = await importHmacKey(bytes, ["verify"]);
    return { verify: (data, signature) => crypto.subtle.verify("HMAC", key, signature, utf8(data)) };
  },
  isEqual: (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]),
  // Only workerd supports MD5 in WebCrypto (developers.cloudflare.com/workers/runtime-apis/web-crypto). Bun
  // and Deno use their own Hashing.
  async md5(bytes) {
    return hex(new Uint8Array(await crypto.subtle.digest("MD5", bytes)));
  },
  async deflate(bytes) {
    const deflated = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(deflated).arrayBuffer());
  },
};
