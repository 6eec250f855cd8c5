import { describe, expect, test } from "bun:test";
import { decodeTime } from "ulid";
import { type Admin, permissionsOf } from "../../../../../edge/auth/permissions.ts";
import {
  APPROVAL_MS,
  type Asked,
  changedStopMode,
  guardIsolation,
} from "../../../../../edge/control/containment/isolation-limits.ts";
import type { Deps } from "../../../../../edge/deps.ts";
import { marshalItem, unmarshalItem } from "../../../../../shared/table/dynamo.ts";
import type { AssetItem } from "../../../../../shared/table/items/asset/asset.ts";
import { type TenantItem, tenantDefaults } from "../../../../../shared/table/items/tenant.ts";
import { isolationCountKey, tenantKey } from "../../../../../shared/table/keys.ts";
import { believing } from "../../../../support/control/authority.ts";
import { interceptDynamo } from "../../../../support/dynamo/intercept-dynamo.ts";
import { createMemoryDynamo } from "../../../../support/dynamo/memory-dynamo.ts";
import { ASSET_ID, TENANT_ID } from "../../../../support/edge/edge-app.ts";

const NOW_MS = Date.parse("2026-11-21T23:59:59.999Z");
const ASSET: AssetItem = {
  type: "Asset",
  tenantId: TENANT_ID,
  assetId: ASSET_ID,
  employeeId: "dana",
  hostname: "desk-1",
  os: "linux",
  arch: "x64",
  deviceKey: "A".repeat(43),
  enrolledAt: "2026-11-21T00:00:00.000Z",
  status: "ACTIVE",
  generation: 4,
  custodyCount: 0,
};
const ADMIN: Admin = {
  tenantId: TENANT_ID,
  userId: "user_ada",
  sessionId: "s",
  role: "admin",
  impersonated: false,
  via: "session",
  permissions: permissionsOf("admin"),
};
const ASKED: Asked = {
  admin: ADMIN,
  mode: "network",
  justification: "unknown model weights",
  breakGlass: false,
  isApproved: false,
};
const STILL = {
  ConditionCheck: {
    TableName: "t",
    Key: marshalItem(tenantKey(TENANT_ID)),
    ConditionExpression: "#version = :seen",
    ExpressionAttributeNames: { "#version": "settingsVersion" },
    ExpressionAttributeValues: marshalItem({ ":seen": 3 }),
  },
};

/**
 * Returns the guard's decision on an isolation with these settings. `used`: number of isolations in the
 * current hour before this one.
 */
async function guard(settings: Partial<TenantItem>, asked: Partial<Asked> = {}, used?: number) {
  const { dynamo } = createMemoryDynamo();
  const tenant = { ...tenantKey(TENANT_ID), ...tenantDefaults(TENANT_ID), settingsVersion: 3, ...settings };
  await dynamo("PutItem", { TableName: "t", Item: marshalItem(tenant) });
  if (used !== undefined) {
    const counted = { ...isolationCountKey(TENANT_ID, "2026-11-21T23"), type: "IsolationCount" };
    const Item = marshalItem({ ...counted, tenantId: TENANT_ID, count: used, expiresAt: 4_000_000_000 });
    await dynamo("PutItem", { TableName: "t", Item });
  }
  const reads: object[] = [];
  const counting = interceptDynamo(dynamo, ({ input }, send) => {
    reads.push(input);
    return send();
  });
  // Alternates between the lowest and the highest byte that map to the last of the 32 characters of the ULID
  // alphabet.
  let calls = 0;
  const random = (length: number) => new Uint8Array(length).fill(calls++ % 2 === 0 ? 248 : 255);
  const deps = {
    dynamo: counting,
    table: "t",
    authority: believing(counting),
    random,
  } as Partial<Deps> as Deps;
  const decision = await guardIsolation(ASSET, { ...ASKED, ...asked }, NOW_MS, deps);
  // Without strongly consistent reads, the limit could be outdated.
  for (const read of reads) expect(read).toMatchObject({ TableName: "t", ConsistentRead: true });
  return decision;
}

/** Returns the item that a put operation writes. */
const itemOf = (write: unknown) =>
  unmarshalItem((write as { Put: { Item: ReturnType<typeof marshalItem> } }).Put.Item);

describe("without approval and without an hourly limit", () => {
  test("an isolation is committed only if the settings are the same as when they were read", async () => {
    expect(await guard({ fourEyes: false, isolationsPerHourMax: 0 })).toEqual({
      ok: true,
      value: { is: "go", writes: [STILL] },
    });
  });
});

describe("break-glass", () => {
  test("skips the limit and the approval for an administrator in a session", async () => {
    expect(await guard({ fourEyes: true, isolationsPerHourMax: 1 }, { breakGlass: true }, 1)).toEqual({
      ok: true,
      value: { is: "go", writes: [], target: "break-glass" },
    });
  });

  test.each([
    ["an API key of an administrator", { via: "api-key" }],
    ["a responder", { role: "responder", permissions: permissionsOf("responder") }],
    ["a person who impersonates an administrator", { impersonated: true }],
  ] as const)("is refused for %s", async (_who, more) => {
    const admin = { ...ADMIN, ...more } as Admin;
    expect(await guard({}, { breakGlass: true, admin })).toMatchObject({
      ok: false,
      code: "admin.forbidden",
      detail: "breakGlass is only available to signed-in administrators, not to API keys or other roles",
    });
  });
});

describe("the hourly limit", () => {
  const EXPIRES_AT = Math.floor(NOW_MS / 1000) + 86_400;
  const count = (count: number) => ({
    ...isolationCountKey(TENANT_ID, "2026-11-21T23"),
    type: "IsolationCount",
    tenantId: TENANT_ID,
    count,
    expiresAt: EXPIRES_AT,
  });

  test("counts the first isolation of an hour on the condition that there is no count", async () => {
    const decision = await guard({ isolationsPerHourMax: 1 });
    const Put = {
      TableName: "t",
      Item: marshalItem(count(1)),
      ConditionExpression: "attribute_not_exists(PK)",
    };
    expect(decision).toEqual({ ok: true, value: { is: "go", writes: [STILL, { Put }] } });
  });

  test("counts one more on the condition that the count is unchanged and below the limit", async () => {
    const decision = await guard({ isolationsPerHourMax: 3 }, {}, 2);
    const Put = {
      TableName: "t",
      Item: marshalItem(count(3)),
      ConditionExpression: "#count = :used AND #count < :max",
      ExpressionAttributeNames: { "#count": "count" },
      ExpressionAttributeValues: marshalItem({ ":used": 2, ":max": 3 }),
    };
    expect(decision).toEqual({ ok: true, value: { is: "go", writes: [STILL, { Put }] } });
  });

  test.each([3, 4])("rejects an isolation once %d of 3 are counted", async (used) => {
    expect(await guard({ isolationsPerHourMax: 3 }, {}, used)).toMatchObject({
      ok: false,
      code: "admin.capped",
      detail: "the limit is 3 isolations per hour",
    });
  });

  test("applies to approved isolations", async () => {
    const settings = { fourEyes: true, isolationsPerHourMax: 1 };
    expect(await guard(settings, { isApproved: true }, 1)).toMatchObject({ code: "admin.capped" });
    expect(await guard(settings, { isApproved: true })).toMatchObject({ value: { is: "go" } });
  });
});

describe("the approval by a second person", () => {
  test("creates a request that names the requester, the reason, the host and the expiry time", async () => {
    const decision = await guard({ fourEyes: true });
    if (!decision.ok || decision.value.is !== "ask") throw new Error("expected a request");
    const { approvalId, writes, change } = decision.value;
    expect(decodeTime(approvalId)).toBe(NOW_MS);
    expect(approvalId.slice(10)).toBe("Z".repeat(16));
    expect(writes[0]).toEqual(STILL);
    expect(writes).toHaveLength(2);
    expect(writes[1]).toMatchObject({
      Put: { TableName: "t", ConditionExpression: "attribute_not_exists(PK)" },
    });
    expect(itemOf(writes[1])).toEqual({
      PK: tenantKey(TENANT_ID).PK,
      SK: `APPROVAL#${approvalId}`,
      type: "Approval",
      tenantId: TENANT_ID,
      approvalId,
      assetId: ASSET_ID,
      generation: 4,
      mode: "network",
      justification: ASKED.justification,
      requestedBy: "user_ada",
      requestedAt: "2026-11-21T23:59:59.999Z",
      validUntil: "2026-11-22T00:59:59.999Z",
      expiresAt: Math.floor(NOW_MS / 1000) + 30 * 86_400,
    });
    expect(APPROVAL_MS).toBe(3_600_000);
    const { justification } = ASKED;
    const record = { action: "request-isolation", mode: "network", target: approvalId, justification };
    expect<unknown>(change).toEqual({ before: ASSET, records: [record] });
  });

  test("creates a request that names the creator of the API key, and the method of stopping engines", async () => {
    const admin = { ...ADMIN, via: "api-key", userId: "key_1", keyMadeBy: "user_ben" } as const;
    for (const stopEnginesBy of ["suspend", "terminate"] as const) {
      const decision = await guard({ fourEyes: true, stopEnginesBy }, { admin, mode: "stop-engines" });
      if (!decision.ok || decision.value.is !== "ask") throw new Error("expected a request");
      expect(itemOf(decision.value.writes[1])).toMatchObject({
        requestedBy: "key_1",
        keyMadeBy: "user_ben",
        mode: "stop-engines",
        stopEnginesBy,
      });
      expect(decision.value.change.records).toMatchObject([{ mode: "stop-engines", stopEnginesBy }]);
    }
  });
});

describe("changedStopMode()", () => {
  const suspended = "engines are now suspended, not terminated";
  const terminated = "engines are now terminated, not suspended";
  test.each([
    ["stop-engines", "suspend", "terminate", terminated],
    ["stop-engines", "terminate", "suspend", suspended],
    ["stop-engines", "suspend", "suspend", undefined],
    ["stop-engines", "terminate", "terminate", undefined],
    ["stop-engines", undefined, "terminate", undefined],
    ["network", "suspend", "terminate", undefined],
    ["observe", "terminate", "suspend", undefined],
  ] as const)("in mode %s, decided with %p, settings %s: %p", (mode, stopEnginesBy, now, says) => {
    const said = changedStopMode({ mode, stopEnginesBy }, now);
    expect(said).toBe(says && `the settings have changed: ${says}. Check and request the isolation again`);
  });

  test("rejects a decision that was made with other settings", async () => {
    for (const isApproved of [true, false]) {
      const asked = { mode: "stop-engines", stopEnginesBy: "suspend", isApproved } as const;
      expect(await guard({ stopEnginesBy: "terminate", fourEyes: true }, asked)).toMatchObject({
        ok: false,
        code: "admin.conflict",
        detail: `the settings have changed: ${terminated}. Check and request the isolation again`,
      });
    }
  });
});
