import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ERRORS_PAGE, errorsPage } from "../../tools/write-errors.ts";
import { ROOT } from "../support/stack.ts";

test("docs/errors.md matches the tables of error codes", () => {
  const isCurrent = readFileSync(join(ROOT, ERRORS_PAGE), "utf8") === errorsPage();
  expect(isCurrent, "the page is out of date: run `bun tools/write-errors.ts`").toBeTrue();
});

test("the edge responds only with codes of the tables", () => {
  const sources = [...new Bun.Glob("edge/**/*.{ts,tsx}").scanSync(ROOT)];
  const used = sources.flatMap((path) => [
    ...readFileSync(join(ROOT, path), "utf8").matchAll(/\bproblem(?:Of)?\([^()]*?"([a-z]+\.[a-z-]+)"/g),
  ]);
  const page = errorsPage();
  expect(used.map(([, code]) => code!).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
});
