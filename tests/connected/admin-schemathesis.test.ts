import { expect, test } from "bun:test";
import { join } from "node:path";
import { openIncident } from "../support/incident.ts";
import { enrolAsset, ROOT, startTestStack } from "../support/stack.ts";

/** A fuzzer of another making, from PyPI. Ours, which always runs, is beside it: `admin-fuzz.test.ts`. */
const schemathesis = process.env.LZ_SCHEMATHESIS ?? Bun.which("st");

if (schemathesis) {
  test("schemathesis finds nothing in the admin API", async () => {
    const stack = await startTestStack("bun", {
      workers: 0,
      environment: { LZ_ADMIN_PER_MINUTE: "10000000" },
    });
    try {
      await openIncident(stack, await enrolAsset(stack, "fuzzed"));
      const command = [
        schemathesis,
        "--config-file",
        join(ROOT, "tests/connected/schemathesis.toml"),
        "run",
        `${stack.edgeUrl}/openapi.json`,
        "--header",
        `Authorization: Bearer ${stack.adminToken}`,
        "--max-examples=30",
        "--phases=coverage,fuzzing",
        "--continue-on-failure",
        "--no-color",
      ];
      const child = Bun.spawn(command, { cwd: ROOT, stdout: "pipe", stderr: "inherit" });
      const said = await new Response(child.stdout).text();
      console.log(said.slice(-1500));
      expect(await child.exited).toBe(0);
    } finally {
      await stack.stop();
    }
  }, 600_000);
} else {
  console.log("schemathesis did not run: it is not on the PATH (docs/api.md says how to get it)");
}
