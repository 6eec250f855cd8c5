import { timingSafeEqual } from "node:crypto";
import type { Hashing } from "./hashing.ts";

/** Bun's own hashes and compression: synchronous. */
export const bunHashing: Hashing = {
  contentDigest: (bytes) => `sha-256=:${new Bun.CryptoHasher("sha256").update(bytes).digest("base64")}:`,
  macKey: (bytes) => ({
    verify(data, signature) {
      const mac = new Bun.CryptoHasher("sha256", bytes).update(data).digest();
      return mac.length === signature.length && timingSafeEqual(mac, signature);
    },
  }),
  deflate: (bytes) => Bun.deflateSync(bytes, { level: 1 }),
};
