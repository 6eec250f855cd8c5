import { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import type { Hashing } from "./hashing.ts";

/**
 * Hashing and compression with the synchronous functions of Deno's Node API. Unlike WebCrypto, they use no
 * thread pool.
 */
export const denoHashing: Hashing = {
  contentDigest: (bytes) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`,
  macKey: (bytes) => ({
    verify(data, signature) {
      const mac = createHmac("sha256", bytes).update(data).digest();
      return mac.length === signature.length && timingSafeEqual(mac, signature);
    },
  }),
  isEqual: (a, b) => Buffer.compare(a, b) === 0,
  md5: (bytes) => createHash("md5").update(bytes).digest("hex"),
  deflate: (bytes) => deflateRawSync(bytes, { level: 1 }),
};
