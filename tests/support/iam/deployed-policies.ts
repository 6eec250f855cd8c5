import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DEAD_LETTER_NAME, QUEUE_NAME } from "../../../local/sqs.ts";
import { TABLE_NAME } from "../../../shared/table/keys.ts";
import { queueArn, tableArn } from "./aws-calls.ts";
import type { PolicyDocument } from "./policy.ts";
import { policyOf, readTemplate } from "./template.ts";

export const NODE_KINDS = ["ingest", "enrol", "admin", "worker"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

const TEMPLATE = join(resolve(import.meta.dir, "../../.."), "deploy/aws.yaml");

/** Returns the policies in deploy/aws.yaml, with the table and queue names of the local stack. */
export function deployedPolicies(): Record<NodeKind, PolicyDocument> {
  const template = readTemplate(readFileSync(TEMPLATE, "utf8"), {
    references: { TableName: TABLE_NAME },
    attributes: {
      "Table.Arn": tableArn(TABLE_NAME),
      "Heartbeats.Arn": queueArn(QUEUE_NAME),
      "DeadLetters.Arn": queueArn(DEAD_LETTER_NAME),
    },
  });
  return {
    ingest: policyOf(template, "IngestPolicy"),
    enrol: policyOf(template, "EnrolPolicy"),
    admin: policyOf(template, "AdminPolicy"),
    worker: policyOf(template, "WorkerPolicy"),
  };
}
