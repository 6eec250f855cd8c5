import { z } from "zod";
import { text } from "../../shared/wire/text.ts";

/**
 * Control characters and bidirectional formatting characters, which could disguise the content of a text.
 * Also used in the OpenAPI pattern.
 */
const HIDDEN = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufffe\\uffff";

const WORDS = `^[^${HIDDEN}]*[^\\s${HIDDEN}][^${HIDDEN}]+[^\\s${HIDDEN}][^${HIDDEN}]*$`;

/** Minimum length of a reason in characters. */
export const JUSTIFICATION_CHARACTERS_MIN = 3;

/** One line of text that a person entered, without control characters, from three to `max` characters after trimming. */
export const words = (max: number) =>
  text(max)
    .min(JUSTIFICATION_CHARACTERS_MIN)
    .refine(
      (value) => value.trim().length >= JUSTIFICATION_CHARACTERS_MIN,
      `expected at least ${JUSTIFICATION_CHARACTERS_MIN} characters`,
    )
    .meta({ pattern: WORDS });

export const JUSTIFICATION_CHARACTERS_MAX = 1000;

export const justification = words(JUSTIFICATION_CHARACTERS_MAX).meta({
  description: "Reason for the change. It is stored in the custody record.",
});

export const justified = z.strictObject({ justification });
