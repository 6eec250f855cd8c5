import { z } from "zod";

/** Decimal digits without a leading zero. A number with at most 15 digits is always a safe integer. */
const DECIMAL = /^-?(?:0|[1-9]\d{0,14})$/;

/**
 * An integer that arrives as text (query, form, environment). `Number()` also accepts "", " 1", "1e2" and
 * "0x10", so an empty variable would silently mean 0.
 */
export const integerText = (min: number, max: number = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    (value) => (typeof value === "string" && DECIMAL.test(value) ? Number(value) : value),
    z.number().int().min(min).max(max),
  );
