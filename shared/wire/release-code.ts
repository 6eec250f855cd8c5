import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { addressee, signClaims, verifyClaims } from "./control-claims.ts";
import type { ControlKey } from "./sign-statement.ts";

/**
 * Frees one stranded host once, without a connection: whoever is at the host types it in. Signed by the control
 * key, so that it is worth nothing on another host, after a later change, or after its expiry.
 */
export const releaseCode = z.object({
  ...addressee,
  /** Of the newest change when it was made: a host that obeyed a later one does not take it. */
  generation: z.int().min(1),
  jti: z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
  iat: z.int(),
  exp: z.int(),
});
export type ReleaseCode = z.infer<typeof releaseCode>;

const KIND = { typ: "lz-release-code+jwt", schema: releaseCode };

export const RELEASE_CODE_HOURS_MAX = 72;

export const signReleaseCode = (control: ControlKey, claims: ReleaseCode): Promise<string> =>
  signClaims(control, KIND.typ, claims);

/** See {@link verifyClaims}. Whether it was used before is the caller's to ask. */
export const verifyReleaseCode = (
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<ReleaseCode> => verifyClaims(jws, KIND, pinned, self, nowMs);
