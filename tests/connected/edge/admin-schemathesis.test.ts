import { expect } from "bun:test";
import { join } from "node:path";
import { openIncident } from "../../support/control/open-incident.ts";
import { testUnless } from "../../support/missing.ts";
import { enrolAsset, ROOT, startTestStack } from "../../support/stack.ts";

/**
 * The command of schemathesis, an independent fuzzer from PyPI. Without it, `admin-fuzz.test.ts` still tests
 * the API.
 */
const schemathesis = process.env.LZ_SCHEMATHESIS ?? Bun.which("st");
const lacking = schemathesis ? [] : ["schemathesis on the PATH or its path in LZ_SCHEMATHESIS: docs/api.md"];
const EXAMPLES_PER_OPERATION = Number(process.env.LZ_FUZZ_EXAMPLES ?? 6);
const SEED = Number(process.env.LZ_FUZZ_SEED ?? 20_261_122);

testUnless(
  lacking,
  "schemathesis finds nothing in the admin API",
  async () => {
    const stack = await startTestStack("bun", {
      workers: 0,
      environment: { LZ_ADMIN_PER_MINUTE: "10000000" },
    });
    try {
      await openIncident(stack, await enrolAsset(stack, "fuzzed"));
      const command = [
        schemathesis!,
        "--config-file",
        join(ROOT, "tests/connected/edge/schemathesis.toml"),
        "run",
        `${stack.edgeUrl}/openapi.json`,
        "--header",
        `Authorization: Bearer ${stack.adminToken}`,
        `--max-examples=${EXAMPLES_PER_OPERATION}`,
        `--seed=${SEED}`,
        "--phases=coverage,fuzzing",
        "--continue-on-failure",
        "--no-color",
      ];
      const child = Bun.spawn(command, { cwd: ROOT, stdout: "pipe", stderr: "inherit" });
      const said = await new Response(child.stdout).text();
      const code = await child.exited;
      // On failure, print the whole output, because the findings come before the summary.
      console.log(code === 0 ? said.slice(-1500) : said);
      expect(code).toBe(0);
    } finally {
      await stack.stop();
    }
  },
  600_000,
);
