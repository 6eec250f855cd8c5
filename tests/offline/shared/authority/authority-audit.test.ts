import { beforeAll, describe, expect, test } from "bun:test";
import { assetIdOf } from "../../../../shared/authority/asset-id.ts";
import { auditAuthority } from "../../../../shared/authority/audit-authority.ts";
import { signNewDevice } from "../../../../shared/authority/sign-authority.ts";
import { signTable, unsignedItems } from "../../../../shared/authority/sign-table.ts";
import { createVerifier } from "../../../../shared/authority/verify-authority.ts";
import { type AttributeMap, marshalItem } from "../../../../shared/table/dynamo.ts";
import { tenantDefaults } from "../../../../shared/table/items/tenant.ts";
import {
  apiKeyKey,
  assetKey,
  authorityHeadKey,
  authorityKey,
  custodyHeadKey,
  deviceRecordKey,
  enrolledKey,
  enrolmentKey,
  type Key,
  tenantKey,
} from "../../../../shared/table/keys.ts";
import { custodyEnd, makeSigningKey } from "../../../support/control/authority.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";

const TENANT = "org_a";
const DEVICE_KEY = "A".repeat(43);
const ENROLLED_MS = Date.parse("2026-11-21T00:00:00.000Z");
const IDS = [
  await assetIdOf(TENANT, DEVICE_KEY, ENROLLED_MS),
  await assetIdOf(TENANT, DEVICE_KEY, ENROLLED_MS + 1),
] as const;
const NOW_SECONDS = 1_790_000_000;

type Keys = Awaited<ReturnType<typeof makeSigningKey>>;
let control: Keys;
let next: Keys;
beforeAll(async () => {
  [control, next] = (await Promise.all([makeSigningKey("control-1"), makeSigningKey("control-2")])) as [
    Keys,
    Keys,
  ];
});

const asset = (id: string, more: object = {}) =>
  marshalItem({
    ...assetKey(TENANT, id),
    type: "Asset",
    tenantId: TENANT,
    assetId: id,
    employeeId: "dana",
    hostname: "desk",
    os: "linux",
    arch: "x64",
    deviceKey: DEVICE_KEY,
    enrolledAt: "2026-11-21T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
    ...more,
  });
const apiKey = (more: object = {}) =>
  marshalItem({
    ...apiKeyKey(TENANT, IDS[0]),
    type: "ApiKey",
    tenantId: TENANT,
    keyId: IDS[0],
    role: "viewer",
    expiresAt: NOW_SECONDS + 9,
    ...more,
  });

/**
 * Test setup: a tenant with settings, an API key, an enrolled host and an isolated host. All items are signed
 * at version 7.
 */
async function makeTable() {
  const table = createMemoryDynamo();
  const where = { dynamo: table.dynamo, table: "t" };
  const put = (Item: AttributeMap) => table.dynamo("PutItem", { TableName: "t", Item });
  const newDevice = asset(IDS[0]);
  await put(marshalItem({ ...tenantKey(TENANT), ...tenantDefaults(TENANT) }));
  await put(apiKey());
  await put(newDevice);
  await put(marshalItem(await signNewDevice(control.key, TENANT, newDevice)));
  await put(asset(IDS[1], { status: "ISOLATED", generation: 1 }));
  await put(await custodyEnd(TENANT, 9, control.key));
  const verifier = createVerifier(control.jwks);
  const signed = await signTable(where, {
    tenantId: TENANT,
    version: 7,
    nowMs: NOW_SECONDS * 1000,
    control: control.key,
    verifier,
  });
  const audit = (more: object = {}) =>
    auditAuthority(where, { tenantId: TENANT, verifier, nowSeconds: NOW_SECONDS, ...more });
  const items = table.items as Map<string, AttributeMap>;
  const nameOf = ({ PK, SK }: Key) => `${PK} | ${SK}`;
  const remove = (key: Key) => items.delete(nameOf(key));
  const get = (key: Key) => structuredClone(items.get(nameOf(key))!);
  return { where, put, audit, signed, remove, get };
}

test("signing a table signs unsigned items once", async () => {
  const { where, signed, audit } = await makeTable();
  expect(signed.map(({ item }) => item).sort()).toEqual([`APIKEY#${IDS[0]}`, `ASSET#${IDS[1]}`, "METADATA"]);
  const again = await signTable(where, {
    tenantId: TENANT,
    version: 8,
    nowMs: NOW_SECONDS * 1000,
    control: control.key,
    verifier: createVerifier(control.jwks),
  });
  expect(again).toEqual([]);
  expect(await audit()).toEqual({ version: 8, items: 4, byKid: { "control-1": 5 }, faults: [] });
});

test("a tenant without signed items has no faults", async () => {
  const { dynamo } = createMemoryDynamo();
  const verifier = createVerifier(control.jwks);
  expect(
    await auditAuthority({ dynamo, table: "t" }, { tenantId: TENANT, verifier, nowSeconds: NOW_SECONDS }),
  ).toEqual({
    version: 0,
    items: 0,
    byKid: {},
    faults: [],
  });
});

test("after a rotation the table is signed with the new key, and the old key can be removed", async () => {
  const { where } = await makeTable();
  const both = createVerifier({ keys: [...control.jwks.keys, ...next.jwks.keys] });
  const signed = await signTable(where, {
    tenantId: TENANT,
    version: 9,
    nowMs: NOW_SECONDS * 1000,
    control: next.key,
    verifier: both,
  });
  expect(signed.map(({ reason }) => reason)).toEqual(["old-key", "old-key", "old-key", "old-key"]);
  const kept = await signTable(where, {
    ...{ tenantId: TENANT, version: 9, nowMs: NOW_SECONDS * 1000, control: next.key, verifier: both },
  });
  expect(kept).toEqual([]);
  const onlyNew = createVerifier(next.jwks);
  const audit = await auditAuthority(where, { tenantId: TENANT, verifier: onlyNew, nowSeconds: NOW_SECONDS });
  expect(audit).toEqual({ version: 9, items: 4, byKid: { "control-2": 5 }, faults: [] });
});

const ISSUED = { usesMax: 10, at: "2026-11-01T00:00:00.000Z", by: "ada", until: "2026-12-01T00:00:00.000Z" };

test.each([
  ["a recorded token", { issued: ISSUED }],
  ["a token from before tokens were recorded", {}],
])(
  "%s with fewer counted uses than enrolled devices is reported, even without the items of the devices",
  async (_, more) => {
    const { where, put, remove, audit } = await makeTable();
    const item = { ...enrolmentKey(TENANT, "t1"), type: "Enrolment", tenantId: TENANT, jti: "t1", ...more };
    const token = (uses: number) => put(marshalItem({ ...item, uses }));
    const enrolled = ["a", "b"].map((device) => enrolledKey(TENANT, "t1", device));
    for (const key of enrolled) await put(marshalItem({ ...key, type: "Enrolled" }));
    for (const ms of [2, 3])
      await put(asset(await assetIdOf(TENANT, DEVICE_KEY, ENROLLED_MS + ms), { enrolledWith: "t1" }));
    await token(2);
    const verifier = createVerifier(control.jwks);
    const signing = {
      tenantId: TENANT,
      version: 8,
      nowMs: NOW_SECONDS * 1000,
      control: control.key,
      verifier,
    };
    await signTable(where, signing);
    expect((await audit()).faults).toEqual([]);
    await token(1);
    expect((await audit()).faults).toEqual([{ item: "ENROL#t1", code: "uses" }]);
    for (const key of enrolled) remove(key);
    expect((await audit()).faults).toEqual([{ item: "ENROL#t1", code: "uses" }]);
    await token(2);
    expect((await audit()).faults).toEqual([]);
  },
);

type World = Awaited<ReturnType<typeof makeTable>>;
type Attack = [
  name: string,
  attack: (world: World) => Promise<unknown>,
  faults: { item: string; code: string }[],
];
const KEY = `APIKEY#${IDS[0]}`;
const ATTACKS: Attack[] = [
  ["an edited item", ({ put }) => put(apiKey({ role: "admin" })), [{ item: KEY, code: "mismatch" }]],
  [
    "an added item",
    ({ put }) => put({ ...apiKey(), SK: { S: "APIKEY#new" } }),
    [{ item: "APIKEY#new", code: "unsigned" }],
  ],
  [
    "a removed item",
    async ({ remove }) => remove(apiKeyKey(TENANT, IDS[0])),
    [{ item: KEY, code: "removed" }],
  ],
  [
    "an item removed together with its record",
    async ({ remove }) => [remove(apiKeyKey(TENANT, IDS[0])), remove(authorityKey(TENANT, KEY))],
    [{ item: "HEAD", code: "count" }],
  ],
  [
    "a removed record",
    async ({ remove }) => remove(authorityKey(TENANT, KEY)),
    [
      { item: "HEAD", code: "count" },
      { item: KEY, code: "unsigned" },
    ],
  ],
  ...(
    [
      ["a custody log that was cut", () => custodyEnd(TENANT, 6, control.key)],
      ["a custody log that was added to", () => custodyEnd(TENANT, 9, control.key, { count: 10 })],
      [
        "a custody log with another newest record",
        () => custodyEnd(TENANT, 9, control.key, { hash: "b".repeat(64) }),
      ],
      ["an end of the custody log by a strange key", () => custodyEnd(TENANT, 9, next.key)],
      ["an end of the custody log that is none", async () => marshalItem(custodyHeadKey(TENANT))],
    ] as const
  ).map(
    ([name, end]): Attack => [
      name,
      async ({ put }) => put(await end()),
      [{ item: "CUSTODY#HEAD", code: "custody" }],
    ],
  ),
  [
    "a removed end of the custody log",
    async ({ remove }) => remove(custodyHeadKey(TENANT)),
    [{ item: "CUSTODY#HEAD", code: "custody" }],
  ],
  [
    "a removed head",
    async ({ remove }) => remove(authorityHeadKey(TENANT)),
    [{ item: "HEAD", code: "head" }],
  ],
  [
    "a record that is not signed",
    ({ put, get }) => put({ ...get(authorityKey(TENANT, KEY)), signature: { S: "a.b.c" } }),
    [
      { item: KEY, code: "signature" },
      { item: "HEAD", code: "count" },
    ],
  ],
  [
    "a host put back to the state in which it enrolled",
    async ({ put, remove }) => {
      await put(asset(IDS[1]));
      await put(marshalItem(await signNewDevice(control.key, TENANT, asset(IDS[1]))));
      remove(authorityKey(TENANT, `ASSET#${IDS[1]}`));
    },
    [{ item: "HEAD", code: "count" }],
  ],
  [
    "a host that is gone",
    async ({ remove }) => remove(assetKey(TENANT, IDS[0])),
    [{ item: `ASSET#${IDS[0]}`, code: "removed" }],
  ],
  [
    "a device record that is gone",
    async ({ remove }) => remove(deviceRecordKey(TENANT, IDS[0])),
    [{ item: `ASSET#${IDS[0]}`, code: "unsigned" }],
  ],
];

describe("an audit finds", () => {
  test.each(ATTACKS)("%s", async (_name, attack, faults) => {
    const world = await makeTable();
    await attack(world);
    const found = (await world.audit()).faults;
    expect(found).toHaveLength(faults.length);
    expect(found).toEqual(expect.arrayContaining(faults));
  });
  test("an item and its record restored to an older state", async () => {
    const world = await makeTable();
    const [item, record] = [world.get(apiKeyKey(TENANT, IDS[0])), world.get(authorityKey(TENANT, KEY))];
    await world.put(apiKey({ revokedAt: "2026-11-23T00:00:00.000Z" }));
    const verifier = createVerifier(control.jwks);
    await signTable(world.where, {
      tenantId: TENANT,
      version: 8,
      nowMs: NOW_SECONDS * 1000,
      control: control.key,
      verifier,
    });
    expect((await world.audit()).faults).toEqual([]);
    await world.put(item);
    await world.put(record);
    expect((await world.audit()).faults).toEqual([{ item: "HEAD", code: "count" }]);
  });
  test("a restored table, by the version seen before", async () => {
    const world = await makeTable();
    expect((await world.audit({ versionMin: 7 })).faults).toEqual([]);
    expect((await world.audit({ versionMin: 8 })).faults).toEqual([{ item: "HEAD", code: "rolledBack" }]);
  });
});

test("an item deleted by TTL after its expiry is not a fault", async () => {
  const world = await makeTable();
  world.remove(apiKeyKey(TENANT, IDS[0]));
  expect((await world.audit({ nowSeconds: NOW_SECONDS + 8 })).faults).toEqual([
    { item: KEY, code: "removed" },
  ]);
  expect((await world.audit({ nowSeconds: NOW_SECONDS + 9 })).faults).toEqual([]);
});

test("unsigned items can be listed before signing", async () => {
  const world = await makeTable();
  await world.put(apiKey({ role: "admin" }));
  const listed: { item: string; reason: string }[] = [];
  for await (const { item, reason } of unsignedItems(world.where, TENANT, createVerifier(control.jwks)))
    listed.push({ item: item.SK!.S!, reason });
  expect(listed).toEqual([{ item: KEY, reason: "mismatch" }]);
});
