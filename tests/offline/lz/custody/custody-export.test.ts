import { beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from "jose";
import { type CustodyExport, verifyExport } from "../../../../lz/custody/custody-export.ts";
import { custodyHash } from "../../../../shared/containment/custody-chain.ts";
import type { AuditItem } from "../../../../shared/table/items/custody.ts";

const TENANT = "org_test";
const ASSETS = ["01JD0000000000000000000001", "01JD0000000000000000000002"];

type Control = { key: CryptoKey; keys: JSONWebKeySet };
let control: Control;
let stranger: Control;

async function makeControl(): Promise<Control> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: "control-1" };
  return { key: privateKey as CryptoKey, keys: { keys: [jwk] } };
}

beforeAll(async () => {
  control = await makeControl();
  stranger = await makeControl();
});

const checkpoint = (key: CryptoKey, hash: string, count: number) =>
  new SignJWT({ tenant: TENANT, hash, count })
    .setProtectedHeader({ alg: "EdDSA", typ: "lz-checkpoint+jwt", kid: "control-1" })
    .setIssuedAt(1_790_000_000)
    .sign(key);

/**
 * Test setup: a log with `length` records as the edge writes them. Isolations and releases of two assets
 * alternate.
 */
async function makeLog(
  length: number,
): Promise<{ records: AuditItem[]; head: NonNullable<CustodyExport["head"]> }> {
  const records: AuditItem[] = [];
  for (let index = 0; index < length; index++) {
    const assetId = ASSETS[index % 2]!;
    const ofAsset = records.filter((record) => record.assetId === assetId);
    const isolates = ofAsset.length % 2 === 0;
    const record = {
      type: "Audit" as const,
      tenantId: TENANT,
      assetId,
      at: new Date(1_790_000_000_000 + index * 1000).toISOString(),
      number: ofAsset.length + 1,
      action: isolates ? ("isolate" as const) : ("release" as const),
      mode: "observe" as const,
      generation: ofAsset.length + 1,
      before: isolates ? ("ACTIVE" as const) : ("ISOLATED" as const),
      after: isolates ? ("ISOLATED" as const) : ("ACTIVE" as const),
      operatorId: "user_1",
      sessionId: "sess_1",
      sourceIp: "192.0.2.1",
      requestId: `req-${index}`,
      justification: `reason ${index}`,
      previousHash: ofAsset.at(-1)?.hash ?? "",
      tenantPreviousHash: records.at(-1)?.hash ?? "",
      tenantNumber: index + 1,
    };
    records.push({ ...record, hash: await custodyHash(record) });
  }
  const hash = records.at(-1)!.hash;
  const head = {
    type: "CustodyHead" as const,
    tenantId: TENANT,
    hash,
    count: length,
    checkpoint: await checkpoint(control.key, hash, length),
  };
  return { records, head };
}

describe("verifyExport()", () => {
  test("verifyExport() accepts a valid log with a signed checkpoint", async () => {
    expect(await verifyExport(await makeLog(8), { keys: control.keys })).toEqual({
      records: 8,
      checkpoint: "good",
    });
  });

  test("verifyExport() accepts the records in any order, because they are numbered", async () => {
    const log = await makeLog(6);
    log.records.reverse();
    expect((await verifyExport(log, { keys: control.keys })).fault).toBeUndefined();
  });

  test("verifyExport() reports that an empty log has no checkpoint", async () => {
    expect(await verifyExport({ records: [] }, {})).toEqual({ records: 0, checkpoint: "absent" });
  });

  test("verifyExport() reports without keys that the checkpoint was not checked", async () => {
    expect((await verifyExport(await makeLog(2), {})).checkpoint).toBe("unchecked");
  });

  test("verifyExport() finds an edit of any member and names the record", async () => {
    const members = Object.keys((await makeLog(1)).records[0]!).filter((member) => member !== "type");
    for (const member of members) {
      const log = await makeLog(4);
      const edited = log.records[2]! as unknown as Record<string, unknown>;
      const value = edited[member];
      if (typeof value === "number") edited[member] = value + 1;
      else if (member === "at") edited.at = "2026-11-21T00:00:00.000Z";
      else if (member === "action") edited.action = value === "isolate" ? "release" : "isolate";
      else if (member === "mode") edited.mode = "network";
      else if (member === "before" || member === "after")
        edited[member] = value === "ACTIVE" ? "ISOLATED" : "ACTIVE";
      else if (member === "assetId") edited.assetId = "01JD0000000000000000000009";
      else if (member === "tenantId") edited.tenantId = "org_other";
      else edited[member] = `${"f".repeat(String(value).length || 64)}`.slice(0, 64);
      const { fault } = await verifyExport(log, { keys: control.keys });
      expect(fault, member).toBeDefined();
      expect(fault!.record, member).toContain(String(edited.assetId));
    }
  });

  test("verifyExport() finds an unknown member, which no hash covers", async () => {
    const log = await makeLog(2);
    (log.records[1] as unknown as Record<string, unknown>).approvedBy = "the board";
    const { assetId, at } = log.records[1] as AuditItem;
    expect((await verifyExport(log, {})).fault).toMatchObject({ record: `${assetId ?? "tenant"} ${at}` });
  });

  test("verifyExport() finds an edit with a recomputed hash, by the next record", async () => {
    const log = await makeLog(4);
    const { hash: _, ...edited } = { ...log.records[1]!, justification: "another reason" };
    log.records[1] = { ...edited, hash: await custodyHash(edited) };
    expect((await verifyExport(log, {})).fault?.record).toContain(log.records[2]!.at);
  });

  test("verifyExport() finds a deletion at the start, in the middle and at the end", async () => {
    for (const index of [0, 3, 7]) {
      const log = await makeLog(8);
      log.records.splice(index, 1);
      expect((await verifyExport(log, {})).fault, `record ${index}`).toBeDefined();
    }
  });

  test("verifyExport() finds two records that were swapped with their numbers", async () => {
    const log = await makeLog(4);
    const [first, second] = [log.records[1]!, log.records[2]!];
    [first.tenantNumber, second.tenantNumber] = [second.tenantNumber, first.tenantNumber];
    expect((await verifyExport(log, {})).fault).toBeDefined();
  });

  test("verifyExport() finds a truncation by the head", async () => {
    const log = await makeLog(6);
    log.records.length = 4;
    expect((await verifyExport(log, {})).fault).toEqual({
      record: "head",
      fault: "the head counts 6 records, but the log has 4",
    });
  });

  test("verifyExport() finds a truncation with an edited head, by the signature of the checkpoint", async () => {
    const log = await makeLog(6);
    log.records.length = 4;
    const { hash } = log.records[3]!;
    Object.assign(log.head, { hash, count: 4, checkpoint: await checkpoint(stranger.key, hash, 4) });
    expect((await verifyExport(log, {})).fault).toBeUndefined();
    expect((await verifyExport(log, { keys: control.keys })).fault?.record).toBe("head");
  });

  test("verifyExport() finds a head that differs from its checkpoint, also without keys", async () => {
    const log = await makeLog(6);
    log.records.length = 4;
    Object.assign(log.head, { hash: log.records[3]!.hash, count: 4 });
    for (const text of [log.head.checkpoint, "not a token", "a.b.c"]) {
      log.head.checkpoint = text;
      expect((await verifyExport(log, {})).fault, text).toEqual({
        record: "head",
        fault: "its checkpoint belongs to another log",
      });
    }
  });

  test("verifyExport() finds a log that was reset to an earlier signed state, by an earlier export", async () => {
    const whole = await makeLog(6);
    const old = await makeLog(4);
    expect((await verifyExport(old, { keys: control.keys })).fault).toBeUndefined();
    expect((await verifyExport(old, { keys: control.keys, anchor: whole })).fault?.record).toBe(
      "record 6 of the tenant",
    );
    expect((await verifyExport(whole, { keys: control.keys, anchor: old })).fault).toBeUndefined();
  });

  test("verifyExport() rejects a checkpoint of another key, of another log or with a wrong form", async () => {
    const log = await makeLog(2);
    for (const forged of [
      await checkpoint(stranger.key, log.head.hash, 2),
      await checkpoint(control.key, log.head.hash, 3),
      await checkpoint(control.key, "0".repeat(64), 2),
      "not a token",
    ]) {
      const tampered = { ...log, head: { ...log.head, checkpoint: forged } };
      expect((await verifyExport(tampered, { keys: control.keys })).fault?.record).toBe("head");
    }
  });
});
