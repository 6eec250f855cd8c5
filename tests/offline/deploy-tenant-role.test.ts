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
import { ROOT } from "../support/stack.ts";

const text = readFileSync(join(ROOT, "deploy/tenant-role.yaml"), "utf8");

type Fence = {
  Action: string[];
  Condition: {
    "ForAllValues:StringLike": { "dynamodb:LeadingKeys": string[] };
    Null: { "dynamodb:LeadingKeys": string };
  };
};

/** The role's statement for this tenant, as CloudFormation fills it in. */
function fenceOf(tenantId: string): Fence {
  const filled = text.replaceAll(/\$\{TenantId\}/g, tenantId).replaceAll(/!(Sub|Ref|GetAtt) /g, "");
  const { Resources } = Bun.YAML.parse(filled) as {
    Resources: { TenantRole: { Properties: { Policies: { PolicyDocument: { Statement: [Fence] } }[] } } };
  };
  return Resources.TenantRole.Properties.Policies[0]!.PolicyDocument.Statement[0];
}

const isLike = (pattern: string, value: string): boolean =>
  new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`).test(value);

/** Every value must fit one pattern, and `Null: false` asks for at least one value (IAM user guide, set operators). */
function isAllowed(tenantId: string, leadingKeys: readonly string[]): boolean {
  const { Condition } = fenceOf(tenantId);
  const patterns = Condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
  const hasKeys = Condition.Null["dynamodb:LeadingKeys"] !== "false" || leadingKeys.length > 0;
  return hasKeys && leadingKeys.every((key) => patterns.some((pattern) => isLike(pattern, key)));
}

/** A partition key of every kind that the product builds. */
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
  test("reaches every partition of its own, of the table and of the indexes", () => {
    for (const key of partitionsOf("a")) expect([key, isAllowed("a", [key])]).toEqual([key, true]);
  });
  test.each([
    ["a", "ab"],
    ["ab", "a"],
    ["a", "b"],
    ["org_1", "org_10"],
  ])("of tenant %s reaches nothing of tenant %s", (mine, other) => {
    for (const key of partitionsOf(other)) expect([key, isAllowed(mine, [key])]).toEqual([key, false]);
  });
  test("reaches nothing in one request with another tenant's key, and nothing without a key", () => {
    expect(isAllowed("a", ["TENANT#a", "TENANT#ab"])).toBe(false);
    expect(isAllowed("a", [])).toBe(false);
  });
  test("takes no name of a tenant that IAM would expand", () => {
    const pattern = /AllowedPattern: "(.+)"/.exec(text)![1]!;
    for (const name of ["*", "a*", "a?", `\${aws:username}`, "", "a#b"])
      expect([name, new RegExp(`^(?:${pattern})$`).test(name)]).toEqual([name, false]);
    expect(new RegExp(`^(?:${pattern})$`).test("org_2mW8vFqkT4northwind")).toBe(true);
  });
  test("deletes nothing and scans nothing", () => {
    expect(fenceOf("a").Action.filter((action) => /Delete|Scan|BatchWrite|\*/.test(action))).toEqual([]);
  });
});
