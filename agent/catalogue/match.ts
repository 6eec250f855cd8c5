import { parseCutJson } from "./cut-json.ts";
import type { Condition, Trait } from "./entry.ts";
import type { Answer } from "./http-answer.ts";

/** A response with its parsed JSON. */
export type Examined = Answer & { json: unknown };

/** All values at a path of a JSON document. The path is `a.b`, `a[].b` (each element of `a`) or `[]`. */
export function valuesAt(json: unknown, path: string): unknown[] {
  let values: unknown[] = [json];
  for (const step of path.replaceAll("[]", ".[]").split(".")) {
    if (step === "") continue;
    values = values.flatMap((value) => {
      if (step === "[]") return Array.isArray(value) ? value.slice(0, LIST_ITEMS_MAX) : [];
      if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
      return Object.hasOwn(value, step) ? [(value as Record<string, unknown>)[step]] : [];
    });
  }
  return values;
}

/** Maximum number of list elements that are compared. */
const LIST_ITEMS_MAX = 256;

export function examine(answer: Answer): Examined {
  return { ...answer, json: parseJson(answer.body) };
}

function parseJson(body: string): unknown {
  const start = body.trimStart()[0];
  return start === "{" || start === "[" ? parseCutJson(body) : undefined;
}

/** True if the response matches all conditions of the trait. */
export function matchesTrait(trait: Omit<Trait, "weight" | "says">, answer: Examined): boolean {
  if (!(trait.statuses ?? [200]).includes(answer.status)) return false;
  if (!fits(trait, answer, "every")) return false;
  return trait.unless === undefined || !fits(trait.unless, answer, "some");
}

type Look = Pick<Trait, "headers" | "body" | "json">;

function fits(look: Look, answer: Examined, quantifier: "every" | "some"): boolean {
  const checks: (() => boolean)[] = [];
  for (const [name, pattern] of Object.entries(look.headers ?? {})) {
    checks.push(() => answer.headers[name] !== undefined && regex(pattern).test(answer.headers[name]));
  }
  if (look.body !== undefined) checks.push(() => regex(look.body!).test(answer.body));
  for (const [path, wanted] of Object.entries(look.json ?? {})) {
    checks.push(() => answer.json !== undefined && holds(wanted, valuesAt(answer.json, path)));
  }
  return checks[quantifier]((check) => check());
}

function holds(wanted: Condition, values: readonly unknown[]): boolean {
  if ("matches" in wanted)
    return values.some((value) => isScalar(value) && regex(wanted.matches).test(String(value)));
  if (wanted.is === "absent") return values.length === 0;
  if (wanted.is === "present") return values.length > 0;
  return values.some((value) => kindOf(value) === wanted.is);
}

const isScalar = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value);

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

const compiled = new Map<string, RegExp>();

/** Compiles a pattern of the catalogue and caches the result. Patterns ignore case. */
export function regex(source: string): RegExp {
  let expression = compiled.get(source);
  if (!expression) {
    expression = new RegExp(source, "iu");
    compiled.set(source, expression);
  }
  return expression;
}
