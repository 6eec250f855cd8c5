import { expect, test } from "bun:test";
import { join } from "node:path";
import { ROOT } from "../../../support/stack.ts";

/** The script is served as it is written, so no build would notice a wrong word in it. */
test("live.client.js passes the type checker as strict JavaScript", () => {
  const checked = Bun.spawnSync(
    [
      process.execPath,
      join(ROOT, "node_modules/typescript/bin/tsc"),
      ...["--ignoreConfig", "--noEmit", "--allowJs", "--checkJs", "--strict", "--noUncheckedIndexedAccess"],
      ...["--target", "ESNext", "--lib", "ESNext,DOM,DOM.Iterable", "--types", ""],
      join(ROOT, "edge/dashboard/static/live.client.js"),
    ],
    { stdout: "pipe", stderr: "pipe" },
  );
  expect(checked.stdout.toString() + checked.stderr.toString()).toBe("");
  expect(checked.exitCode).toBe(0);
});
