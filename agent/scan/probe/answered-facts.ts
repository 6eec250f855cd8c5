import { tidy } from "../../../shared/wire/text.ts";
import { type AuthProof, authProvenBy, OPEN_ANSWERS } from "../../catalogue/auth.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import { type Answers, type Judgement, MODELS_PATH } from "../../catalogue/judge.ts";
import { type Examined, regex, valuesAt } from "../../catalogue/match.ts";
import { detailPaths } from "./probe-plan.ts";

/**
 * Whether the server requires a credential.
 *
 * `required`: status 401 or 403 on any path of the product's API, or a response in `REQUIRED_ANSWERS` of
 * auth.ts. One such path is enough, because llama.cpp lists its models without a key even if other paths
 * require a key.
 *
 * `open`: a response to a request without a credential, on a path that the product would protect if
 * authentication were enabled. This is the model list, or a response in {@link OPEN_ANSWERS}.
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
  const proves = (what: keyof AuthProof): boolean =>
    own !== undefined && [...answers].some(([path, answer]) => authProvenBy(path, answer)[what].has(own.id));
  if (proves("required")) return "required";
  const isOpen =
    own && OPEN_ANSWERS[own.id]
      ? proves("open")
      : [...lists, MODELS_PATH].some((path) => isJson(answers.get(path)));
  return isOpen ? "open" : "unknown";
}

/** A model list is JSON. A server that returns its HTML page for every path does not count as open. */
const isJson = (answer: Examined | undefined): boolean => answer?.status === 200 && answer.json !== undefined;

/**
 * Version of a build that has no version number: `0.0.0` or `0.0.0-dev`. It is ignored, because it would
 * wrongly match known vulnerabilities.
 */
const PLACEHOLDER = /^v?0(?:\.0)*(?:[-+.][^.]*)?$/;

/** The version in the responses, at most 40 characters. `at` is `body`, `header:NAME` or a JSON path. */
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
