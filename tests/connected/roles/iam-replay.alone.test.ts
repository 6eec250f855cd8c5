import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deployedPolicies, NODE_KINDS, type NodeKind } from "../../support/iam/deployed-policies.ts";
import type { Recorded } from "../../support/iam/guard.ts";
import { covers, decide, grantsOf } from "../../support/iam/policy.ts";
import { ROOT, SPLIT_FOLDER_VARIABLE } from "../../support/stack.ts";

/*
 * Runs connected suites again with one node of each kind. Each node has a separate access key. The policy of
 * the node in deploy/aws.yaml applies to its calls to DynamoDB and SQS. Together, these suites run all code
 * that calls AWS.
 */
const SUITES = [
  "edge/webhooks-api",
  "containment/forged-proof",
  "worker/worker",
  "local/lz-dlq",
  "worker/third-parties",
  "edge/admin-fuzz",
  "hosts/one-identity",
];
const SUITE_MS_MAX = 180_000;

const policies = deployedPolicies();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lz-calls-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recorded = (): Recorded[] =>
  readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Recorded[]);

test.each(SUITES)(
  "%s passes with one node of each kind, each with its own secrets and policy",
  async (suite) => {
    const child = Bun.spawn(
      [process.execPath, "test", "--timeout=60000", `./tests/connected/${suite}.test.ts`],
      {
        cwd: ROOT,
        env: { ...process.env, [SPLIT_FOLDER_VARIABLE]: folder },
        stdout: "pipe",
        stderr: "pipe",
        timeout: SUITE_MS_MAX,
      },
    );
    const [code, said, errors] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if (code !== 0)
      throw new Error(`${suite} ended with code ${code}:\n${said.slice(-4000)}\n${errors.slice(-4000)}`);
  },
  SUITE_MS_MAX + 10_000,
);

test("no node made a call that its policy denies", () => {
  const denied = recorded()
    .filter(({ node, ...asked }) => !decide(policies[node], asked).isAllowed)
    .map(({ node, action, resource, leadingKeys }) => `${node} ${action} ${resource} ${leadingKeys}`);
  expect(denied).toEqual([]);
});

test.each(NODE_KINDS)("the suites use every permission of the %s policy", (kind) => {
  const used = recorded().filter(({ node }) => node === kind);
  const unused = grantsOf(policies[kind]).filter((grant) => !used.some((asked) => covers(grant, asked)));
  expect(unused).toEqual([]);
  const calls = used.reduce((sum, each) => sum + each.calls, 0);
  console.log(
    `${kind}: ${calls} permissions of calls checked, ${grantsOf(policies[kind]).length} granted, all used`,
  );
  expect(calls).toBeGreaterThan(CALLS_MIN[kind]);
});

/**
 * Minimum number of recorded calls for each kind of node. The suites make far more calls. A recorder that
 * misses most calls must fail the test.
 */
const CALLS_MIN: Record<NodeKind, number> = { ingest: 100, enrol: 100, admin: 1000, worker: 3000 };
