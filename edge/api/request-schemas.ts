import { z } from "zod";
import { assetId, employeeId } from "../../shared/ids.ts";
import { integerText } from "../../shared/wire/integer.ts";
import { keyId } from "../auth/authenticate-api-key.ts";
import { CURSOR_CHARACTERS_MAX, CURSOR_FORM } from "../control/cursor.ts";
import { incidentName } from "../control/incidents/incident-name.ts";

/** Cursor from the previous page's response. */
export const cursor = z.string().max(CURSOR_CHARACTERS_MAX).regex(CURSOR_FORM);

/**
 * Maximum value of the search filter `silentHours`: ten years in hours, the same as the maximum of
 * `assetExpiryDays`.
 */
export const SILENT_HOURS_MAX = 3650 * 24;

const PAGE_ITEMS_MAX = 200;
export const page = z.strictObject({
  limit: integerText(1, PAGE_ITEMS_MAX).default(50).meta({
    description: "Maximum number of items. A page that has fewer items is not necessarily the last page.",
  }),
  cursor: cursor.optional().meta({
    description: "Cursor from the previous page. It is only valid for the same list with the same filters.",
  }),
});

export const pageFrom = ({ limit, cursor }: { limit: number; cursor?: string | undefined }) =>
  cursor === undefined ? { limit } : { limit, from: cursor };

export const assetParams = z.strictObject({ assetId });
export const employeeParams = z.strictObject({ employeeId });
export const tokenParams = z.strictObject({ tokenId: keyId });
export const keyParams = z.strictObject({ keyId });
/** A ULID in lower case. */
const webhookId = z.string().regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/);
export const webhookParams = z.strictObject({ webhookId });
export const deliveryParams = z.strictObject({
  webhookId,
  eventId: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/),
});

export const incidentParams = z.strictObject({ incidentId: incidentName });
