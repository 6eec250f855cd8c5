import { type Refusal, refuse, type Verdict } from "../../shared/verdict.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";
import {
  contentDigest,
  importDeviceKey,
  isFresh,
  parseSignature,
  type SignatureInput,
  verifySignature,
} from "../../shared/wire/signature.ts";
import type { RateLimit, Taken } from "../http/rate-limit.ts";
import { readBody } from "../http/read-body.ts";
import type { EnrolmentDeps } from "./deps.ts";

const BODY_BYTES_MAX = 8 * 1024;

/** Refusal of an authenticated request above a rate limit, with the values for its retry headers. */
export type Limited = Refusal & { limit: RateLimit; taken: Taken };

/** Parsed signature headers of a request (RFC 9421), with the digest and path that the signature covers. */
export type Signed = { input: SignatureInput; digest: string; path: string };

/**
 * Parses the signature headers of a request from a device, and checks the time of the signature. Does not
 * verify the signature.
 */
export function parseSigned(request: Request, deps: Pick<EnrolmentDeps, "clock">): Verdict<Signed> {
  const signed = parseSignature(request.headers, "ed25519");
  if (!signed.ok) return signed;
  if (!isFresh(signed.value.createdSeconds, deps.clock(), LIMITS.CLOCK_SKEW_SECONDS_MAX))
    return refuse("wire.stale");
  const digest = request.headers.get("content-digest") ?? "";
  return { ok: true, value: { input: signed.value, digest, path: new URL(request.url).pathname } };
}

/** Whether the signature was made with the device key. False if `deviceKey` is not a valid Ed25519 public key. */
export async function isSignedBy(deviceKey: string, { input, digest, path }: Signed): Promise<boolean> {
  const key = await importDeviceKey(deviceKey).catch(() => undefined);
  return key !== undefined && (await verifySignature(key, input, { method: "POST", path, digest }));
}

/** Reads the body of a request whose signature was verified. Refuses a body that does not match the signed digest. */
export async function readSignedBody(
  request: Request,
  { digest }: Signed,
): Promise<Verdict<Uint8Array<ArrayBuffer>>> {
  const bytes = await readBody(request, BODY_BYTES_MAX);
  if (!bytes.ok) return bytes;
  return digest === (await contentDigest(bytes.value)) ? bytes : refuse("wire.bad-signature");
}
