import { expect, test } from "bun:test";
import { join } from "node:path";
import { MODULES } from "../../../../edge/dashboard/static/script-modules.ts";
import { STYLE_SHEET } from "../../../../edge/dashboard/static/style-sheet.ts";
import { ROOT } from "../../../support/stack.ts";

const STATIC = join(ROOT, "edge/dashboard/static");
const filesIn = (pattern: string) => [...new Bun.Glob(pattern).scanSync(STATIC)].sort();

/** The modules are served without a build step, so no compiler would find a mistake in them. */
test("every module of the browser script passes the type checker as strict JavaScript", () => {
  const checked = Bun.spawnSync(
    [
      process.execPath,
      join(ROOT, "node_modules/typescript/bin/tsc"),
      ...["--ignoreConfig", "--noEmit", "--allowJs", "--checkJs", "--strict", "--noUncheckedIndexedAccess"],
      ...["--target", "ESNext", "--module", "ESNext", "--moduleResolution", "bundler"],
      ...["--lib", "ESNext,DOM,DOM.Iterable", "--types", ""],
      ...MODULES.map(({ name }) => join(STATIC, "client", name)),
    ],
    { stdout: "pipe", stderr: "pipe" },
  );
  expect(checked.stdout.toString() + checked.stderr.toString()).toBe("");
  expect(checked.exitCode).toBe(0);
});

test("every module and every style file is served", async () => {
  expect(MODULES.map(({ name }) => `client/${name}`).sort()).toEqual(filesIn("client/*.js"));
  for (const path of filesIn("styles/*.css"))
    expect(STYLE_SHEET).toContain(await Bun.file(join(STATIC, path)).text());
});

test("a module imports only modules that are served beside it", () => {
  const names = new Set(MODULES.map(({ name }) => name));
  const imported = MODULES.flatMap(({ text }) =>
    [...text.matchAll(/from "\.\/([^"]+)"/g)].map(([, name]) => name!),
  );
  expect(imported.length).toBeGreaterThan(5);
  expect(imported.filter((name) => !names.has(name))).toEqual([]);
});
