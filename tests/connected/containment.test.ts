import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { verifyCustody } from "../../shared/custody.ts";
import type { AuditItem, CustodyHeadItem } from "../../shared/table/items.ts";
import { enrolAsset, startTestStack, type TestStack } from "../support/stack.ts";

describe("containment", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack("bun", { workers: 0 });
  });
  afterAll(() => stack?.stop());

  const change = (assetId: string, action: "isolate" | "release", key: string) =>
    stack.api(`/v1/assets/${assetId}/${action}`, {
      method: "POST",
      body: { justification: `race ${key}` },
      key,
    });
  const custody = async () =>
    (await (await stack.api("/v1/custody")).json()) as { records: AuditItem[]; head: CustodyHeadItem };

  test("of twenty admins who isolate one host at once one succeeds, and there is one record", async () => {
    const { assetId } = await enrolAsset(stack, "wanted");
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => change(assetId, "isolate", `at-once-${i}`)),
    );
    const statuses = answers.map((answer) => answer.status).sort();
    expect(statuses).toEqual([202, ...Array.from({ length: 19 }, () => 409)]);
    const mine = (await custody()).records.filter((record) => record.assetId === assetId);
    expect(mine).toHaveLength(1);
  });

  test("isolates and releases that race over ten hosts: as many records as accepted changes, and every chain holds", async () => {
    const assets = await Promise.all(Array.from({ length: 10 }, (_, i) => enrolAsset(stack, `race-${i}`)));
    const before = (await custody()).records.length;
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        change(assets[i % 10]!.assetId, i % 3 === 2 ? "release" : "isolate", `racing-${i}`),
      ),
    );
    const accepted = answers.filter((answer) => answer.status === 202).length;
    expect(answers.every((answer) => [202, 409].includes(answer.status))).toBe(true);
    const { records, head } = await custody();
    expect(records.length - before).toBe(accepted);
    expect(await verifyCustody(records, head)).toBeUndefined();
  }, 60_000);

  test("a revised, a missing, a moved and a cut-off record are each found and named", async () => {
    const { records, head } = await custody();
    const ordered = records.toSorted((a, b) => a.tenantNumber - b.tenantNumber);
    const edited = ordered.with(3, { ...ordered[3]!, justification: "nothing to see" });
    expect((await verifyCustody(edited, head))?.fault).toContain("edited");
    expect((await verifyCustody(ordered.toSpliced(2, 1), head))?.fault).toContain("missing or moved");
    expect((await verifyCustody(ordered.slice(0, -1), head))?.record).toBe("head");
    expect(await verifyCustody(ordered.toReversed(), head)).toBeUndefined();
  });
});
