import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { addressee, signClaims, verifyClaims } from "./control-claims.ts";
import type { ControlKey } from "./sign-statement.ts";

/**
 * One-time code that releases a host without a connection. A person enters it at the host. It is signed with
 * the control key. It is not valid on another host, after a later change, or after its expiry.
 */
const releaseCode = z.object({
  ...addressee,
  /**
   * Generation of the newest change when the code was created. A host that obeyed a later directive rejects
   * the code.
   */
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

/** Verifies a release code, see {@link verifyClaims}. The caller checks whether the code was used before. */
export const verifyReleaseCode = (
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<ReleaseCode> => verifyClaims(jws, KIND, pinned, self, nowMs);
