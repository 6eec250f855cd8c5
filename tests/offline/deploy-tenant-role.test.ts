import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  actionRequired,
  alerts,
  assetKey,
  assetTimeline,
  authorityKey,
  deviceRecordKey,
  employeeAssets,
  eventsPartition,
  outbox,
  telemetryShard,
  tenantFeatureKey,
  tenantKey,
  verdictKey,
} from "../../shared/table/keys.ts";
import { decide, grantsOf, type PolicyDocument } from "../support/iam/policy.ts";
import { readTemplate } from "../support/iam/template.ts";
import { ROOT } from "../support/stack.ts";

const text = readFileSync(join(ROOT, "deploy/tenant-role.yaml"), "utf8");

const ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/t";

/** The policy of the role for this tenant, as CloudFormation renders it. */
function policyOf(tenantId: string): PolicyDocument {
  const pseudo = { "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012" };
  const template = readTemplate(text, {
    references: { ...pseudo, TenantId: tenantId, TableName: "t", TrustedPrincipal: "arn:aws:iam::1:role/r" },
    attributes: { "TenantRole.Arn": "arn" },
  });
  const { Policies } = template.Resources.TenantRole!.Properties as {
    Policies: { PolicyDocument: PolicyDocument }[];
  };
  return Policies[0]!.PolicyDocument;
}

const isAllowed = (tenantId: string, leadingKeys: readonly string[]): boolean =>
  decide(policyOf(tenantId), { action: "dynamodb:PutItem", resource: ARN, leadingKeys }).isAllowed;

/** One partition key of every kind that the product builds. */
const partitionsOf = (tenant: string): string[] => [
  tenantKey(tenant).PK,
  assetKey(tenant, "a").PK,
  authorityKey(tenant, "HEAD").PK,
  deviceRecordKey(tenant, "a").PK,
  telemetryShard(tenant, 3),
  tenantFeatureKey(tenant, "f").PK,
  verdictKey(tenant, "f").PK,
  eventsPartition(tenant),
  employeeAssets(tenant, "e"),
  assetTimeline(tenant, "a"),
  actionRequired(tenant),
  alerts(tenant, "CRITICAL"),
  outbox(tenant),
];

describe("the role of one tenant", () => {
  test("can read all its own partitions, in the table and in the indexes", () => {
    for (const key of partitionsOf("a")) expect([key, isAllowed("a", [key])]).toEqual([key, true]);
  });
  test.each([
    ["a", "ab"],
    ["ab", "a"],
    ["a", "b"],
    ["org_1", "org_10"],
  ])("of tenant %s cannot access tenant %s", (mine, other) => {
    for (const key of partitionsOf(other)) expect([key, isAllowed(mine, [key])]).toEqual([key, false]);
  });
  test("is denied any request that has no key or also has another tenant's key", () => {
    expect(isAllowed("a", ["TENANT#a", "TENANT#ab"])).toBe(false);
    expect(isAllowed("a", [])).toBe(false);
  });
  test("rejects a tenant name that IAM would expand", () => {
    const pattern = /AllowedPattern: "(.+)"/.exec(text)![1]!;
    for (const name of ["*", "a*", "a?", `\${aws:username}`, "", "a#b"])
      expect([name, new RegExp(`^(?:${pattern})$`).test(name)]).toEqual([name, false]);
    expect(new RegExp(`^(?:${pattern})$`).test("org_2mW8vFqkT4northwind")).toBe(true);
  });
  test("cannot delete or scan", () => {
    const grants = grantsOf(policyOf("a"));
    expect(grants.length).toBeGreaterThan(10);
    expect(grants.filter(({ action }) => /Delete|Scan|BatchWrite|\*/.test(action))).toEqual([]);
  });
});
