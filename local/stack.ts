import { join } from "node:path";
import { ConditionalCheckFailedException, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { marshalItem } from "../shared/table/dynamo.ts";
import { tenantDefaults } from "../shared/table/items/tenant.ts";
import { TABLE_NAME, tenantKey } from "../shared/table/keys.ts";
import { startDynamodb } from "./dynamodb.ts";
import { edgeCommand, type RuntimeName } from "./edge-command.ts";
import { freePort } from "./free-port.ts";
import { ISSUER, type Issuer, startIssuer, TENANT_ID } from "./issuer.ts";
import { openSecrets, publicJwk, type Secrets } from "./secrets.ts";
import { signLocalTable } from "./sign-local-table.ts";
import { type Stage, startStage } from "./stage.ts";
import { createTable, embeddedClient } from "./table.ts";

export type StackOptions = {
  root: string;
  /** Folder for the data of the stack: tables, secrets and the agent's state. */
  folder: string;
  port: number;
  runtime: RuntimeName;
  /** Endpoint of an existing DynamoDB, which replaces the embedded one. */
  dynamodbEndpoint?: string | undefined;
  /** Number of workers (default 1). */
  workers?: number;
  /** Additional environment variables for edge and worker, for example for OpenTelemetry. */
  environment?: Record<string, string>;
  /** Additional environment variables for the edge only, for secrets that a worker must not have. */
  edgeEnvironment?: Record<string, string>;
  /**
   * Visibility timeout of the queue: seconds until a message that was not deleted can be received again
   * (default 60).
   */
  visibilitySeconds?: number;
  onLine: (stage: string, line: string) => void;
  /** Called when a part of the stack is ready. */
  onStep: (text: string) => void;
};

export type Stack = {
  edgeUrl: string;
  tenantId: string;
  adminToken: string;
  viewerToken: string;
  dynamodbEndpoint: string;
  sqsEndpoint: string;
  queueUrl: string;
  deadLetterUrl: string;
  issuer: Issuer;
  secrets: Secrets;
  stages: Map<string, Stage>;
  workerEnv: Record<string, string>;
  /** Adds a process to the stack. During shutdown, this process is stopped before the other parts. */
  add(stage: Stage): void;
  stop(): Promise<void>;
};

const CREDENTIALS = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" };

/**
 * Timeout of a worker's graceful shutdown. It is less than STOP_GRACE_MS, so that a busy worker ends by
 * itself. The queue keeps the messages that the worker has not finished.
 */
const WORKER_STOP_SECONDS = 5;

/**
 * Starts DynamoDB, SQS, the identity provider, the edge and the worker on this machine. If one of them does
 * not start, stops the others and throws.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const stages = new Map<string, Stage>();
  const closers: (() => Promise<unknown>)[] = [];
  const keep = (stage: Stage): Stage => {
    stages.set(stage.name, stage);
    closers.unshift(() => stage.stop());
    return stage;
  };
  const stop = async () => {
    for (const close of closers.splice(0)) await close();
  };
  try {
    const parts = await startParts(options, keep, (close) => closers.unshift(close));
    return { ...parts, stages, add: (stage) => void keep(stage), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(
  options: StackOptions,
  keep: (stage: Stage) => Stage,
  onStop: (close: () => Promise<unknown>) => void,
) {
  const { folder, onStep, port } = options;
  const edgeUrl = `http://127.0.0.1:${port}`;
  const secrets = await openSecrets(join(folder, "secrets.json"));
  const dynamodbEndpoint = options.dynamodbEndpoint ?? (await embeddedDynamodb(options, keep));
  await prepareTable(dynamodbEndpoint, secrets);
  onStep(`table ${TABLE_NAME} with both indexes and TTL`);
  const sqs = await startEmbeddedSqs(options, keep);
  const restored = sqs.restored > 0 ? `, ${sqs.restored} messages from the last run` : "";
  onStep(`queue with its dead-letter queue${restored}`);
  const issuer = await startIssuer(secrets.issuerKey, edgeUrl, secrets.signInCode);
  onStop(issuer.stop);
  const shared = {
    ...options.environment,
    ...CREDENTIALS,
    DYNAMODB_ENDPOINT: dynamodbEndpoint,
    SQS_QUEUE_URL: sqs.queueUrl,
  };
  const workerEnv = {
    ...shared,
    LZ_QUEUE_KEYS: secrets.queueKeys,
    LZ_CONTROL_JWKS: JSON.stringify({ keys: [publicJwk(secrets.controlKey)] }),
    SQS_DLQ_URL: sqs.deadLetterUrl,
    SQS_ENDPOINT: sqs.endpoint,
    LZ_STOP_SECONDS: String(WORKER_STOP_SECONDS),
    ...(options.visibilitySeconds && { LZ_VISIBILITY_SECONDS: String(options.visibilitySeconds) }),
  };
  for (let number = 1; number <= (options.workers ?? 1); number++)
    keep(await startWorker(options, workerEnv, number));
  onStep("worker under Bun");
  const forEdge = { ...shared, ...options.edgeEnvironment };
  keep(await startEdge(options, edgeEnvironment(secrets, issuer, edgeUrl, forEdge)));
  onStep(`edge under ${options.runtime}`);
  return {
    edgeUrl,
    tenantId: TENANT_ID,
    adminToken: await issuer.mint({ userId: "user_local_admin", role: "admin" }),
    viewerToken: await issuer.mint({ userId: "user_local_viewer", role: "viewer" }),
    dynamodbEndpoint,
    sqsEndpoint: sqs.endpoint,
    queueUrl: sqs.queueUrl,
    deadLetterUrl: sqs.deadLetterUrl,
    issuer,
    secrets,
    workerEnv,
  };
}

async function embeddedDynamodb({ folder, onLine, onStep }: StackOptions, keep: (stage: Stage) => Stage) {
  const { endpoint, stage } = await startDynamodb(onLine, join(folder, "dynamodb.sqlite"));
  keep(stage);
  onStep("embedded DynamoDB");
  return endpoint;
}

/** Creates the table with its development tenant, and signs items that an earlier release left unsigned. */
async function prepareTable(endpoint: string, secrets: Secrets): Promise<void> {
  const client = embeddedClient(endpoint);
  await createTable(client);
  const tenant = { ...tenantDefaults(TENANT_ID), name: "Local development" };
  const put = new PutItemCommand({
    TableName: TABLE_NAME,
    Item: marshalItem({ ...tenantKey(TENANT_ID), ...tenant }),
    ConditionExpression: "attribute_not_exists(PK)",
  });
  await client.send(put).catch((error: unknown) => {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  });
  await signLocalTable(client, secrets, TENANT_ID);
  client.destroy();
}

type ListeningSqs = { endpoint: string; queueUrl: string; deadLetterUrl: string; restored: number };

/** Path of the file that stores the embedded queue's messages while the stack is stopped. */
export const queueFileIn = (folder: string): string => join(folder, "queue.json");

async function startEmbeddedSqs(options: StackOptions, keep: (stage: Stage) => Stage) {
  let where: ListeningSqs | undefined;
  const stage = await startStage({
    name: "sqs",
    command: [process.execPath, join(options.root, "local/sqs.ts")],
    env: {
      PORT: String(await freePort()),
      LZ_QUEUE_FILE: queueFileIn(options.folder),
      ...(options.visibilitySeconds && { LZ_VISIBILITY_SECONDS: String(options.visibilitySeconds) }),
    },
    cwd: options.root,
    onLine: options.onLine,
    isReady: (line) => {
      if (!line.includes('"sqs.listening"')) return false;
      where = JSON.parse(line);
      return true;
    },
  });
  keep(stage);
  return where!;
}

export const startWorker = (
  options: Pick<StackOptions, "root" | "onLine">,
  env: Record<string, string>,
  number = 1,
): Promise<Stage> =>
  startStage({
    name: number === 1 ? "worker" : `worker-${number}`,
    command: [process.execPath, join(options.root, "worker/main.ts")],
    env,
    cwd: options.root,
    onLine: options.onLine,
    isReady: (line) => line.includes('"worker.receiving"'),
  });

async function startEdge(options: StackOptions, env: Record<string, string>): Promise<Stage> {
  const { root, runtime, port, folder, onLine } = options;
  const { isReady, ...how } = await edgeCommand(runtime, root, env, port, join(folder, "edge"));
  return startStage({ name: "edge", ...how, cwd: root, onLine, isReady });
}

/** Configuration of the edge, with the same variables as in production. */
export function edgeEnvironment(
  secrets: Secrets,
  issuer: Pick<Issuer, "url" | "jwksUrl">,
  edgeUrl: string,
  shared: Record<string, string>,
): Record<string, string> {
  return {
    ...shared,
    LZ_ROLE: "all",
    // The limit is high, because a simulated fleet enrols with a single token.
    LZ_ENROLMENTS_PER_MINUTE: "100000",
    LZ_SESSIONS_PER_MINUTE: "1000",
    LZ_EDGE_SECRETS: secrets.edgeSecrets,
    LZ_QUEUE_KEYS: secrets.queueKeys,
    LZ_CONTROL_JWKS: JSON.stringify({ keys: [publicJwk(secrets.controlKey)] }),
    LZ_CONTROL_KEY: JSON.stringify(secrets.controlKey),
    LZ_ADMIN_ISSUER: ISSUER,
    LZ_ADMIN_JWKS_URL: issuer.jwksUrl,
    LZ_ADMIN_PARTIES: edgeUrl,
    LZ_SIGN_IN_URL: `${issuer.url}/sign-in`,
  };
}
