import { authProvenBy } from "./auth.ts";
import type { CatalogEntry, Trait } from "./entry.ts";
import { type Examined, matchesTrait, valuesAt } from "./match.ts";

/** Responses of one listener, by path. */
export type Answers = ReadonlyMap<string, Examined>;

/** A product, and its traits that match the responses. */
export type Fit = { entry: CatalogEntry; traits: readonly Trait[] };

/**
 * Result for one listener. `winner`: the identified product. `runnersUp`: other products that fit. `hints`:
 * products with only weak matching traits.
 */
export type Judgement = { winner?: Fit; runnersUp: readonly Fit[]; hints: readonly Fit[] };

/**
 * Determines the product from the responses of a listener.
 *
 * If several products fit, the first of these criteria that differs decides:
 * 1. The product is not imitated by another fitting product (`impersonates`).
 * 2. The product names itself.
 * 3. More traits match.
 * 4. The process suggests the product (`likely`).
 *
 * The port of the listener does not affect the result.
 */
export function judge(
  catalogue: readonly CatalogEntry[],
  answers: Answers,
  likely: ReadonlySet<string> = new Set(),
): Judgement {
  const found = new Map<CatalogEntry, Trait[]>();
  for (const [path, answer] of answers) {
    for (const { entry, trait } of traitsIn(catalogue, path, answer)) {
      found.set(entry, [...(found.get(entry) ?? []), trait]);
    }
  }
  const fits = [...found].map(([entry, traits]) => ({ entry, traits }));
  const fitting = fits.filter(({ traits }) => traits.some((trait) => trait.weight !== "hint"));
  const hints = fits.filter(({ traits }) => traits.every((trait) => trait.weight === "hint"));
  const beaten = new Set(fitting.flatMap(({ entry }) => entry.impersonates ?? []));
  const rank = (fit: Fit): number[] => [
    beaten.has(fit.entry.id) ? 0 : 1,
    fit.traits.some((trait) => trait.weight === "identity") ? 1 : 0,
    fit.traits.length,
    likely.has(fit.entry.id) ? 1 : 0,
  ];
  fitting.sort((a, b) => compare(rank(b), rank(a)) || (a.entry.id < b.entry.id ? -1 : 1));
  const [winner, ...runnersUp] = fitting;
  return winner ? { winner, runnersUp, hints } : { runnersUp, hints };
}

type Placed = { entry: CatalogEntry; trait: Trait };

const byPath = new WeakMap<readonly CatalogEntry[], Map<string, Placed[]>>();
const examined = new WeakMap<Examined, Placed[]>();

/**
 * Traits that match a response. They are computed once per response and cached, because a listener is judged
 * after each batch of probes, and by then the JSON may have been dropped.
 */
function traitsIn(catalogue: readonly CatalogEntry[], path: string, answer: Examined): Placed[] {
  let index = byPath.get(catalogue);
  if (!index) {
    index = Map.groupBy(
      catalogue.flatMap((entry) => entry.traits.map((trait) => ({ entry, trait }))),
      ({ trait }) => trait.path,
    );
    byPath.set(catalogue, index);
  }
  let placed = examined.get(answer);
  if (!placed) {
    authProvenBy(path, answer);
    isWordedRefusal(answer);
    placed = (index.get(path) ?? []).filter(({ trait }) => matchesTrait(trait, answer));
    examined.set(answer, placed);
  }
  return placed;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return 0;
}

/** Products that imitate the winner and could still fit. */
export function rivals(catalogue: readonly CatalogEntry[], winner: CatalogEntry): CatalogEntry[] {
  return catalogue.filter((entry) => entry.impersonates?.includes(winner.id));
}

export const MODELS_PATH = "/v1/models";

/**
 * Checks whether the response of `/v1/models` is a model list or an error in the format of the OpenAI API
 * (https://platform.openai.com/docs/api-reference/models/object). Returns the evidence as a sentence. Returns
 * undefined if the format does not match.
 *
 * The checks are strict, because a web shop may also list "models", and other APIs have similar lists and
 * errors.
 */
export function openaiShape(answers: Answers): string | undefined {
  const answer = answers.get(MODELS_PATH);
  if (!answer) return undefined;
  if (answer.status === 200) return listShape(answer);
  if (!isWordedRefusal(answer)) return undefined;
  // An API that returns such an error for every path may have no models. One example is Stripe's API.
  const elsewhere = [...answers].filter(([path]) => !path.startsWith("/v1/"));
  if (elsewhere.some(([, other]) => isWordedRefusal(other))) return undefined;
  return `GET ${MODELS_PATH} returns an error (${answer.status}) in the OpenAI format`;
}

function listShape({ json }: Examined): string | undefined {
  const [object] = valuesAt(json, "object");
  const [data] = valuesAt(json, "data");
  if (object !== "list" || !Array.isArray(data)) return undefined;
  // Lists of other APIs have additional members for pagination: `has_more`, `url`, `total`.
  const isBare = Object.keys(json as object).every((key) => key === "object" || key === "data");
  const isOpenai = data.length === 0 ? isBare : data.some(isModel);
  return isOpenai ? `GET ${MODELS_PATH} lists ${data.length} models in the OpenAI format` : undefined;
}

/**
 * OpenAI's model object has `owned_by` and `created`. Some servers leave out one of these members, but no
 * known server leaves out both.
 */
function isModel(item: unknown): boolean {
  const has = (key: string, type: "string" | "number"): boolean =>
    valuesAt(item, key).some((value) => typeof value === type);
  const isNamed = has("id", "string") && valuesAt(item, "object")[0] === "model";
  return isNamed && (has("owned_by", "string") || has("created", "number"));
}

const REFUSAL_WORDS = new Set(["invalid_request_error", "authentication_error", "invalid_api_key"]);

const refusals = new WeakMap<Examined, boolean>();

function isWordedRefusal(answer: Examined): boolean {
  let isWorded = refusals.get(answer);
  if (isWorded === undefined) {
    const { status, json } = answer;
    const says = (path: string): boolean => REFUSAL_WORDS.has(String(valuesAt(json, path)[0]));
    isWorded = (status === 401 || status === 403) && (says("error.type") || says("error.code"));
    refusals.set(answer, isWorded);
  }
  return isWorded;
}
