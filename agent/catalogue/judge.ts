import { authProvenBy } from "./auth.ts";
import type { CatalogEntry, Trait } from "./entry.ts";
import { type Examined, matchesTrait, valuesAt } from "./match.ts";

/** The responses of one listener, by path. */
export type Answers = ReadonlyMap<string, Examined>;

/** A product and those of its traits that match. */
export type Fit = { entry: CatalogEntry; traits: readonly Trait[] };

/** The product behind one listener. `hints`: products of which only weak traits match. */
export type Judgement = { winner?: Fit; runnersUp: readonly Fit[]; hints: readonly Fit[] };

/**
 * The product behind these responses. If several fit, they rank as follows: a product that imitates another (`impersonates`)
 * above the imitated one; a product that names itself; more matching traits; a product that the process suggests
 * (`likely`). Ports do not count.
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
 * Traits that match a response. Computed once per response: a listener is judged after each batch of probes, and the JSON
 * is not kept.
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

/** Products that imitate the winner and could still be the right one. */
export function rivals(catalogue: readonly CatalogEntry[], winner: CatalogEntry): CatalogEntry[] {
  return catalogue.filter((entry) => entry.impersonates?.includes(winner.id));
}

export const MODELS_PATH = "/v1/models";

/**
 * Whether `/v1/models` has the form of the OpenAI API: a model list
 * (https://platform.openai.com/docs/api-reference/models/object) or an error. Returns the evidence as a sentence. The checks
 * are strict, because a web shop may also list "models", and other APIs use similar lists and errors.
 */
export function openaiShape(answers: Answers): string | undefined {
  const answer = answers.get(MODELS_PATH);
  if (!answer) return undefined;
  if (answer.status === 200) return listShape(answer);
  if (!isWordedRefusal(answer)) return undefined;
  // An API that rejects every path with such an error, like Stripe's, need not have models.
  const elsewhere = [...answers].filter(([path]) => !path.startsWith("/v1/"));
  if (elsewhere.some(([, other]) => isWordedRefusal(other))) return undefined;
  return `GET ${MODELS_PATH} refuses (${answer.status}) as OpenAI does`;
}

function listShape({ json }: Examined): string | undefined {
  const [object] = valuesAt(json, "object");
  const [data] = valuesAt(json, "data");
  if (object !== "list" || !Array.isArray(data)) return undefined;
  // Lists of other APIs have members for paging: `has_more`, `url`, `total`.
  const isBare = Object.keys(json as object).every((key) => key === "object" || key === "data");
  const isOpenai = data.length === 0 ? isBare : data.some(isModel);
  return isOpenai ? `GET ${MODELS_PATH} lists ${data.length} models as OpenAI does` : undefined;
}

/** OpenAI's model object has both members. Some servers leave one out; no known server leaves out both. */
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
