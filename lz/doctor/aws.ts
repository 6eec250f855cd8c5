import {
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  DynamoDBClient,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import { GetQueueAttributesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { GSI1, GSI2, TABLE_NAME, TTL_ATTRIBUTE } from "../../shared/table/keys.ts";
import { clientCredentials } from "../platform/aws-credentials.ts";
import type { Deps } from "../platform/deps.ts";
import { bad, type Check, good, note } from "./check.ts";
import { checkOwnCredentials } from "./credentials.ts";

const LIMITS = { requestHandler: { connectionTimeout: 2000, requestTimeout: 4000 }, maxAttempts: 1 };

const clientOptions = (endpoint: string | undefined, env: Deps["env"]) => ({
  ...LIMITS,
  region: env.AWS_REGION ?? "us-east-1",
  ...(endpoint !== undefined && { endpoint }),
  ...clientCredentials(endpoint, env),
});

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "unknown");

export async function checkTable(endpoint: string | undefined, env: Deps["env"]): Promise<Check[]> {
  const client = new DynamoDBClient(clientOptions(endpoint, env));
  const TableName = env.LZ_TABLE ?? TABLE_NAME;
  const advice = "locally, bun run start creates it; in AWS, deploy the template again";
  const own = endpoint === undefined ? [await checkOwnCredentials(client)] : [];
  if (own.some(({ state }) => state === "not ok")) {
    client.destroy();
    return own;
  }
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName }));
    const checks = [
      ...own,
      Table?.TableStatus === "ACTIVE"
        ? good("table", `${TableName} is active`)
        : bad("table", `${TableName} is ${Table?.TableStatus}`, "wait until it is active"),
    ];
    for (const name of [GSI1, GSI2]) {
      const index = Table?.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === name);
      const isActive = index !== undefined && (index.IndexStatus ?? "ACTIVE") === "ACTIVE";
      checks.push(
        isActive
          ? good(name, "active")
          : bad(name, index ? `${index.IndexStatus}` : "does not exist", advice),
      );
    }
    const { TimeToLiveDescription: ttl } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
    const isOn = ttl?.AttributeName === TTL_ATTRIBUTE && /^ENABL/.test(ttl.TimeToLiveStatus ?? "");
    checks.push(
      isOn ? good("TTL", `on ${TTL_ATTRIBUTE}`) : bad("TTL", "not enabled: no item expires", advice),
    );
    if (endpoint === undefined) checks.push(...(await checkProtection(client, TableName, Table)));
    return checks;
  } catch (error) {
    return [...own, bad("table", `${TableName} cannot be described (${nameOf(error)})`, advice)];
  } finally {
    client.destroy();
  }
}

/**
 * Checks deletion protection, point-in-time recovery and encryption. Only AWS has these features, so an
 * emulator is not checked.
 */
export async function checkProtection(
  client: Pick<DynamoDBClient, "send">,
  TableName: string,
  table: TableDescription | undefined,
): Promise<Check[]> {
  const advice = "deploy the template again, or set it in the console";
  const recovery = await client
    .send(new DescribeContinuousBackupsCommand({ TableName }))
    .then(
      ({ ContinuousBackupsDescription: found }) =>
        found?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus,
    )
    .catch((error: unknown) => `cannot be read (${nameOf(error)})`);
  return [
    table?.DeletionProtectionEnabled === true
      ? good("deletion protection", "on")
      : bad("deletion protection", "off: one request can delete the custody log", advice),
    recovery === "ENABLED"
      ? good("point-in-time recovery", "on")
      : bad(
          "point-in-time recovery",
          recovery === "DISABLED" ? "off: deleted data cannot be restored" : `${recovery}`,
          advice,
        ),
    table?.SSEDescription?.Status === "ENABLED"
      ? good("encryption", `with a ${table.SSEDescription.SSEType} key`)
      : note(
          "encryption",
          "with a key that AWS owns",
          "use a customer-managed key if your auditor asks for one",
        ),
  ];
}

export async function checkQueues(
  endpoint: string | undefined,
  queueUrl: string,
  env: Deps["env"],
): Promise<Check[]> {
  const client = new SQSClient({
    ...clientOptions(endpoint, env),
    useQueueUrlAsEndpoint: endpoint === undefined,
  });
  const attributes = async (QueueUrl: string) =>
    (await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }))).Attributes ??
    {};
  const advice = "locally, bun run start creates it; in AWS, deploy the template again";
  const checks: Check[] = [];
  try {
    const queue = await attributes(queueUrl);
    checks.push(good("queue", `${queue.ApproximateNumberOfMessages ?? 0} messages waiting`));
    const redrive = JSON.parse(queue.RedrivePolicy ?? "{}") as {
      deadLetterTargetArn?: string;
      maxReceiveCount?: number | string;
    };
    if (!redrive.deadLetterTargetArn) {
      return [...checks, bad("redrive", "the queue has no dead-letter queue", advice)];
    }
    checks.push(good("redrive", `to the dead-letter queue after ${redrive.maxReceiveCount} receives`));
    const name = redrive.deadLetterTargetArn.split(":").at(-1)!;
    // A dead-letter queue is in the same account and region as its source queue, so only the last path
    // segment of the URL differs.
    const deadUrl = new URL(name, queueUrl).href;
    const waiting = Number((await attributes(deadUrl)).ApproximateNumberOfMessages ?? 0);
    checks.push(
      waiting === 0
        ? good("dead-letter queue", "empty")
        : note(
            "dead-letter queue",
            `${waiting} ${waiting === 1 ? "message" : "messages"}`,
            "run lz dlq list to see why; after an outage, run lz dlq replay",
          ),
    );
  } catch (error) {
    const name = ["queue", "redrive", "dead-letter queue"][Math.min(checks.length, 2)]!;
    checks.push(bad(name, `cannot be read (${nameOf(error)})`, advice));
  } finally {
    client.destroy();
  }
  return checks;
}
