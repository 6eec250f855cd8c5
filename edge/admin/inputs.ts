import { z } from "zod";
import { assetId, employeeId } from "../../shared/ids.ts";
import { integerText } from "../../shared/wire/integer.ts";
import { text } from "../../shared/wire/text.ts";
import { keyId } from "./api-key.ts";
import { CURSOR_CHARACTERS_MAX, CURSOR_FORM } from "./cursor.ts";

/** What comes in with several operations. */

/** As the specification tells it: three visible characters, and none that could disguise them. */
const HIDDEN = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufffe\\uffff";
const WORDS = `^[^${HIDDEN}]*[^\\s${HIDDEN}][^${HIDDEN}]+[^\\s${HIDDEN}][^${HIDDEN}]*$`;

/** A line a person wrote: at least three characters that are not space, none that could disguise it. */
export const words = (max: number) =>
  text(max)
    .min(3)
    .refine((value) => value.trim().length >= 3, "too short")
    .meta({ pattern: WORDS });

export const JUSTIFICATION_CHARACTERS_MAX = 1000;
export const justification = words(JUSTIFICATION_CHARACTERS_MAX).meta({
  description: "Why. It goes into the custody record.",
});
export const justified = z.strictObject({ justification });

/** As it came with the page before. */
export const cursor = z.string().max(CURSOR_CHARACTERS_MAX).regex(CURSOR_FORM);

export const PAGE_ITEMS_MAX = 200;
export const page = z.strictObject({
  limit: integerText(1, PAGE_ITEMS_MAX)
    .default(50)
    .meta({ description: "Items at most. A page may be shorter and still not be the last." }),
  cursor: cursor.optional().meta({
    description: "Of the page before, as it is. Good for the same list with the same filters only.",
  }),
});

export const pageFrom = ({ limit, cursor }: { limit: number; cursor?: string | undefined }) =>
  cursor === undefined ? { limit } : { limit, from: cursor };

export const assetParams = z.strictObject({ assetId });
export const employeeParams = z.strictObject({ employeeId });
export const tokenParams = z.strictObject({ tokenId: keyId });
export const keyParams = z.strictObject({ keyId });
/** As the edge makes them: a ULID in small letters. */
const webhookId = z.string().regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/);
export const webhookParams = z.strictObject({ webhookId });
export const deliveryParams = z.strictObject({
  webhookId,
  eventId: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
});

const INCIDENT_ID = /^([0-7][0-9A-HJKMNP-TV-Z]{25})\.([a-z0-9][a-z0-9-]{0,63})\.([a-z0-9][a-z0-9-]{0,63})$/;
export const incidentName = z.string().regex(INCIDENT_ID);
export const incidentParams = z.strictObject({ incidentId: incidentName });

/** The parts of an incident's id, which is its key in the table. */
export function incidentParts(id: string): { assetId: string; rule: string; engine: string } {
  const [, asset, rule, engine] = INCIDENT_ID.exec(id)!;
  return { assetId: asset!, rule: rule!, engine: engine! };
}
