import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edgeCommand, RUNTIMES, type RuntimeName } from "../../local/edge-command.ts";
import { freePort } from "../../local/free-port.ts";
import { makeSecrets } from "../../local/secrets.ts";
import { type Stage, startStage } from "../../local/stage.ts";
import { makeRoleKeys, roleEnvironments } from "../support/nodes/role-environment.ts";
import { ROOT } from "../support/stack.ts";

const NOWHERE = "http://127.0.0.1:9";
const secrets = await makeSecrets();
const shared = {
  ...{ AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" },
  ...{ DYNAMODB_ENDPOINT: NOWHERE, SQS_QUEUE_URL: `${NOWHERE}/0/q` },
};
const issuer = { url: NOWHERE, jwksUrl: `${NOWHERE}/jwks` };
const environments = roleEnvironments(secrets, await makeRoleKeys(), NOWHERE, issuer, shared);
const ROLES = ["ingest", "enrol", "admin"] as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lz-roles-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a node, calls `use` with its address, and stops it. Returns the output of the node. */
async function withNode(
  runtime: RuntimeName,
  environment: Record<string, string>,
  use: (url: string) => Promise<void>,
): Promise<string> {
  const port = await freePort();
  const { isReady, ...how } = await edgeCommand(runtime, ROOT, environment, port, join(folder, runtime));
  const lines: string[] = [];
  let stage: Stage | undefined;
  try {
    stage = await startStage({
      name: "edge",
      ...how,
      cwd: ROOT,
      isReady,
      onLine: (_, line) => lines.push(line),
    });
    await use(`http://127.0.0.1:${port}`);
  } finally {
    await stage?.stop();
  }
  return lines.join("\n");
}

describe.each(RUNTIMES)("nodes under %s", (runtime) => {
  test.each(ROLES)(
    "LZ_ROLE=%s serves only the routes of its role, with only the secrets of its role",
    async (role) => {
      await withNode(runtime, environments[role], async (url) => {
        const codeOf = async (method: string, path: string) => {
          const answer = await fetch(`${url}${path}`, { method, redirect: "manual" });
          const body = (await answer.json().catch(() => ({}))) as { code?: string };
          return `${answer.status} ${body.code}`;
        };
        expect(await codeOf("GET", "/healthz")).toBe("200 undefined");
        const served = { ingest: ["ingest"], enrol: ["enrol"], admin: ["enrol", "admin"] }[role];
        const OWN = {
          ingest: ["POST", "/v1/heartbeats", "401 wire.unsigned"],
          enrol: ["POST", "/v1/enroll", "401 wire.unsigned"],
          admin: ["GET", "/v1/me", "401 admin.unauthenticated"],
        } as const;
        for (const [part, [method, path, own]] of Object.entries(OWN))
          expect([part, await codeOf(method, path)]).toEqual([
            part,
            served.includes(part) ? own : "404 edge.not-served",
          ]);
      });
    },
    60_000,
  );

  test("a node with LZ_ROLE=ingest that has the control key does not serve, and names the key in its error", async () => {
    const environment = { ...environments.ingest, LZ_CONTROL_KEY: JSON.stringify(secrets.controlKey) };
    // On Bun and Deno, the process exits. On workerd, the environment is read with the first request, which
    // fails.
    const said = await withNode(runtime, environment, async (url) => {
      expect((await fetch(`${url}/healthz`)).status).toBe(500);
    }).catch((error: Error) => error.message);
    expect(said).toContain("LZ_CONTROL_KEY: a node with LZ_ROLE=ingest must not hold it");
    expect(said).not.toContain(String(secrets.controlKey.d));
  }, 60_000);
});
