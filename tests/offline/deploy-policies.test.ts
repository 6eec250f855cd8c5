import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../support/stack.ts";

type Statement = {
  Effect: "Allow" | "Deny";
  Action: string | string[];
  Resource: string | string[];
  Condition?: { "ForAnyValue:StringLike": { "dynamodb:LeadingKeys": string[] } };
};
type Template = { Resources: Record<string, { Properties: { PolicyDocument: { Statement: Statement[] } } }> };

/** The template without CloudFormation's tags: a resource is named as the template names it. */
const template = Bun.YAML.parse(
  readFileSync(join(ROOT, "deploy/aws.yaml"), "utf8")
    .replaceAll(/!(GetAtt|Sub|Ref) /g, "")
    .replaceAll(/\$\{(Table\.Arn)\}/g, "$1"),
) as Template;

const list = (value: string | string[]): string[] => (typeof value === "string" ? [value] : value);
const isLike = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`).test(text);

/** IAM's own rule: a denial wins, and what nothing allows is denied. Items of a transaction are judged one by one. */
function isAllowed(role: string, action: string, resource: string, leadingKey?: string): boolean {
  const { Statement } = template.Resources[`${role}Policy`]!.Properties.PolicyDocument;
  const applies = ({ Action, Resource, Condition }: Statement) =>
    list(Action).some((pattern) => isLike(pattern, action)) &&
    list(Resource).some((pattern) => isLike(pattern, resource)) &&
    (Condition === undefined ||
      (leadingKey !== undefined &&
        Condition["ForAnyValue:StringLike"]["dynamodb:LeadingKeys"].some((pattern) =>
          isLike(pattern, leadingKey),
        )));
  const found = Statement.filter(applies);
  return found.some(({ Effect }) => Effect === "Allow") && !found.some(({ Effect }) => Effect === "Deny");
}

const TABLE = "Table.Arn";
const WRITES = ["dynamodb:PutItem", "dynamodb:UpdateItem"];

describe("the policies of deploy/aws.yaml", () => {
  test.each(["Ingest", "Enrol", "Worker"])("no %s node writes a signature of an administrator", (role) => {
    for (const write of WRITES) expect(isAllowed(role, write, TABLE, "TENANT#org_a#AUTHORITY")).toBe(false);
  });
  test("an admin node does", () => {
    for (const write of WRITES) expect(isAllowed("Admin", write, TABLE, "TENANT#org_a#AUTHORITY")).toBe(true);
  });
  test("a node that ingests writes nothing to the table and reads no queue", () => {
    for (const key of ["TENANT#org_a", "TENANT#org_a#TELEMETRY#SHARD#3", "TENANT#org_a#DEVICES"])
      for (const write of WRITES) expect(isAllowed("Ingest", write, TABLE, key)).toBe(false);
    expect(isAllowed("Ingest", "sqs:ReceiveMessage", "Heartbeats.Arn")).toBe(false);
    expect(isAllowed("Ingest", "sqs:SendMessage", "Heartbeats.Arn")).toBe(true);
    expect(isAllowed("Ingest", "dynamodb:Query", "Table.Arn/index/GSI2")).toBe(true);
  });
  test("a node that enrols vouches for devices, and writes no history", () => {
    for (const key of ["TENANT#org_a", "TENANT#org_a#DEVICES"])
      for (const write of WRITES) expect(isAllowed("Enrol", write, TABLE, key)).toBe(true);
    for (const key of ["TENANT#org_a#TELEMETRY#SHARD#3", "TENANT#org_a#EVENTS"])
      expect(isAllowed("Enrol", "dynamodb:PutItem", TABLE, key)).toBe(false);
  });
  test("a worker writes what heartbeats say, and vouches for no device", () => {
    for (const key of ["TENANT#org_a", "TENANT#org_a#TELEMETRY#SHARD#3", "TENANT#org_a#EVENTS"])
      expect(isAllowed("Worker", "dynamodb:PutItem", TABLE, key)).toBe(true);
    expect(isAllowed("Worker", "dynamodb:PutItem", TABLE, "TENANT#org_a#DEVICES")).toBe(false);
    expect(isAllowed("Worker", "sqs:SendMessage", "Heartbeats.Arn")).toBe(false);
  });
  test.each(["Ingest", "Enrol", "Admin", "Worker"])("no %s node deletes an item or the table", (role) => {
    for (const action of [
      "dynamodb:DeleteItem",
      "dynamodb:DeleteTable",
      "dynamodb:UpdateTable",
      "dynamodb:BatchWriteItem",
    ])
      expect(isAllowed(role, action, TABLE, "TENANT#org_a")).toBe(false);
  });
});
