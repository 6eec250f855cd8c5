import { beforeAll, describe, expect, test } from "bun:test";
import { assetIdOf } from "../../../../../shared/authority/asset-id.ts";
import { hashOfCovered } from "../../../../../shared/authority/covered-members.ts";
import { addToDigest, EMPTY_DIGEST } from "../../../../../shared/authority/digest.ts";
import { createAuthority } from "../../../../../shared/authority/read-authority.ts";
import { claimsOf, signAuthority, signNewDevice } from "../../../../../shared/authority/sign-authority.ts";
import { createVerifier } from "../../../../../shared/authority/verify-authority.ts";
import { type AttributeMap, marshalItem } from "../../../../../shared/table/dynamo.ts";
import type { AuthorityClaims } from "../../../../../shared/table/items/authority.ts";
import {
  apiKeyKey,
  assetKey,
  authorityKey,
  deviceRecordKey,
  type Key,
  tenantKey,
} from "../../../../../shared/table/keys.ts";
import { makeSigningKey } from "../../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";

const TENANT = "org_a";
const DEVICE_KEY = "A".repeat(43);
const ID = await assetIdOf(TENANT, DEVICE_KEY, Date.parse("2026-11-21T00:00:00.000Z"));

type Keys = Awaited<ReturnType<typeof makeSigningKey>>;
let control: Keys;
let enrol: Keys;
let stranger: Keys;
beforeAll(async () => {
  [control, enrol, stranger] = (await Promise.all(
    ["control-1", "enrol-1", "control-1"].map(makeSigningKey),
  )) as [Keys, Keys, Keys];
});

const API_KEY = {
  type: "ApiKey",
  tenantId: TENANT,
  keyId: ID,
  name: "robot",
  role: "viewer",
  secretHash: "a".repeat(64),
  createdAt: "2026-11-21T00:00:00.000Z",
  createdBy: "user_mara",
  validUntil: "2026-12-21T00:00:00.000Z",
  expiresAt: 1_800_000_000,
};
const ASSET = {
  type: "Asset",
  tenantId: TENANT,
  assetId: ID,
  employeeId: "dana",
  hostname: "desk-1",
  os: "linux",
  arch: "x64",
  deviceKey: DEVICE_KEY,
  enrolledAt: "2026-11-21T00:00:00.000Z",
  status: "ACTIVE",
  generation: 0,
  custodyCount: 0,
};
const apiKey = (more: object = {}) => marshalItem({ ...apiKeyKey(TENANT, ID), ...API_KEY, ...more });
const asset = (more: object = {}) => marshalItem({ ...assetKey(TENANT, ID), ...ASSET, ...more });

function makeTable({ mode = "enforce" as "enforce" | "observe" } = {}) {
  const table = createMemoryDynamo();
  const logged: { event: string; fields: Record<string, unknown> | undefined }[] = [];
  const { read } = createAuthority({
    dynamo: table.dynamo,
    table: "t",
    verifier: createVerifier(control.jwks, enrol.jwks),
    mode,
    pause: async () => {},
    log: (_level, event, fields) => void logged.push({ event, fields }),
  });
  const put = (...items: (AttributeMap | object)[]) =>
    Promise.all(
      items.map((item) => {
        const isStored = typeof (item as { PK: unknown }).PK === "object";
        const Item = isStored ? (item as AttributeMap) : marshalItem(item);
        return table.dynamo("PutItem", { TableName: "t", Item });
      }),
    );
  return { table, read, put, logged };
}
const signed = async (item: AttributeMap, { key = control.key, version = 7 } = {}) =>
  signAuthority(key, await claimsOf(TENANT, item, version));
const refusal = (read: Promise<unknown>) =>
  read.then(
    () => "accepted",
    (error: { code: string }) => error.code,
  );

describe("an item that needs a signature", () => {
  test("is returned when it matches the signature of the control key", async () => {
    const { read, put } = makeTable();
    await put(apiKey(), await signed(apiKey()));
    expect(await read(apiKeyKey(TENANT, ID))).toEqual(apiKey());
  });
  test("without a record is refused, and the refusal is logged with its key", async () => {
    const { read, put, logged } = makeTable();
    await put(apiKey());
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("unsigned");
    expect(logged).toEqual([
      {
        event: "security.authority-refused",
        fields: { tenantId: TENANT, item: `APIKEY#${ID}`, reason: "unsigned", mode: "enforce" },
      },
    ]);
  });
  test("without item and record is absent, not refused", async () => {
    expect(await makeTable().read(apiKeyKey(TENANT, ID))).toBeUndefined();
  });
  test("that was deleted while its record exists is refused", async () => {
    const { read, put } = makeTable();
    await put(await signed(apiKey()));
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("removed");
  });
  test.each(Object.keys(API_KEY).filter((name) => name !== "type"))(
    "is refused when its %s was edited",
    async (name) => {
      const { read, put } = makeTable();
      const edited = apiKey({ [name]: name === "expiresAt" ? 1_900_000_000 : "edited" });
      await put(edited, await signed(apiKey()));
      expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("mismatch");
    },
  );
  test("is refused when it gained a member that this release does not know", async () => {
    const { read, put } = makeTable();
    await put(apiKey({ superuser: true }), await signed(apiKey()));
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("mismatch");
  });
  test("may carry the members that other nodes write", async () => {
    const { read, put } = makeTable();
    const used = apiKey({ lastUsedAt: "2026-11-22T00:00:00.000Z" });
    await put(used, await signed(apiKey()));
    expect(await read(apiKeyKey(TENANT, ID))).toEqual(used);
  });
  test("restored to an older content is refused", async () => {
    const { read, put } = makeTable();
    const revoked = apiKey({ revokedAt: "2026-11-23T00:00:00.000Z" });
    await put(revoked, await signed(revoked, { version: 8 }));
    await put(apiKey());
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("mismatch");
  });
  test("is read again before it is refused, because a transaction may be between two reads", async () => {
    const { table, put } = makeTable();
    const after = apiKey({ revokedAt: "2026-11-23T00:00:00.000Z" });
    await put(apiKey(), await signed(after));
    let pauses = 0;
    const { read } = createAuthority({
      dynamo: table.dynamo,
      table: "t",
      verifier: createVerifier(control.jwks),
      mode: "enforce",
      pause: async () => {
        pauses++;
        await put(after);
      },
      log: () => {},
    });
    expect(await read(apiKeyKey(TENANT, ID))).toEqual(after);
    expect(pauses).toBe(1);
  });
  test("without a signature is used and logged in mode `observe`", async () => {
    const { read, put, logged } = makeTable({ mode: "observe" });
    await put(apiKey());
    expect(await read(apiKeyKey(TENANT, ID))).toEqual(apiKey());
    expect(logged.map(({ event }) => event)).toEqual(["security.authority-refused"]);
  });
});

describe("a record", () => {
  const forgeries: [string, () => Promise<object>, string][] = [
    ["by a key that is not pinned", () => signed(apiKey(), { key: stranger.key }), "signature"],
    ["by an enrol key", () => signed(apiKey(), { key: enrol.key }), "signature"],
    [
      "of another item",
      async () => ({
        ...(await signAuthority(control.key, {
          ...(await claimsOf(TENANT, apiKey(), 1)),
          item: "APIKEY#other",
        })),
        ...authorityKey(TENANT, `APIKEY#${ID}`),
      }),
      "misplaced",
    ],
    [
      "of another tenant",
      async () => ({
        ...(await signAuthority(control.key, await claimsOf("org_b", apiKey(), 1))),
        ...authorityKey(TENANT, `APIKEY#${ID}`),
      }),
      "misplaced",
    ],
    [
      "of a new device in the place of a record by the control key",
      async () => ({
        ...(await signNewDevice(control.key, TENANT, asset())),
        ...authorityKey(TENANT, `APIKEY#${ID}`),
      }),
      "signature",
    ],
    [
      "that is not one",
      async () => ({ ...authorityKey(TENANT, `APIKEY#${ID}`), type: "Authority" }),
      "signature",
    ],
  ];
  test.each(forgeries)("%s is refused", async (_name, forge, code) => {
    const { read, put } = makeTable();
    await put(apiKey(), await forge());
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe(code);
  });
});

describe("a device that enrolled", () => {
  test("is accepted with the record of an enrol key", async () => {
    const { read, put } = makeTable();
    await put(asset(), await signNewDevice(enrol.key, TENANT, asset()));
    expect(await read(assetKey(TENANT, ID))).toEqual(asset());
  });
  test("may carry what the worker writes", async () => {
    const { read, put } = makeTable();
    const reported = asset({
      ...{ proof: { generation: 0 }, GSI2PK: "x", GSI2SK: "y", unsignedReport: { generation: 0 } },
      ...{ setBack: { generation: 1 }, freedByCode: { generation: 1 }, heardGeneration: 7 },
    });
    await put(reported, await signNewDevice(enrol.key, TENANT, asset()));
    expect(await read(assetKey(TENANT, ID))).toEqual(reported);
  });
  const decided: [string, object][] = [
    ["isolated", { status: "ISOLATED" }],
    ["of a later generation", { generation: 1 }],
    ["revoked", { revokedAt: "2026-11-23T00:00:00.000Z" }],
    ["with a replaced key", { keyRotatedAt: "2026-11-23T00:00:00.000Z" }],
    ["with a wish", { wish: { generation: 1 } }],
  ];
  test.each(decided)("that is %s is refused: an enrol key cannot decide this", async (_name, more) => {
    const { read, put } = makeTable();
    await put(asset(more), await signNewDevice(enrol.key, TENANT, asset(more)));
    expect(await refusal(read(assetKey(TENANT, ID)))).toBe("notNew");
  });
  test("cannot get another device key from a holder of an enrol key after the control key signed it", async () => {
    const { read, put } = makeTable();
    const revoked = asset({ revokedAt: "2026-11-23T00:00:00.000Z", custodyCount: 1 });
    const stolen = asset({ deviceKey: "B".repeat(43) });
    await put(stolen, await signed(revoked), await signNewDevice(enrol.key, TENANT, stolen));
    expect(await refusal(read(assetKey(TENANT, ID)))).toBe("mismatch");
  });
  test.each([
    ["the key of whoever holds the enrol key", { deviceKey: "B".repeat(43) }],
    ["no key", { deviceKey: undefined }],
  ])("cannot get %s instead of its own, even before a change by an administrator", async (_name, more) => {
    const { read, put } = makeTable();
    await put(asset(more), await signNewDevice(enrol.key, TENANT, asset(more)));
    expect(await refusal(read(assetKey(TENANT, ID)))).toBe("deviceKey");
  });
  test("of another tenant with the same key has another id", async () => {
    const atMs = Date.parse("2026-11-21T00:00:00.000Z");
    expect(await assetIdOf("org_b", DEVICE_KEY, atMs)).not.toBe(ID);
    expect(await assetIdOf(TENANT, DEVICE_KEY, atMs + 1)).not.toBe(ID);
    expect(ID).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  });
  test("that was deleted is refused", async () => {
    const { read, put } = makeTable();
    await put(await signNewDevice(enrol.key, TENANT, asset()));
    expect(await refusal(read(assetKey(TENANT, ID)))).toBe("removed");
  });
  test("does not allow an enrol key to sign other kinds of items, such as API keys", async () => {
    const { read, put } = makeTable();
    const forged = { ...(await signNewDevice(enrol.key, TENANT, asset())), ...deviceRecordKey(TENANT, ID) };
    await put(apiKey(), forged);
    expect(await refusal(read(apiKeyKey(TENANT, ID)))).toBe("unsigned");
  });
});

describe("the digest of a tenant's records", () => {
  const claims = (item: string, version: number): AuthorityClaims => ({
    tenant: TENANT,
    item,
    version,
    hash: "h".repeat(43),
  });
  test("does not depend on the order, and removing a record reverts adding it", async () => {
    const [a, b, c] = [claims("A", 1), claims("B", 2), claims("C", 3)];
    const all = await addToDigest(EMPTY_DIGEST, [a, b, c]);
    expect(await addToDigest(EMPTY_DIGEST, [c, a, b])).toBe(all);
    expect(await addToDigest(all, [], [b])).toBe(await addToDigest(EMPTY_DIGEST, [a, c]));
    expect(await addToDigest(all, [], [a, b, c])).toBe(EMPTY_DIGEST);
    expect(all).toMatch(/^[0-9a-f]{64}$/);
  });
  test.each([
    ["item", claims("B", 1)],
    ["version", claims("A", 2)],
    ["hash", { ...claims("A", 1), hash: "i".repeat(43) }],
  ])("differs for another %s", async (_name, other) => {
    expect(await addToDigest(EMPTY_DIGEST, [other])).not.toBe(
      await addToDigest(EMPTY_DIGEST, [claims("A", 1)]),
    );
  });
});

test("the hash of a tenant's settings covers every stored member except the keys", async () => {
  const tenant = (key: Key, more: object) =>
    hashOfCovered(marshalItem({ ...key, type: "Tenant", tenantId: TENANT, name: "A", ...more }));
  const plain = await tenant(tenantKey(TENANT), {});
  expect(await tenant(tenantKey("org_b"), {})).toBe(plain);
  expect(await tenant(tenantKey(TENANT), { fourEyes: true })).not.toBe(plain);
  expect(await tenant(tenantKey(TENANT), { expiresAt: 1 })).not.toBe(plain);
});
