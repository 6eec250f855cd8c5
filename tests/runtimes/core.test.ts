import { expect, test } from "bun:test";
import { denoPath } from "../../local/binaries.ts";
import { ROOT } from "../support/stack.ts";

test("the core of the app works in Deno without permissions, and rejects three thousand forged requests", () => {
  const run = Bun.spawnSync(
    [denoPath(), "run", "--no-prompt", "--quiet", "--no-check", "tests/runtimes/core.deno.ts"],
    {
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    },
  );
  expect(run.stderr.toString()).toBe("");
  expect(JSON.parse(run.stdout.toString())).toEqual({
    good: 202,
    forged: 401,
    page: 302,
    queued: 1,
    goodOnes: [202, 200, 201, 200],
    wrong: [],
  });
}, 60_000);
