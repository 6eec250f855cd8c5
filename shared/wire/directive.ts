import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { addressee, signClaims, verifyClaims } from "./control-claims.ts";
import { hardware } from "./hardware.ts";
import { mode, stopEnginesBy } from "./heartbeat.ts";
import type { ControlKey } from "./sign-statement.ts";
import { text } from "./text.ts";

/** Wish of an admin that the agent obeys: signed once by the control key, handed on by the edge untouched. */
export const directive = z
  .object({
    ...addressee,
    /** Grows by one with each accepted change; an agent never goes back. */
    generation: z.int().min(1),
    action: z.enum(["isolate", "release"]),
    mode,
    /** Absent: suspend. */
    stopEnginesBy: stopEnginesBy.optional(),
    /** Fingerprint of the mainboard that the asset enrolled from: an agent on another one does not obey. */
    hardware: hardware.shape.id.optional(),
    /** What the person at the host is told. */
    notice: text(300).optional(),
    iat: z.int(),
    exp: z.int(),
  })
  .refine(
    (claims) =>
      claims.stopEnginesBy === undefined || (claims.action === "isolate" && claims.mode === "stop-engines"),
    "only an isolation in mode stop-engines says how engines are stopped",
  );
export type Directive = z.infer<typeof directive>;

const KIND = { typ: "lz-directive+jwt", schema: directive };

/** An offline host that comes back later than this needs a new directive. */
export const DIRECTIVE_LIFETIME_SECONDS = 30 * 24 * 3600;

export const signDirective = (control: ControlKey, claims: Directive): Promise<string> =>
  signClaims(control, KIND.typ, claims);

/** See {@link verifyClaims}. Whether its generation is new is the caller's to ask. */
export const verifyDirective = (
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<Directive> => verifyClaims(jws, KIND, pinned, self, nowMs);
