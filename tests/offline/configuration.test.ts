import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIGURATION_PAGE, configurationPage } from "../../tools/write-configuration.ts";
import { ROOT } from "../support/stack.ts";

test("docs/configuration.md matches the schemas", () => {
  const stored = readFileSync(join(ROOT, CONFIGURATION_PAGE), "utf8");
  const isCurrent = stored === configurationPage();
  expect(isCurrent, "the page is out of date: run `bun tools/write-configuration.ts`").toBeTrue();
});

test("the page shows no default for a secret", () => {
  const secrets = configurationPage()
    .split("\n")
    .filter((line) => line.includes("| Secret. "))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const settings = secrets.filter((cells) => cells.length === 7);
  expect(settings.length).toBeGreaterThan(5);
  expect(settings.filter(([, , , fallback]) => fallback !== "").map(([, name]) => name)).toEqual([]);
});
