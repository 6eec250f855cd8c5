import { z } from "zod";

/**
 * Characters that every stage rejects in strings: C0 and C1 controls, line separators, bidirectional
 * overrides, and the two noncharacters that SQS rejects. Bidirectional overrides make a page show a different
 * text than the stored one (CVE-2021-42574).
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/;
/** The same characters as a pattern for JSON Schema. The code also rejects lone surrogates. */
const SAFE_PATTERN =
  "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufffe\\uffff]*$";
const UNSAFE_ALL = new RegExp(UNSAFE.source, "g");

const isSafe = (text: string): boolean => !UNSAFE.test(text) && text.isWellFormed();

/**
 * Schema of a string from an agent or a person. It has at most `max` UTF-16 units, no {@link UNSAFE}
 * character and no lone surrogate.
 */
export const text = (max: number) =>
  z.string().min(1).max(max).refine(isSafe, "unsafe character").meta({ pattern: SAFE_PATTERN });

/**
 * Makes any string valid for {@link text}. Replaces unsafe characters with U+FFFD and truncates the string.
 * An empty string becomes `(empty)`.
 */
export function tidy(value: string, max: number): string {
  const safe = value.toWellFormed().replace(UNSAFE_ALL, "\ufffd");
  // toWellFormed is needed again after truncation, which can split a surrogate pair.
  return (safe === "" ? "(empty)" : safe).slice(0, max).toWellFormed();
}

/**
 * Fixed-width UTC timestamp with milliseconds and an existing date. Years from 1000 on are accepted, because
 * a host can boot with a clock of 1970. The worker corrects such dates
 * (`worker/heartbeat/plausible-dates.ts`).
 */
export const isoTimestamp = z
  .string()
  .regex(/^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .refine((value) => Number.isFinite(Date.parse(value)), "not a date");
