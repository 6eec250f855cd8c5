import type { CatalogEntry } from "../../agent/catalogue/entry.ts";

type Answers = NonNullable<CatalogEntry["fixtures"]["positive"][number]["answers"]>;

/** HTTP responses of a product, from its fixtures. Undefined if HTTP responses alone do not identify the product. */
export function answersOf({ traits, fixtures }: CatalogEntry): Answers | undefined {
  if (traits.length === 0) return undefined;
  return fixtures.positive.find(({ answers, process }) => answers && !process)?.answers;
}
