import { describe, expect, test } from "bun:test";
import { DEAD_LETTER_NAME, QUEUE_NAME } from "../../local/sqs.ts";
import {
  authorityHeadKey,
  authorityKey,
  deviceRecordKey,
  eventsPartition,
  TABLE_NAME,
  telemetryShard,
  tenantFeatureKey,
  tenantKey,
  verdictKey,
} from "../../shared/table/keys.ts";
import { queueArn, tableArn } from "../support/iam/aws-calls.ts";
import { deployedPolicies, NODE_KINDS, type NodeKind } from "../support/iam/deployed-policies.ts";
import { decide } from "../support/iam/policy.ts";

const policies = deployedPolicies();
const TABLE = tableArn(TABLE_NAME);
const QUEUE = queueArn(QUEUE_NAME);

const isAllowed = (node: NodeKind, action: string, resource: string, ...leadingKeys: string[]): boolean =>
  decide(policies[node], { action, resource, leadingKeys }).isAllowed;

const WRITES = ["dynamodb:PutItem", "dynamodb:UpdateItem"];
const TENANT = "org_a";
/** Every kind of partition that contains items of a tenant. */
const PARTITIONS = {
  tenant: tenantKey(TENANT).PK,
  authority: authorityKey(TENANT, "METADATA").PK,
  devices: deviceRecordKey(TENANT, "a").PK,
  telemetry: telemetryShard(TENANT, 3),
  events: eventsPartition(TENANT),
  features: tenantFeatureKey(TENANT, "f").PK,
  verdicts: verdictKey(TENANT, "f").PK,
};
/** The partitions that each kind of node writes. */
const WRITTEN: Record<NodeKind, (keyof typeof PARTITIONS)[]> = {
  ingest: [],
  enrol: ["tenant", "devices"],
  admin: Object.keys(PARTITIONS) as (keyof typeof PARTITIONS)[],
  worker: ["tenant", "telemetry", "events", "features", "verdicts"],
};

describe.each(NODE_KINDS)("the policy of %s nodes", (node) => {
  test.each(Object.entries(PARTITIONS))("allows or denies writes to the partition %s", (name, key) => {
    const isWritten = WRITTEN[node].includes(name as keyof typeof PARTITIONS);
    for (const write of WRITES) expect(isAllowed(node, write, TABLE, key)).toBe(isWritten);
    // A denied item in a transaction causes the whole transaction to be denied.
    if (WRITTEN[node].length > 0)
      expect(isAllowed(node, "dynamodb:PutItem", TABLE, PARTITIONS.tenant, key)).toBe(isWritten);
  });

  test("denies deletes, batch writes and scans", () => {
    for (const action of ["DeleteItem", "BatchWriteItem", "Scan", "DeleteTable", "UpdateTable"])
      expect(isAllowed(node, `dynamodb:${action}`, TABLE, PARTITIONS.tenant)).toBe(false);
  });

  test("allows only workers to receive messages, and does not allow them to send", () => {
    for (const action of ["sqs:ReceiveMessage", "sqs:DeleteMessage"])
      expect(isAllowed(node, action, QUEUE)).toBe(node === "worker");
    expect(isAllowed(node, "sqs:SendMessage", QUEUE)).toBe(node === "ingest" || node === "admin");
    expect(isAllowed(node, "sqs:SendMessage", queueArn(DEAD_LETTER_NAME))).toBe(node === "worker");
    expect(isAllowed(node, "sqs:PurgeQueue", QUEUE)).toBe(false);
  });

  test("allows only admin nodes to write a signed head, whatever the name of the tenant", () => {
    for (const tenant of ["a", "ab", "AUTHORITY", "a#AUTHORITY", "*"])
      for (const write of WRITES)
        expect(isAllowed(node, write, TABLE, authorityHeadKey(tenant).PK)).toBe(node === "admin");
  });
});

test("without its Deny statements, each policy would allow writes to the denied partitions", () => {
  let patterns = 0;
  for (const node of NODE_KINDS) {
    const { Statement: statements } = policies[node];
    const allowing = {
      ...policies[node],
      Statement: statements.filter(({ Effect }) => Effect === "Allow"),
    };
    for (const { Condition } of statements.filter(({ Effect }) => Effect === "Deny")) {
      for (const pattern of Condition!["ForAnyValue:StringLike"]!["dynamodb:LeadingKeys"]!) {
        patterns++;
        const key = pattern.replace("TENANT#*", `TENANT#${TENANT}`).replace("*", "SHARD#3");
        expect(Object.values(PARTITIONS)).toContain(key);
        const asked = { action: "dynamodb:PutItem", resource: TABLE, leadingKeys: [key] };
        expect([pattern, decide(allowing, asked).isAllowed]).toEqual([pattern, true]);
        expect(decide(policies[node], asked).isAllowed).toBe(false);
      }
    }
  }
  expect(patterns).toBe(7);
});
