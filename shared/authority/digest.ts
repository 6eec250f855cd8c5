import { utf8 } from "../encoding/bytes.ts";
import type { AuthorityClaims } from "../table/items/authority.ts";

const MODULUS = 2n ** 256n;
export const EMPTY_DIGEST = "0".repeat(64);

/** SHA-256 of the claims of one record, as a number. */
async function digestOf({ item, version, hash }: AuthorityClaims): Promise<bigint> {
  const text = utf8(`${item}\n${version}\n${hash}`);
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

/**
 * Returns the digest after adding and removing records. The digest is a sum modulo 2^256, which does not
 * depend on the order. A change therefore needs only its own records. Records are signed, so an attacker
 * cannot choose records whose digests cancel out.
 */
export async function addToDigest(
  digest: string,
  added: readonly AuthorityClaims[],
  removed: readonly AuthorityClaims[] = [],
): Promise<string> {
  const [plus, minus] = await Promise.all([
    Promise.all(added.map(digestOf)),
    Promise.all(removed.map(digestOf)),
  ]);
  const sum = plus.reduce((a, b) => a + b, BigInt(`0x${digest}`)) - minus.reduce((a, b) => a + b, 0n);
  return (((sum % MODULUS) + MODULUS) % MODULUS).toString(16).padStart(64, "0");
}
