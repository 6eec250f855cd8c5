import { tidy } from "../../../shared/wire/text.ts";
import { OPEN_ANSWERS, openedBy } from "../../catalogue/auth.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { type Answers, type Judgement, MODELS_PATH } from "../../catalogue/judge.ts";
import { type Examined, regex, valuesAt } from "../../catalogue/match.ts";
import { detailPaths } from "./probe-plan.ts";

/**
 * A refusal anywhere in the product's own API counts: llama.cpp lists its models to everybody, key or not. `open` takes an
 * answer that a credential would have kept: the list of models, or what {@link OPEN_ANSWERS} names for the product.
 */
export function authOf(
  judgement: Judgement,
  answers: Answers,
  lists: readonly string[],
): "open" | "required" | "unknown" {
  const own = judgement.winner?.entry;
  const paths = [
    ...lists,
    MODELS_PATH,
    ...(own?.traits ?? []).map(({ path }) => path),
    ...(own ? detailPaths(own) : []),
  ];
  const statuses = paths.map((path) => answers.get(path)?.status);
  if (statuses.some((status) => status === 401 || status === 403)) return "required";
  const isOpen =
    own && OPEN_ANSWERS[own.id]
      ? [...answers].some(([path, answer]) => openedBy(path, answer).has(own.id))
      : [...lists, MODELS_PATH].some((path) => isJson(answers.get(path)));
  return isOpen ? "open" : "unknown";
}

/** A page that a server gives for every path is no list of models. */
const isJson = (answer: Examined | undefined): boolean => answer?.status === 200 && answer.json !== undefined;

/** What a program says that was built without its version, `0.0.0` or `0.0.0-dev`: no version, and no known hole. */
const PLACEHOLDER = /^v?0(?:\.0)*(?:[-+.][^.]*)?$/;

/** A header is asked for as `header:name`, anything else is a path into the JSON. */
export function versionOf(entry: CatalogEntry, answers: Answers): string | undefined {
  for (const { path, at, matches } of entry.version ?? []) {
    const answer = answers.get(path);
    if (!answer) continue;
    const raw =
      at === "body"
        ? answer.body
        : at.startsWith("header:")
          ? answer.headers[at.slice(7)]
          : valuesAt(answer.json, at)[0];
    if (typeof raw !== "string" && typeof raw !== "number") continue;
    const found = matches === undefined ? String(raw) : regex(matches).exec(String(raw))?.[1];
    if (found && !PLACEHOLDER.test(found)) return tidy(found, 40);
  }
  return undefined;
}
