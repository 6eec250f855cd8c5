import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { verifyCustody } from "../../../shared/containment/custody-chain.ts";
import type { AuditItem, CustodyHeadItem } from "../../../shared/table/items/custody.ts";
import { enrolAsset, startTestStack, type TestStack } from "../../support/stack.ts";

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

  test("if twenty admins isolate one host at the same time, one succeeds and one custody record is written", async () => {
    const { assetId } = await enrolAsset(stack, "wanted");
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => change(assetId, "isolate", `at-once-${i}`)),
    );
    const statuses = answers.map((answer) => answer.status).sort();
    expect(statuses).toEqual([202, ...Array.from({ length: 19 }, () => 409)]);
    const mine = (await custody()).records.filter((record) => record.assetId === assetId);
    expect(mine).toHaveLength(1);
  });

  test("1,000 parallel isolations and releases of 50 hosts by 20 admins leave one record for each accepted change, in valid chains", async () => {
    const ADMINS = 20;
    const EACH = 50;
    const assets = await Promise.all(Array.from({ length: 50 }, (_, i) => enrolAsset(stack, `race-${i}`)));
    const before = (await custody()).records.length;
    const startedAtMs = performance.now();
    const ofAdmin = async (admin: number): Promise<number[]> => {
      const statuses: number[] = [];
      for (let i = 0; i < EACH; i++) {
        // Admins with neighbouring numbers change the same asset at about the same time, with alternating
        // actions.
        const { assetId } = assets[(i + Math.floor(admin / 4)) % assets.length]!;
        const action = (admin + i) % 2 === 0 ? "isolate" : "release";
        const answer = await change(assetId, action, `racing-${admin}-${i}`);
        if (answer.status === 409) {
          const { current } = (await answer.json()) as { current?: { status?: string } };
          if (!["ACTIVE", "ISOLATED"].includes(current?.status ?? "")) statuses.push(0);
        }
        statuses.push(answer.status);
      }
      return statuses;
    };
    const statuses = (await Promise.all(Array.from({ length: ADMINS }, (_, i) => ofAdmin(i)))).flat();
    const tookMs = Math.round(performance.now() - startedAtMs);
    const accepted = statuses.filter((status) => status === 202).length;
    expect(statuses).toHaveLength(ADMINS * EACH);
    expect(statuses.filter((status) => status !== 202 && status !== 409)).toEqual([]);
    const { records, head } = await custody();
    console.log(
      `race: ${statuses.length} requests, ${accepted} accepted, ${records.length - before} records, ${tookMs} ms`,
    );
    expect(accepted).toBeGreaterThan(50);
    expect(records.length - before).toBe(accepted);
    expect(await verifyCustody(records, head)).toBeUndefined();
  }, 180_000);

  test("an edited, a deleted, a moved and a truncated record are each detected and named", async () => {
    const { records, head } = await custody();
    const ordered = records.toSorted((a, b) => a.tenantNumber - b.tenantNumber);
    const edited = ordered.with(3, { ...ordered[3]!, justification: "nothing to see" });
    expect((await verifyCustody(edited, head))?.fault).toContain("edited");
    expect((await verifyCustody(ordered.toSpliced(2, 1), head))?.fault).toContain(
      "a record is missing or was moved",
    );
    expect((await verifyCustody(ordered.slice(0, -1), head))?.record).toBe("head");
    expect(await verifyCustody(ordered.toReversed(), head)).toBeUndefined();
  });
});
