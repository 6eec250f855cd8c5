import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startDynamodb } from "../../local/dynamodb.ts";
import { edgeCommand, type RuntimeName } from "../../local/edge-command.ts";
import { freePort } from "../../local/free-port.ts";
import { makeSecrets, type Secrets } from "../../local/secrets.ts";
import { edgeEnvironment } from "../../local/stack.ts";
import { type Stage, type StageOptions, startStage } from "../../local/stage.ts";
import { createTable, embeddedClient } from "../../local/table.ts";
import type { Scope } from "./scope.ts";

export const root = resolve(import.meta.dir, "../..");

export const CREDENTIALS = {
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
};

/** Prints errors and warnings of a child process. Ignores all other lines. */
export function showFaults(stage: string, line: string): void {
  if (/"level":"(warn|error)"|^error|panic/i.test(line)) console.error(`${stage}: ${line.slice(0, 300)}`);
}

export function scratchFolder(scope: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), "lz-bench-"));
  scope.keep(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a process, which is stopped when the scope ends. */
export const startPart = (scope: Scope, options: StageOptions): Promise<Stage> =>
  scope.start(
    () => startStage(options),
    (stage) => stage.stop(),
  );

/**
 * Runs a program until the program or the scope ends. If the program fails, throws an error with the end of
 * stderr.
 */
export async function runProgram(scope: Scope, what: string, command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  scope.keep(async () => {
    child.kill();
    await child.exited;
  });
  const errors = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${what} failed: ${errors.trim().slice(-300)}`);
}

export async function startTable(scope: Scope, file?: string): Promise<{ endpoint: string; stage: Stage }> {
  const dynamodb = await scope.start(
    () => startDynamodb(showFaults, file),
    ({ stage }) => stage.stop(),
  );
  const client = embeddedClient(dynamodb.endpoint);
  await createTable(client);
  client.destroy();
  return dynamodb;
}

export type Queue = { endpoint: string; queueUrl: string; deadLetterUrl: string; stage: Stage };

export async function startQueue(scope: Scope): Promise<Queue> {
  let where: Omit<Queue, "stage"> | undefined;
  const stage = await startPart(scope, {
    name: "sqs",
    command: [process.execPath, join(root, "local/sqs.ts")],
    env: { PORT: String(await freePort()) },
    cwd: root,
    onLine: showFaults,
    isReady: (line) => {
      if (!line.includes('"sqs.listening"')) return false;
      where = JSON.parse(line);
      return true;
    },
  });
  return { ...where!, stage };
}

export async function callSqs(
  endpoint: string,
  action: string,
  body: object,
): Promise<Record<string, unknown>> {
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.0",
      "x-amz-target": `AmazonSQS.${action}`,
      authorization:
        "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0",
    },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${action} returned ${answer.status}: ${text.slice(0, 200)}`);
  return text === "" ? {} : JSON.parse(text);
}

export const benchSecrets: () => Promise<Secrets> = makeSecrets;

const NOWHERE = "http://127.0.0.1:9";

/** Configuration of an edge. Its identity provider gets no requests in a bench. */
function environment(secrets: Secrets, edgeUrl: string, backends: Backends): Record<string, string> {
  return edgeEnvironment(secrets, { url: NOWHERE, jwksUrl: NOWHERE }, edgeUrl, {
    ...CREDENTIALS,
    DYNAMODB_ENDPOINT: backends.dynamodbEndpoint,
    SQS_QUEUE_URL: backends.queueUrl,
    // The quotas are so high that they have no effect, because a few addresses simulate a fleet and one
    // tenant simulates many tenants.
    LZ_DEVICE_PER_MINUTE: "10000000",
    LZ_TENANT_PER_SECOND: "10000000",
  });
}

export type Backends = { dynamodbEndpoint: string; queueUrl: string };

/** Environment of an edge that runs inside the bench process. */
export const offlineEnvironment = (secrets: Secrets, backends: Partial<Backends> = {}) =>
  environment(secrets, NOWHERE, { dynamodbEndpoint: NOWHERE, queueUrl: `${NOWHERE}/0/queue`, ...backends });

/** Starts an edge as a separate process, as in production. */
export async function startEdge(
  scope: Scope,
  runtime: RuntimeName,
  secrets: Secrets,
  backends: Backends,
  more: Record<string, string> = {},
): Promise<{ stage: Stage; port: number }> {
  const port = await freePort();
  const env = { ...environment(secrets, `http://127.0.0.1:${port}`, backends), ...more };
  const { isReady, ...how } = await edgeCommand(runtime, root, env, port, scratchFolder(scope));
  const stage = await startPart(scope, {
    name: `edge-${runtime}`,
    ...how,
    cwd: root,
    onLine: showFaults,
    isReady,
  });
  return { stage, port };
}
