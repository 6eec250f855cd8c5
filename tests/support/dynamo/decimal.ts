import { refuse } from "./validation-fault.ts";

/**
 * Limits of numbers in DynamoDB: up to 38 significant digits, magnitude 1E-130 to 9.99…E+125 ("Data types",
 * API Reference).
 */
const DIGITS_MAX = 38;
const EXPONENT_MAX = 125;
const EXPONENT_MIN = -130;

/** The number `coefficient` × 10^`exponent`. The coefficient has no trailing zeros. */
type Decimal = { coefficient: bigint; exponent: number };

function parseDecimal(text: string): Decimal {
  const [, sign, whole = "", fraction = "", power = "0"] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text.trim()) ?? [];
  if (whole + fraction === "") refuse(`not a number: ${text}`);
  const digits = BigInt(whole + fraction);
  const decimal = reduce(sign === "-" ? -digits : digits, Number(power) - fraction.length);
  const { coefficient, exponent } = decimal;
  const length = digitsOf(coefficient).length;
  if (length > DIGITS_MAX) refuse("a number has more than 38 significant digits");
  const magnitude = exponent + length - 1;
  if (coefficient !== 0n && magnitude > EXPONENT_MAX) refuse("a number is above 9.99E+125");
  if (coefficient !== 0n && magnitude < EXPONENT_MIN) refuse("a number is below 1E-130");
  return decimal;
}

const digitsOf = (coefficient: bigint): string => String(coefficient < 0n ? -coefficient : coefficient);

function reduce(coefficient: bigint, exponent: number): Decimal {
  if (coefficient === 0n) return { coefficient, exponent: 0 };
  const zeros = /0*$/.exec(String(coefficient))![0].length;
  return { coefficient: coefficient / 10n ** BigInt(zeros), exponent: exponent + zeros };
}

/** Returns a number in the form that DynamoDB returns: without leading and trailing zeros. */
export function normalise(text: string): string {
  if (/^(0|-?[1-9]\d{0,14})$/.test(text)) return text;
  return format(parseDecimal(text));
}

function format({ coefficient, exponent }: Decimal): string {
  const digits = digitsOf(coefficient);
  const sign = coefficient < 0n ? "-" : "";
  if (exponent >= 0) return `${sign}${digits}${"0".repeat(exponent)}`;
  const padded = digits.padStart(1 - exponent, "0");
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
}

function aligned(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const exponent = Math.min(a.exponent, b.exponent);
  const scale = (one: Decimal) => one.coefficient * 10n ** BigInt(one.exponent - exponent);
  return [scale(a), scale(b), exponent];
}

export function compareNumbers(a: string, b: string): number {
  const [left, right] = aligned(parseDecimal(a), parseDecimal(b));
  return left < right ? -1 : left > right ? 1 : 0;
}

export function addNumbers(a: string, b: string, sign: 1n | -1n): string {
  const [left, right, exponent] = aligned(parseDecimal(a), parseDecimal(b));
  const sum = format(reduce(left + sign * right, exponent));
  parseDecimal(sum);
  return sum;
}
