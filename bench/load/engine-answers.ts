import type { CatalogEntry } from "../../agent/catalogue/entry.ts";

type Answers = NonNullable<CatalogEntry["fixtures"]["positive"][number]["answers"]>;

/** What a product says of itself over HTTP; undefined where that alone does not name it. */
export function answersOf({ traits, fixtures }: CatalogEntry): Answers | undefined {
  if (traits.length === 0) return undefined;
  return fixtures.positive.find(({ answers, process }) => answers && !process)?.answers;
}
