import { z } from "zod";

/**
 * Characters no stage accepts in a string: C0 and C1 controls, line separators, bidirectional overrides (they
 * make a page show another text than the one stored, CVE-2021-42574), and the two noncharacters SQS rejects.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/;
/** The same as a schema tells it: the code alone also asks for pairs of surrogates. */
const SAFE_PATTERN =
  "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ufffe\\uffff]*$";
const UNSAFE_ALL = new RegExp(UNSAFE.source, "g");

const isSafe = (text: string): boolean => !UNSAFE.test(text) && text.isWellFormed();

/** A string of an agent or a person: `max` in UTF-16 units, no {@link UNSAFE} character, no lone surrogate. */
export const text = (max: number) =>
  z.string().min(1).max(max).refine(isSafe, "unsafe character").meta({ pattern: SAFE_PATTERN });

/** Makes any string pass {@link text}: unsafe characters become U+FFFD, the end is cut. Empty gives `(empty)`. */
export function tidy(value: string, max: number): string {
  const safe = value.toWellFormed().replace(UNSAFE_ALL, "\ufffd");
  // Cutting can split a surrogate pair, hence the second toWellFormed.
  return (safe === "" ? "(empty)" : safe).slice(0, max).toWellFormed();
}

/**
 * Fixed-width UTC with milliseconds, and a date that exists. From 1000 on: hosts boot with a clock of 1970, and what they
 * report is dated by the worker (`worker/heartbeat/plausible-dates.ts`).
 */
export const isoTimestamp = z
  .string()
  .regex(/^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .refine((value) => Number.isFinite(Date.parse(value)), "not a date");
