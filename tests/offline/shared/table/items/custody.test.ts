import { describe, expect, test } from "bun:test";
import {
  type CustodyEnd,
  custodyHash,
  verifyCustody,
} from "../../../../../shared/containment/custody-chain.ts";
import type { AuditItem } from "../../../../../shared/table/items/custody.ts";
import { linkedLog } from "../../../../support/control/build-custody-log.ts";

const A = "01JD0000000000000000000001";
const B = "01JD0000000000000000000002";
const WHO = { tenantId: "org_a", operatorId: "u", sessionId: "s", sourceIp: "192.0.2.1", requestId: "r" };

/**
 * Test setup: a log with records of two assets and of the tenant, in the order of `of`. `undefined` is a
 * record of the tenant.
 */
const makeLog = (
  of: readonly (string | undefined)[] = [A, undefined, B, A, undefined, A],
): Promise<AuditItem[]> =>
  linkedLog(
    of.map((assetId, index) => ({
      ...{ ...WHO, at: `2026-11-2${index}T00:00:00.000Z`, justification: `reason ${index}` },
      ...(assetId === undefined ? { action: "change-settings" } : { assetId, action: "isolate" }),
    })),
  );

function endOf(records: readonly AuditItem[]): Required<CustodyEnd> {
  const own = records.filter(({ assetId }) => assetId === undefined);
  const { hash = "", at = "" } = records.at(-1) ?? {};
  return { hash, count: records.length, at, ownHash: own.at(-1)?.hash ?? "", ownCount: own.length };
}

/** Applies a change to a record and recomputes the record's hash. */
async function resealed({ hash: _, ...record }: AuditItem, change: Partial<AuditItem>): Promise<AuditItem> {
  const changed = { ...record, ...change };
  return { ...changed, hash: await custodyHash(changed) };
}

describe("custodyHash()", () => {
  test("is the SHA-256 in hex of the record's canonical JSON, independent of the order of members", async () => {
    const [record] = await makeLog([A]);
    const { hash, ...rest } = record!;
    const reversed = Object.fromEntries(Object.entries(rest).toReversed()) as typeof rest;
    expect(await custodyHash(reversed)).toBe(hash);
    const text = `{${Object.keys(rest)
      .sort()
      .map((name) => `"${name}":${JSON.stringify(rest[name as "at"])}`)
      .join(",")}}`;
    expect(hash).toBe(new Bun.CryptoHasher("sha256").update(text).digest("hex"));
  });
});

describe("verifyCustody()", () => {
  test("accepts a complete log in any order, and an empty one", async () => {
    const log = await makeLog();
    expect(await verifyCustody(log, endOf(log))).toBeUndefined();
    expect(await verifyCustody(log.toReversed(), endOf(log))).toBeUndefined();
    expect(await verifyCustody([], undefined)).toBeUndefined();
    expect(await verifyCustody([], { hash: "", count: 0, ownHash: "", ownCount: 0 })).toBeUndefined();
  });

  test("does not change its input", async () => {
    const log = (await makeLog()).toReversed();
    const before = [...log];
    await verifyCustody(log, endOf(before.toReversed()));
    expect(log).toEqual(before);
  });

  test("accepts a head of an older version with hash and count only", async () => {
    const log = await makeLog();
    const { hash, count } = endOf(log);
    expect(await verifyCustody(log, { hash, count })).toBeUndefined();
    expect(await verifyCustody(log, { hash, count: count + 1 })).toMatchObject({ record: "head" });
  });

  test("a rewritten last record with the same count does not match the head's hash", async () => {
    const log = await makeLog();
    const rewritten = log.with(-1, await resealed(log.at(-1)!, { justification: "nothing to see" }));
    expect(await verifyCustody(rewritten, endOf(log))).toEqual({
      record: "head",
      fault: "the newest record in the head is not the newest record of the log",
      index: 6,
    });
    // With a matching head, the change stays unnoticed. Only the signature of the checkpoint reveals it.
    expect(await verifyCustody(rewritten, endOf(rewritten))).toBeUndefined();
  });

  test("each member of the head is compared with the records", async () => {
    const log = await makeLog();
    const end = endOf(log);
    const edits: [Partial<CustodyEnd>, RegExp][] = [
      [{ hash: "0".repeat(64) }, /is not the newest record of the log/],
      [{ count: 5 }, /counts 5 records, but the log has 6/],
      [{ count: 7 }, /counts 7 records, but the log has 6/],
      [
        { at: log[4]!.at },
        /dates the newest record 2026-11-24T00:00:00.000Z, but the log has 2026-11-25T00:00:00.000Z/,
      ],
      [{ ownCount: 1 }, /counts 1 tenant-level records, but the log has 2/],
      [{ ownCount: 3 }, /counts 3 tenant-level records, but the log has 2/],
      [{ ownHash: log[1]!.hash }, /the newest tenant-level record in the head/],
      [{ ownHash: "" }, /the newest tenant-level record in the head/],
    ];
    for (const [edit, fault] of edits) {
      const found = await verifyCustody(log, { ...end, ...edit });
      expect(found).toMatchObject({ record: "head", index: 6 });
      expect(found!.fault).toMatch(fault);
    }
  });

  test("handles a log without tenant-level records, and an empty log without a time", async () => {
    const log = await makeLog([A, A]);
    expect(await verifyCustody(log, { ...endOf(log), ownCount: 1 })).toMatchObject({ record: "head" });
    expect(await verifyCustody(log, { ...endOf(log), ownHash: log[0]!.hash })).toMatchObject({
      record: "head",
    });
    const empty = { hash: "", count: 0 };
    expect((await verifyCustody([], { ...empty, at: log[0]!.at }))!.fault).toMatch(/the log has no record$/);
    expect(await verifyCustody([], { hash: log[0]!.hash, count: 0 })).toMatchObject({
      record: "head",
      index: 0,
    });
  });

  test("refuses records without a head, and a head without records", async () => {
    const log = await makeLog();
    expect((await verifyCustody(log, undefined))!.fault).toBe("the head counts 0 records, but the log has 6");
    expect((await verifyCustody([], endOf(log)))!.fault).toBe("the head counts 6 records, but the log has 0");
  });

  test.each([
    [
      "an edit",
      (log: AuditItem[]) => log.with(2, { ...log[2]!, justification: "x" }),
      2,
      /hash does not match/,
    ],
    [
      "a fork",
      (log: AuditItem[]) => [...log, log[2]!],
      3,
      /is a fork: the tenant has another record with number 3/,
    ],
    [
      "a deletion of the first",
      (log: AuditItem[]) => log.slice(1),
      0,
      /does not follow record 0 of the tenant/,
    ],
    ["a deletion in the middle", (log: AuditItem[]) => log.toSpliced(3, 1), 3, /does not follow record 3 of/],
  ] as const)("%s is detected, with the first bad record", async (_what, tamper, index, fault) => {
    const log = await makeLog();
    const tampered = tamper(log);
    const found = await verifyCustody(tampered, endOf(log));
    expect(found!.index).toBe(index);
    expect(found!.fault).toMatch(fault);
    const named = [...tampered].sort((a, b) => a.tenantNumber - b.tenantNumber)[index]!;
    expect(found!.record).toBe(`${named.assetId ?? "tenant"} ${named.at}`);
  });

  test("a record that does not link to the tenant's previous record is detected", async () => {
    const log = await makeLog([A, A]);
    const tampered = log.with(1, await resealed(log[1]!, { tenantPreviousHash: "0".repeat(64) }));
    expect((await verifyCustody(tampered, endOf(tampered)))!.fault).toMatch(
      /does not follow record 1 of the tenant/,
    );
  });

  test.each([
    ["the number", { number: 3 }],
    ["the hash before", { previousHash: "0".repeat(64) }],
  ])("%s in the chain of an asset, and of the tenant-level records, is checked", async (_what, change) => {
    for (const [of, chain] of [
      [[A, B, A], "its asset"],
      [[undefined, B, undefined], "the tenant-level records"],
    ] as const) {
      const log = await makeLog(of);
      const tampered = log.with(2, await resealed(log[2]!, change));
      expect(await verifyCustody(tampered, endOf(tampered))).toEqual({
        record: `${of[0] ?? "tenant"} ${log[2]!.at}`,
        fault: `does not follow record 1 of ${chain}`,
        index: 2,
      });
    }
  });

  test("the first record of an asset has the number 1 and follows nothing", async () => {
    const log = await makeLog([A, B]);
    for (const change of [{ number: 2 }, { previousHash: log[0]!.hash }]) {
      const tampered = log.with(1, await resealed(log[1]!, change));
      expect((await verifyCustody(tampered, endOf(tampered)))!.fault).toBe(
        "does not follow record 0 of its asset",
      );
    }
  });
});
