import { z } from "zod";
import { text } from "../../shared/wire/text.ts";

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
