import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edgeCommand, type RuntimeName } from "../../../local/edge-command.ts";
import { freePort } from "../../../local/free-port.ts";
import { edgeEnvironment, startWorker } from "../../../local/stack.ts";
import { startStage } from "../../../local/stage.ts";
import { makeEngine } from "../../../lz/platform/simulated-agents.ts";
import {
  type CredentialIssuer,
  createCredentialIssuer,
  startContainerEndpoint,
  startCredentialGate,
  startInstanceMetadata,
  startSts,
  WEB_ROLE_ARN,
} from "../../support/nodes/aws-credentials.ts";
import {
  enrolAsset,
  eventually,
  ROOT,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

/*
 * These nodes have credentials that expire within seconds. The queue and the table reject expired
 * credentials. No request may be rejected or fail while the credentials change.
 */

const LIFE_MS = 6000;
const FAR_MS = 3_600_000;
const TOKEN = "platform-token-1";

let stack: TestStack;
let folder: string;
const stops: (() => unknown)[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lz-credentials-"));
  stack = await startTestStack("bun", { workers: 0 });
}, 60_000);
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const keep = <T extends { stop: () => unknown }>(part: T): T => {
  stops.push(() => part.stop());
  return part;
};

/**
 * Starts credential gates in front of the queue and the table. Returns the gates, and the node settings with
 * the addresses of the gates.
 */
function gates(issuer: CredentialIssuer) {
  const table = keep(startCredentialGate(issuer, stack.dynamodbEndpoint));
  const queue = keep(startCredentialGate(issuer, stack.sqsEndpoint));
  const shared = {
    AWS_REGION: "us-east-1",
    DYNAMODB_ENDPOINT: table.url,
    SQS_QUEUE_URL: `${queue.url}${new URL(stack.queueUrl).pathname}`,
  };
  return { table, queue, shared, refused: () => [...table.refused, ...queue.refused] };
}

/** Starts an edge node. The node has static access keys only if `credentials` contains them. */
async function startNode(runtime: RuntimeName, shared: object, credentials: Record<string, string>) {
  const lines: string[] = [];
  const port = await freePort();
  const env = {
    ...edgeEnvironment(stack.secrets, stack.issuer, stack.edgeUrl, { ...shared, ...credentials }),
    LZ_DEVICE_PER_MINUTE: "1000000",
    LZ_ADMIN_PER_MINUTE: "1000000",
  };
  const { isReady, ...how } = await edgeCommand(runtime, ROOT, env, port, join(folder, `${runtime}-${port}`));
  const onLine = (_stage: string, line: string) => void lines.push(line);
  const stage = keep(await startStage({ name: "edge", ...how, cwd: ROOT, onLine, isReady }));
  return { edgeUrl: `http://127.0.0.1:${port}`, lines, stage };
}

/** Sends one heartbeat, which uses the queue, and one API request, which reads the table. */
async function useNode(edgeUrl: string, asset: SimulatedAsset): Promise<number[]> {
  const authorization = `Bearer ${stack.adminToken}`;
  const answers = await Promise.all([
    asset.beat(),
    fetch(`${edgeUrl}/v1/assets?limit=1`, { headers: { authorization } }),
  ]);
  await Promise.all(answers.map((answer) => answer.arrayBuffer()));
  return answers.map(({ status }) => status);
}

/**
 * Sends requests to a node with four parallel clients until `isDone` returns true. Returns the number of
 * responses for each status.
 */
async function load(edgeUrl: string, isDone: () => boolean): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const assets = await Promise.all(
    ["a", "b", "c", "d"].map((name) => enrolAsset({ ...stack, edgeUrl }, `load-${name}`)),
  );
  await Promise.all(
    assets.map(async (asset) => {
      while (!isDone())
        for (const status of await useNode(edgeUrl, asset)) counts[status] = (counts[status] ?? 0) + 1;
    }),
  );
  return counts;
}

const eventsOf = (lines: readonly string[], event: string) =>
  lines.filter((line) => line.includes(`"event":"${event}"`));

function secretsIn(lines: readonly string[], issuer: CredentialIssuer): string[] {
  const text = lines.join("\n");
  const secrets = [...issuer.issued.values()].flatMap((one) => [one.secretAccessKey, one.sessionToken]);
  return [TOKEN, ...secrets].filter((secret) => text.includes(secret));
}

type Source = { name: string; settings: Record<string, string>; server: { isDown: boolean } };

const SOURCES: Record<string, (issuer: CredentialIssuer) => Source> = {
  "container endpoint": (issuer) => {
    const server = keep(startContainerEndpoint(issuer, () => TOKEN));
    const file = join(folder, "container-token");
    writeFileSync(file, TOKEN, { mode: 0o600 });
    const settings = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: server.url,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
    };
    return { name: "container-endpoint", settings, server };
  },
  "EC2 metadata": (issuer) => {
    const server = keep(startInstanceMetadata(issuer));
    return {
      name: "ec2-instance-metadata",
      settings: { AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url },
      server,
    };
  },
  "web identity": (issuer) => {
    const server = keep(startSts(issuer, () => ({ value: TOKEN, expiresAtMs: Date.now() + FAR_MS })));
    const file = join(folder, "oidc-token");
    writeFileSync(file, TOKEN, { mode: 0o600 });
    const settings = {
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: WEB_ROLE_ARN,
      AWS_ENDPOINT_URL_STS: server.url,
    };
    return { name: "web-identity", settings, server };
  },
};

// These tests run first, because the heartbeats of the other tests stay in the queue.
describe("worker", () => {
  test.each(Object.keys(SOURCES).filter((name) => name !== "EC2 metadata"))(
    "%s: records heartbeats without static keys, even after its credentials were rejected",
    async (name) => {
      const issuer = createCredentialIssuer(FAR_MS);
      const { settings } = SOURCES[name]!(issuer);
      const { shared, table, queue } = gates(issuer);
      const { AWS_ACCESS_KEY_ID: _id, AWS_SECRET_ACCESS_KEY: _secret, ...env } = stack.workerEnv;
      const lines: string[] = [];
      const onLine = (_stage: string, line: string) => void lines.push(line);
      const own = { ...env, ...shared, ...settings, SQS_ENDPOINT: queue.url };
      keep(await startWorker({ root: ROOT, onLine }, own));
      const asset = await enrolAsset(stack, `worker-${name.replace(" ", "-")}`);
      const isRecorded = async (sequence: number) => {
        const answer = await stack.api(`/v1/assets/${asset.assetId}`);
        const { presence } = (await answer.json()) as { presence?: { sequence: number } };
        return presence?.sequence === sequence;
      };
      await asset.beat();
      await eventually(() => isRecorded(1));
      for (const one of issuer.issued.values()) one.expiresAtMs = 0;
      await asset.beat({ engines: [makeEngine()] });
      await eventually(() => isRecorded(2), 40_000);
      expect(issuer.issued.size).toBeGreaterThan(0);
      expect(Math.min(table.passed(), queue.passed())).toBeGreaterThan(0);
      expect(secretsIn(lines, issuer)).toEqual([]);
    },
    60_000,
  );
});

describe.each(["bun", "deno"] as const)("edge under %s", (runtime) => {
  test.each(Object.keys(SOURCES))(
    "%s: credentials are renewed under load before they expire, and no request fails",
    async (name) => {
      const issuer = createCredentialIssuer(LIFE_MS);
      const source = SOURCES[name]!(issuer);
      const { shared, refused, table, queue } = gates(issuer);
      const { edgeUrl, lines } = await startNode(runtime, shared, source.settings);
      const counts = await load(edgeUrl, () => issuer.issued.size >= 4);
      expect(Object.keys(counts).sort()).toEqual(["200", "202"]);
      expect(refused()).toEqual([]);
      expect(Math.min(table.passed(), queue.passed())).toBeGreaterThan(3);
      const loaded = eventsOf(lines, "credentials.loaded");
      expect(loaded.length).toBeGreaterThanOrEqual(3);
      for (const line of loaded)
        expect(JSON.parse(line)).toMatchObject({ source: source.name, expiresAt: expect.any(String) });
      expect(secretsIn(lines, issuer)).toEqual([]);
    },
    60_000,
  );

  test("credentials that are rejected before they expire are replaced within the same request", async () => {
    const issuer = createCredentialIssuer(FAR_MS);
    const { settings } = SOURCES["container endpoint"]!(issuer);
    const { shared, refused } = gates(issuer);
    const { edgeUrl } = await startNode(runtime, shared, settings);
    const asset = await enrolAsset({ ...stack, edgeUrl }, "replaced");
    expect(await useNode(edgeUrl, asset)).toEqual([202, 200]);
    for (const one of issuer.issued.values()) one.expiresAtMs = 0;
    expect(await useNode(edgeUrl, asset)).toEqual([202, 200]);
    expect(new Set(refused())).toEqual(new Set(["ExpiredTokenException"]));
    expect(issuer.issued.size).toBe(2);
  }, 60_000);

  test("a credential source that is down causes an outage only after the credentials expire, and the node recovers without a restart", async () => {
    const issuer = createCredentialIssuer(LIFE_MS);
    const { settings, server, name } = SOURCES["EC2 metadata"]!(issuer);
    const { shared } = gates(issuer);
    const { edgeUrl, lines } = await startNode(runtime, shared, settings);
    const asset = await enrolAsset({ ...stack, edgeUrl }, "outage");
    server.isDown = true;
    // The old credentials must work until they expire.
    const endsAtMs = Math.max(...[...issuer.issued.values()].map((one) => one.expiresAtMs));
    while (Date.now() < endsAtMs - 1000) expect(await useNode(edgeUrl, asset)).toEqual([202, 200]);
    await eventually(async () => Bun.deepEquals(await useNode(edgeUrl, asset), [503, 503]));
    for (const path of ["/readyz", "/readyz/admin"]) {
      const ready = await eventually(async () => {
        const answer = await fetch(`${edgeUrl}${path}`);
        return answer.status === 503 && ((await answer.json()) as object);
      });
      expect(ready).toMatchObject({ credentials: "away", queue: "away", table: "away" });
    }
    expect((await fetch(`${edgeUrl}/healthz`)).status).toBe(200);
    const isError = (line: string) => line.includes('"level":"error"') && line.includes(`"source":"${name}"`);
    await eventually(async () => {
      expect(await useNode(edgeUrl, asset)).toEqual([503, 503]);
      return eventsOf(lines, "credentials.not-renewed").some(isError);
    }, 20_000);
    expect(secretsIn(lines, issuer)).toEqual([]);
    server.isDown = false;
    await eventually(async () => Bun.deepEquals(await useNode(edgeUrl, asset), [202, 200]), 20_000);
  }, 60_000);

  test("a node without credentials does not start and names the missing settings", async () => {
    const { shared } = gates(createCredentialIssuer(LIFE_MS));
    const started = startNode(runtime, shared, { AWS_EC2_METADATA_DISABLED: "true" });
    await expect(started).rejects.toThrow("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }, 60_000);
});

describe("edge under workerd", () => {
  const settingsOf = ({ AccessKeyId, SecretAccessKey, Token }: ReturnType<CredentialIssuer["issue"]>) => ({
    AWS_ACCESS_KEY_ID: AccessKeyId,
    AWS_SECRET_ACCESS_KEY: SecretAccessKey,
    AWS_SESSION_TOKEN: Token,
  });

  test("uses the access key and session token from its secrets, reports a rejection by AWS, and works with new credentials", async () => {
    const issuer = createCredentialIssuer(FAR_MS);
    const { shared } = gates(issuer);
    const old = settingsOf(issuer.issue());
    const node = await startNode("workerd", shared, old);
    const asset = await enrolAsset({ ...stack, edgeUrl: node.edgeUrl }, "workerd");
    expect(await useNode(node.edgeUrl, asset)).toEqual([202, 200]);
    // The lifetimes of the credentials overlap: the next node starts while the old credentials are still
    // valid.
    const next = await startNode("workerd", shared, settingsOf(issuer.issue()));
    issuer.issued.get(old.AWS_ACCESS_KEY_ID)!.expiresAtMs = 0;
    const rolledOut = await enrolAsset({ ...stack, edgeUrl: next.edgeUrl }, "workerd-next");
    expect(await useNode(next.edgeUrl, rolledOut)).toEqual([202, 200]);
    expect(await useNode(node.edgeUrl, asset)).toEqual([503, 503]);
    await eventually(async () => eventsOf(node.lines, "credentials.refused").length > 0);
    const ready = await fetch(`${node.edgeUrl}/readyz`);
    expect([ready.status, ((await ready.json()) as { credentials: string }).credentials]).toEqual([
      503,
      "refused",
    ]);
    expect(secretsIn([...node.lines, ...next.lines], issuer)).toEqual([]);
  }, 60_000);
});
