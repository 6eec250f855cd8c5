import { decodeTime, ulid } from "ulid";
import { utf8 } from "../encoding/bytes.ts";

const BITS_PER_CHARACTER = 5;

/**
 * Id of an asset: a ULID. The 80 bits after its time are the first bits of a SHA-256 over tenant, device key
 * and time. A holder of the enrol key can therefore enrol new devices, but cannot register its own device key
 * under the id of an existing asset.
 *
 * @param atMs time of the enrolment, in ms since 1970
 */
export async function assetIdOf(tenantId: string, deviceKey: string, atMs: number): Promise<string> {
  const named = utf8(`lifecyclezero asset id 1\n${tenantId}\n${deviceKey}\n${atMs}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", named));
  let taken = 0;
  const nextFraction = () => {
    const [byte, shift] = [taken >> 3, taken & 7];
    taken += BITS_PER_CHARACTER;
    const twoBytes = (digest[byte]! << 8) | digest[byte + 1]!;
    return ((twoBytes >> (16 - BITS_PER_CHARACTER - shift)) & 31) / 32;
  };
  return ulid(atMs, nextFraction);
}

/** Whether the id of an asset was derived from this device key. */
export async function isIdOfKey(assetId: string, tenantId: string, deviceKey: string): Promise<boolean> {
  try {
    return assetId === (await assetIdOf(tenantId, deviceKey, decodeTime(assetId)));
  } catch {
    return false; // not a ULID
  }
}
