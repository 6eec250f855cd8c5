import type { JSONWebKeySet } from "jose";
import { z } from "zod";
import { addressee, signClaims, verifyClaims } from "./control-claims.ts";
import { hardware } from "./hardware.ts";
import { mode, stopEnginesBy } from "./heartbeat.ts";
import type { ControlKey } from "./sign-statement.ts";
import { text } from "./text.ts";

/** Containment directive for an agent, signed with the control key. The edge forwards it unchanged. */
const directive = z
  .object({
    ...addressee,
    /** Increases by one with each accepted change. An agent ignores a directive with an older generation. */
    generation: z.int().min(1),
    action: z.enum(["isolate", "release"]),
    mode,
    /** How engines are stopped in mode `stop-engines`. Absent: engines are suspended. */
    stopEnginesBy: stopEnginesBy.optional(),
    /** Mainboard fingerprint of the asset at enrolment. An agent on another mainboard ignores the directive. */
    hardware: hardware.shape.id.optional(),
    /** Message for the person at the host. Absent: the agent shows its default message. */
    notice: text(300).optional(),
    iat: z.int(),
    exp: z.int(),
  })
  .refine(
    (claims) =>
      claims.stopEnginesBy === undefined || (claims.action === "isolate" && claims.mode === "stop-engines"),
    "stopEnginesBy is only allowed for an isolation in mode stop-engines",
  );
export type Directive = z.infer<typeof directive>;

const KIND = { typ: "lz-directive+jwt", schema: directive };

/** Validity of a directive in seconds. A host that was offline for longer needs a new directive. */
export const DIRECTIVE_LIFETIME_SECONDS = 30 * 24 * 3600;

export const signDirective = (control: ControlKey, claims: Directive): Promise<string> =>
  signClaims(control, KIND.typ, claims);

/** Verifies a directive, see {@link verifyClaims}. The caller checks whether its generation is new. */
export const verifyDirective = (
  jws: string,
  pinned: JSONWebKeySet,
  self: { tenantId: string; assetId: string },
  nowMs: number,
): Promise<Directive> => verifyClaims(jws, KIND, pinned, self, nowMs);
