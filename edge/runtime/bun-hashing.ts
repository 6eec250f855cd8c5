import { timingSafeEqual } from "node:crypto";
import type { Hashing } from "./hashing.ts";

/** Hashing and compression with Bun's own synchronous functions. */
export const bunHashing: Hashing = {
  contentDigest: (bytes) => `sha-256=:${Bun.SHA256.hash(bytes, "base64")}:`,
  macKey: (bytes) => ({
    verify(data, signature) {
      const mac = new Bun.CryptoHasher("sha256", bytes).update(data).digest();
      return mac.length === signature.length && timingSafeEqual(mac, signature);
    },
  }),
  isEqual: (a, b) => Buffer.compare(a, b) === 0,
  md5: (bytes) => Bun.MD5.hash(bytes, "hex"),
  deflate: (bytes) => Bun.deflateSync(bytes, { level: 1 }),
};
