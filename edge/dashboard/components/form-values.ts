import { z } from "zod";
import { IDEMPOTENCY_KEY_FORM } from "../../../shared/wire/idempotency-key.ts";
import { integerText } from "../../../shared/wire/integer.ts";
import type { Wrong } from "./notice.tsx";

const hidden = {
  csrf: z.string(),
  key: z.string().regex(IDEMPOTENCY_KEY_FORM),
  /**
   * Version that was current when the user opened the form. A newer stored version is an optimistic-lock
   * conflict.
   */
  version: integerText(0),
};
export const versionedForm = z.looseObject(hidden);

export type Read<T> = { ok: true; value: T } | { ok: false; wrong: Wrong[] };

const WRONG_MAX = 20;

/** Name of a field as used in error messages, and the position of the field on the page. */
type Position = Omit<Wrong, "words"> & { name: string };

/** Converts a validation error to messages with field positions. The messages never repeat the user's input. */
export function errorsOf(error: z.ZodError, positionOf: (path: readonly PropertyKey[]) => Position): Wrong[] {
  const found = error.issues.flatMap((issue) => {
    if (issue.code !== "unrecognized_keys") return [{ path: issue.path, message: issue.message }];
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown field" }));
  });
  return found.slice(0, WRONG_MAX).map(({ path, message }) => {
    const { name, ...where } = positionOf(path);
    return { ...where, words: `${name}: ${message}` };
  });
}

/** Accepts decimal numbers only. `Number()` alone would read an empty field as 0 and accept "1e2" and "0x10". */
export const numberOf = (text: string | undefined): number =>
  /^-?\d{1,15}(?:\.\d{1,15})?$/.test(text?.trim() ?? "") ? Number(text) : Number.NaN;
