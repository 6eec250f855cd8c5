import { z } from "zod";
import { fromUtf8 } from "../../../shared/encoding/bytes.ts";
import { accept, refuse, type Verdict } from "../../../shared/verdict.ts";
import { mode, stopEnginesBy } from "../../../shared/wire/heartbeat.ts";
import { IDEMPOTENCY_KEY_FORM } from "../../../shared/wire/idempotency-key.ts";
import { text } from "../../../shared/wire/text.ts";
import { JUSTIFICATION_CHARACTERS_MAX, JUSTIFICATION_CHARACTERS_MIN } from "../../control/justification.ts";
import { inTime, readStream } from "../../http/read-body.ts";

/**
 * Limits of a form with a justification. They allow a text ten times as long as the maximum, with three
 * percent-encoded bytes of UTF-8 per character. A user who pastes too much text gets it back to shorten it,
 * instead of an error about the request size.
 */
const SHORT_FORM = { bytesMax: 96 * 1024, fieldsMax: 12 };

const FORM_TYPE = /^application\/x-www-form-urlencoded(?: *; *charset=utf-8)?$/i;

/** White space, including line breaks, becomes a single space, because a custody record stores one line. */
const justification = z
  .string()
  .transform((value) => value.replace(/\s+/g, " ").trim())
  .pipe(text(JUSTIFICATION_CHARACTERS_MAX).min(JUSTIFICATION_CHARACTERS_MIN));

const hidden = { csrf: z.string(), key: z.string().regex(IDEMPOTENCY_KEY_FORM) };

export const isolateForm = z.strictObject({
  ...hidden,
  mode,
  justification,
  confirm: z.literal("yes"),
  breakGlass: z.literal("yes").optional(),
  everyCopy: z.literal("yes").optional(),
  /** How engines are stopped, according to the setting that the form displayed. */
  stopEnginesBy: stopEnginesBy.optional(),
});
export const releaseForm = z.strictObject({
  ...hidden,
  justification,
  confirm: z.literal("yes"),
  everyCopy: z.literal("yes").optional(),
});

export const acknowledgeForm = z.strictObject(hidden);
/**
 * Maximum length of the reason for resolving an incident. It is shorter than a justification, because lists
 * show the reason with the incident.
 */
export const RESOLUTION_CHARACTERS_MAX = 200;
export const resolveForm = z.strictObject({
  ...hidden,
  justification: z
    .string()
    .transform((value) => value.replace(/\s+/g, " ").trim())
    .pipe(text(RESOLUTION_CHARACTERS_MAX).min(JUSTIFICATION_CHARACTERS_MIN)),
});

/**
 * Values that the user entered in a rejected form, shown again with the errors. `wrong`: names of the invalid
 * fields.
 */
export type Draft = { mode: string; justification: string; confirm: boolean; wrong: readonly string[] };

/**
 * Reads the fields of a form post. Rejects other media types, bodies that are too large or arrive too slowly,
 * and repeated fields.
 */
export async function readForm(
  request: Request,
  { bytesMax, fieldsMax } = SHORT_FORM,
): Promise<Verdict<Record<string, string>>> {
  if (!FORM_TYPE.test(request.headers.get("content-type") ?? ""))
    return refuse("admin.invalid", "content type");
  // Counts the bytes of the body, because the declared length may be wrong.
  const body = request.body as ReadableStream<Uint8Array> | null;
  const bytes = body ? await inTime(readStream(body, bytesMax)) : accept(new Uint8Array());
  if (!bytes.ok) return bytes;
  let pairs: [string, string][];
  try {
    pairs = [...new URLSearchParams(fromUtf8(bytes.value))];
  } catch {
    return refuse("wire.malformed", "not UTF-8");
  }
  const fields = new Map(pairs);
  if (pairs.length > fieldsMax || fields.size !== pairs.length) return refuse("admin.invalid", "fields");
  return accept(Object.fromEntries(fields));
}

export const draftOf = (fields: Record<string, string>, error: z.ZodError): Draft => ({
  mode: fields.mode ?? "observe",
  justification: fields.justification ?? "",
  confirm: fields.confirm === "yes",
  wrong: [...new Set(error.issues.map((issue) => String(issue.path[0] ?? "form")))],
});
