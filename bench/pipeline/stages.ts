import { join } from "node:path";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import type { RuntimeName } from "../../local/edge-command.ts";
import { publicJwk, type Secrets } from "../../local/secrets.ts";
import { signLocalTable } from "../../local/sign-local-table.ts";
import { startWorker } from "../../local/stack.ts";
import type { Stage } from "../../local/stage.ts";
import { embeddedClient } from "../../local/table.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../shared/table/items/tenant.ts";
import { TABLE_NAME, tenantKey } from "../../shared/table/keys.ts";
import {
  benchSecrets,
  CREDENTIALS,
  type Queue,
  root,
  showFaults,
  startEdge,
  startPart,
  startQueue,
  startTable,
} from "../harness/backends.ts";
import type { Scope } from "../harness/scope.ts";

/** Tenant of the fleet. This tenant's telemetry is sampled, as in production. */
export const TENANT = "org_bench";
/** Tenant of the witness assets. Its telemetry resolution is 0, so that each heartbeat becomes an item. */
export const WITNESS = "org_witness";

type Flow = { messages: number; heartbeats: Record<string, number> };
type Age = { p50: number; p99: number; max: number };

/** Counts of the proxy since its last reset. Only `flow` covers the whole run. */
export type Counts = {
  sqsCalls: Record<string, number>;
  sqsBilled: Record<string, number>;
  writeUnits: Record<string, number>;
  writes: Record<string, number>;
  samples: Record<string, number>;
  dynamoCalls: Record<string, number>;
  flow: { accepted: Flow; received: Flow; removed: Flow };
  telemetryWrittenTwice: number;
  receivedAgeMs: Age;
  settledAgeMs: Age;
};

type Proxy = { sqs: string; dynamodb: string; control: string; stage: Stage };

async function startProxy(scope: Scope, sqs: Queue, dynamodb: string): Promise<Proxy> {
  let where: Omit<Proxy, "stage"> | undefined;
  const stage = await startPart(scope, {
    name: "proxy",
    command: [process.execPath, join(root, "bench/pipeline/counting-proxy.ts")],
    env: { SQS_ENDPOINT: sqs.endpoint, QUEUE_URL: sqs.queueUrl, DYNAMODB_ENDPOINT: dynamodb },
    cwd: root,
    onLine: showFaults,
    isReady: (line) => {
      if (!line.includes('"proxy.listening"')) return false;
      where = JSON.parse(line);
      return true;
    },
  });
  return { ...where!, stage };
}

const through = (url: string, proxy: string): string => new URL(new URL(url).pathname, proxy).href;

async function writeTenants(endpoint: string, secrets: Secrets): Promise<void> {
  const client = embeddedClient(endpoint);
  for (const tenantId of [TENANT, WITNESS]) {
    const defaults = tenantDefaults(tenantId);
    // The policy approves the engine and the model that the fleet uses. A company usually changes its policy
    // in this way after its first incidents.
    const policy = { ...defaults.policy, approvedEngines: ["ollama"], approvedModels: ["llama3*"] };
    const tenant = { ...defaults, policy, ...(tenantId === WITNESS && { telemetryResolutionSeconds: 0 }) };
    await client.send(
      new PutItemCommand({ TableName: TABLE_NAME, Item: marshalItem({ ...tenantKey(tenantId), ...tenant }) }),
    );
    await signLocalTable(client, secrets, tenantId);
  }
  client.destroy();
}

/** Selects the variables of the bench's own environment that are passed on to the stages. */
const passedOn = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );

export type Pipeline = {
  secrets: Secrets;
  edgePort: number;
  queue: Queue;
  /** Endpoint of the table that bypasses the proxy. */
  tableEndpoint: string;
  counts: () => Promise<Counts>;
  /** Resets the counts of the proxy, to start a new counting period. */
  resetCounts: () => Promise<void>;
  /** Process id of each stage, by the name of the stage. */
  pids: Record<string, number>;
};

/** Starts table, queue, counting proxy, worker and edge, each in a separate process. */
export async function startPipeline(scope: Scope, runtime: RuntimeName): Promise<Pipeline> {
  const secrets = await benchSecrets();
  // The table is in memory, so that DynamoDB does not wait for the disk of this machine.
  const table = await startTable(scope);
  const queue = await startQueue(scope);
  const proxy = await startProxy(scope, queue, table.endpoint);
  await writeTenants(table.endpoint, secrets);
  const queueUrl = through(queue.queueUrl, proxy.sqs);
  const worker = await scope.start(
    () =>
      startWorker(
        { root, onLine: showFaults },
        {
          ...CREDENTIALS,
          DYNAMODB_ENDPOINT: proxy.dynamodb,
          SQS_QUEUE_URL: queueUrl,
          SQS_DLQ_URL: through(queue.deadLetterUrl, proxy.sqs),
          SQS_ENDPOINT: proxy.sqs,
          LZ_QUEUE_KEYS: secrets.queueKeys,
          LZ_CONTROL_JWKS: JSON.stringify({ keys: [publicJwk(secrets.controlKey)] }),
          ...passedOn(["LZ_RECEIVERS"]),
        },
      ),
    (stage) => stage.stop(),
  );
  const edge = await startEdge(
    scope,
    runtime,
    secrets,
    { dynamodbEndpoint: proxy.dynamodb, queueUrl },
    passedOn(["LZ_PACK_WAIT_MS"]),
  );
  const stages = { edge: edge.stage, worker, sqs: queue.stage, dynamodb: table.stage, proxy: proxy.stage };
  return {
    secrets,
    edgePort: edge.port,
    queue,
    tableEndpoint: table.endpoint,
    counts: async () => (await (await fetch(`${proxy.control}/counts`)).json()) as Counts,
    resetCounts: async () => void (await fetch(`${proxy.control}/reset`, { method: "POST" })),
    pids: Object.fromEntries(Object.entries(stages).map(([name, { pid }]) => [name, pid])),
  };
}
