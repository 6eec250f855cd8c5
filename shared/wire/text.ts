import { z } from "zod";

/**
 * Characters that every stage rejects in strings: C0 and C1 controls, line separators, bidirectional
 * overrides (they make a page show different text than stored, CVE-2021-42574), and the two noncharacters
 * that SQS rejects.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/;
/** The same as a pattern for JSON Schema. The code also rejects lone surrogates. */
const SAFE_PATTERN =
  "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufffe\\uffff]*$";
const UNSAFE_ALL = new RegExp(UNSAFE.source, "g");

const isSafe = (text: string): boolean => !UNSAFE.test(text) && text.isWellFormed();

/**
 * A string from an agent or a person: at most `max` UTF-16 units, no {@link UNSAFE} character, no lone
 * surrogate.
 */
export const text = (max: number) =>
  z.string().min(1).max(max).refine(isSafe, "unsafe character").meta({ pattern: SAFE_PATTERN });

/**
 * Makes any string pass {@link text}: replaces unsafe characters with U+FFFD and truncates. Empty becomes
 * `(empty)`.
 */
export function tidy(value: string, max: number): string {
  const safe = value.toWellFormed().replace(UNSAFE_ALL, "\ufffd");
  // Truncation can split a surrogate pair, so toWellFormed is needed twice.
  return (safe === "" ? "(empty)" : safe).slice(0, max).toWellFormed();
}

/**
 * Fixed-width UTC with milliseconds, and a date that exists. Accepts years from 1000 on: hosts may boot with
 * a clock of 1970, and the worker corrects their dates (`worker/heartbeat/plausible-dates.ts`).
 */
export const isoTimestamp = z
  .string()
  .regex(/^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .refine((value) => Number.isFinite(Date.parse(value)), "not a date");
