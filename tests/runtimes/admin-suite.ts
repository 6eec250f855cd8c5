import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Operation } from "../../edge/api/define-operation.ts";
import { OPERATIONS } from "../../edge/api/operations/registry.ts";
import type { RuntimeName } from "../../local/edge-command.ts";
import { enrolDevice, makeDevice, makeEngine, openSession } from "../../lz/platform/simulated-agents.ts";
import { verifyCustody } from "../../shared/containment/custody-chain.ts";
import type { AuditItem, CustodyHeadItem } from "../../shared/table/items/custody.ts";
import { openIncident } from "../support/control/open-incident.ts";
import { faultOf } from "../support/edge/openapi-operation.ts";
import {
  enrolAsset,
  eventually,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../support/stack.ts";

type Json = { [name: string]: unknown; items: Json[]; cursor?: string; code?: string };
type Asked = { body?: unknown; token?: string; key?: string; match?: string };
type ApiResponse = { status: number; body: Json; headers: Headers };

const because = { justification: "because of the test" };
const EVE = "org_eve";

/**
 * Tests the admin API over real sockets with a real table. Every response is checked against the OpenAPI
 * description.
 */
export function adminSuite(runtime: RuntimeName): void {
  describe(`admin API under ${runtime}`, () => {
    let stack: TestStack;
    let asset: SimulatedAsset;
    let eve: string;
    beforeAll(async () => {
      stack = await startTestStack(runtime, { workers: 0 });
      asset = await enrolAsset(stack, "MacBook-Pro");
      eve = await stack.issuer.mint({ userId: "eve", role: "admin" }, EVE);
    });
    afterAll(() => stack?.stop());

    /** Sends a request and fails if the response is not documented. Each change gets its own idempotency key. */
    async function ask(
      method: string,
      path: string,
      { body, token, key, match }: Asked = {},
    ): Promise<ApiResponse> {
      const answer = await fetch(`${stack.edgeUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token ?? stack.adminToken}`,
          ...(method !== "GET" && { "idempotency-key": key ?? crypto.randomUUID() }),
          ...(match !== undefined && { "if-match": match }),
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      expect(await faultOf(method, path, answer)).toBeUndefined();
      return { status: answer.status, body: (await answer.json()) as Json, headers: answer.headers };
    }
    const get = (path: string, token?: string) => ask("GET", path, token === undefined ? {} : { token });
    const post = (path: string, body: unknown = because, more: Asked = {}) =>
      ask("POST", path, { body, ...more });
    const custody = async () => {
      const { body } = await get("/v1/custody");
      return body as unknown as { records: AuditItem[]; head: CustodyHeadItem };
    };

    describe("settings and policy", () => {
      for (const path of ["/v1/settings", "/v1/policy"]) {
        test(`${path}: a change with the newest ETag is saved, one with an older ETag gets 412, and both are retried safely`, async () => {
          const before = await get(path);
          const etag = before.headers.get("etag")!;
          const wanted =
            path === "/v1/policy"
              ? { ...before.body, approvedEngines: ["ollama"] }
              : { ...before.body, retentionDays: 30 };
          const key = crypto.randomUUID();
          const changed = await ask("PUT", path, { body: wanted, match: etag, key });
          expect([changed.status, changed.body]).toEqual([200, wanted]);
          expect(changed.headers.get("etag")).not.toBe(etag);
          const late = await ask("PUT", path, { body: before.body, match: etag });
          expect([late.status, late.body.code]).toEqual([412, "admin.outdated"]);
          const again = await ask("PUT", path, { body: wanted, match: etag, key });
          expect([again.status, again.headers.get("etag")]).toEqual([200, changed.headers.get("etag")]);
          const newest = (await custody()).records.toSorted((a, b) => b.tenantNumber - a.tenantNumber)[0]!;
          expect(newest.action).toBe(path === "/v1/policy" ? "change-policy" : "change-settings");
          expect(newest.after).toContain(path === "/v1/policy" ? "ollama" : '"retentionDays":30');
          expect(newest.after).not.toContain("heartbeatIntervalMs");
        });
      }

      test("if ten admins replace the policy at the same time, exactly one succeeds", async () => {
        const { body, headers } = await get("/v1/policy");
        const match = headers.get("etag")!;
        const tries = Array.from({ length: 10 }, (_, i) =>
          ask("PUT", "/v1/policy", { body: { ...body, approvedModels: [`model-${i}`] }, match }),
        );
        const statuses = (await Promise.all(tries)).map(({ status }) => status).toSorted();
        expect(statuses).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
      });

      test("a tenant without settings has the defaults, and an admin can configure it", async () => {
        const { body, headers } = await get("/v1/settings", eve);
        expect(headers.get("etag")).toBe('"0"');
        const wanted = { ...body, name: "Eve and sons" };
        const changed = await ask("PUT", "/v1/settings", { body: wanted, match: '"0"', token: eve });
        expect([changed.status, changed.headers.get("etag")]).toEqual([200, '"1"']);
        expect((await get("/v1/settings")).body).not.toMatchObject({ name: "Eve and sons" });
      });
    });

    describe("enrolment tokens", () => {
      const host = { hostname: "with-token", employeeId: "dana" };

      test("repeating a request returns the same token, and another request with its idempotency key gets 409", async () => {
        const key = crypto.randomUUID();
        const first = await post("/v1/enrolment-tokens", { uses: 2 }, { key });
        const again = await post("/v1/enrolment-tokens", { uses: 2 }, { key });
        expect(again.body).toEqual(first.body);
        expect((await post("/v1/enrolment-tokens", { uses: 3 }, { key })).status).toBe(409);
      });

      test("a revoked token enrols no device, and the list shows the status of each token", async () => {
        const made = (await post("/v1/enrolment-tokens", { uses: 2 })).body as unknown as Record<
          string,
          string
        >;
        await enrolDevice(fetch, stack.edgeUrl, made.token!, await makeDevice(), host);
        const listed = async () =>
          (await get("/v1/enrolment-tokens")).body.items.find(({ tokenId }) => tokenId === made.tokenId);
        expect(await listed()).toMatchObject({ uses: 2, used: 1, status: "valid" });
        const revoked = await post(`/v1/enrolment-tokens/${made.tokenId}/revoke`);
        expect(revoked.body).toMatchObject({ status: "revoked" });
        await expect(
          enrolDevice(fetch, stack.edgeUrl, made.token!, await makeDevice(), host),
        ).rejects.toThrow("enrolment.invalid-token");
        expect((await post(`/v1/enrolment-tokens/${made.tokenId}/revoke`)).status).toBe(409);
        expect(
          (await post(`/v1/enrolment-tokens/${made.tokenId}/revoke`, because, { token: eve })).status,
        ).toBe(404);
      });
    });

    describe("devices", () => {
      test("after a key rotation only the new key opens sessions of the asset, and the rotation token is one-time", async () => {
        const device = await enrolAsset(stack, "rotating");
        const made = (await post(`/v1/assets/${device.assetId}/rotate-key`)).body as unknown as {
          token: string;
        };
        await openSession(fetch, stack.edgeUrl, device.device, device); // The old device key is valid until the new device key is enrolled.
        const fresh = await makeDevice();
        const host = { hostname: "rotating", employeeId: "dana" };
        const enrolled = await enrolDevice(fetch, stack.edgeUrl, made.token, fresh, host);
        expect(enrolled.assetId).toBe(device.assetId);
        await openSession(fetch, stack.edgeUrl, fresh, device);
        await expect(openSession(fetch, stack.edgeUrl, device.device, device)).rejects.toThrow("401");
        const third = enrolDevice(fetch, stack.edgeUrl, made.token, await makeDevice(), host);
        await expect(third).rejects.toThrow("409");
        expect((await get(`/v1/assets/${device.assetId}`)).body).toHaveProperty("keyRotatedAt");
      });

      test("a revoked device can never send heartbeats or open sessions again, and a record names who revoked it", async () => {
        const device = await enrolAsset(stack, "stolen");
        expect((await device.beat()).status).toBe(202);
        const revoked = await post(`/v1/assets/${device.assetId}/revoke`, {
          justification: "laptop was stolen",
        });
        expect(revoked.body).toHaveProperty("revokedAt");
        await eventually(async () => (await device.beat()).status === 403);
        await expect(openSession(fetch, stack.edgeUrl, device.device, device)).rejects.toThrow(
          "asset.revoked",
        );
        for (const verb of ["revoke", "isolate", "release", "rotate-key"]) {
          expect((await post(`/v1/assets/${device.assetId}/${verb}`)).status).toBe(409);
        }
        const { items } = (await get(`/v1/assets/${device.assetId}/custody`)).body;
        expect(items.map(({ action }) => action)).toEqual(["revoke"]);
        const isolations = (await get("/v1/isolations")).body.items.map(({ assetId }) => assetId as string);
        expect(isolations).not.toContain(device.assetId);
      });
    });

    describe("API keys", () => {
      const make = async (terms: object) =>
        (await post("/v1/api-keys", { name: "a machine", ...terms })).body as unknown as {
          key: string;
          apiKey: { keyId: string };
        };

      test("an API key can do what its role allows in its own tenant, until it is revoked", async () => {
        const { key, apiKey } = await make({ role: "responder" });
        expect(key).toStartWith(`lzk_${stack.tenantId}_${apiKey.keyId}_`);
        const { body } = await get("/v1/me", key);
        expect(body).toMatchObject({ tenantId: stack.tenantId, via: "api-key", role: "responder" });
        const host = await enrolAsset(stack, "by-machine");
        expect((await post(`/v1/assets/${host.assetId}/isolate`, because, { token: key })).status).toBe(202);
        const [record] = (await get(`/v1/assets/${host.assetId}/custody`)).body.items;
        expect(record).toMatchObject({ operatorId: `key_${apiKey.keyId}` });
        expect((await post(`/v1/api-keys/${apiKey.keyId}/revoke`)).body).toMatchObject({
          status: "revoked",
        });
        expect((await get("/v1/me", key)).status).toBe(401);
      });

      test("the secret of an API key is only in the first response: not in a repeated response, the list, the custody log or the output", async () => {
        const idempotent = crypto.randomUUID();
        const terms = { name: "once told", role: "viewer" };
        const first = await post("/v1/api-keys", terms, { key: idempotent });
        const again = await post("/v1/api-keys", terms, { key: idempotent });
        expect(first.body).toHaveProperty("key");
        expect(again.body).not.toHaveProperty("key");
        expect(again.body).toMatchObject({
          apiKey: (first.body as unknown as { apiKey: object }).apiKey,
        });
        const secret = (first.body as unknown as { key: string }).key.slice(-43);
        expect(JSON.stringify((await get("/v1/api-keys")).body)).not.toContain(secret);
        expect(JSON.stringify(await custody())).not.toContain(secret);
        expect(stack.lines.join("\n")).not.toContain(secret);
      });

      test("the list shows when an API key was last used, and no time for an unused key", async () => {
        const [used, unused] = [await make({ role: "viewer" }), await make({ role: "viewer" })];
        await get("/v1/me", used.key);
        await get("/v1/me", `${unused.key.slice(0, -1)}${unused.key.endsWith("A") ? "E" : "A"}`);
        const keys = (await get("/v1/api-keys")).body.items as unknown as {
          keyId: string;
          lastUsedAt?: string;
        }[];
        const lastUsed = (id: string) => keys.find(({ keyId }) => keyId === id)!.lastUsedAt;
        expect(Math.abs(Date.parse(lastUsed(used.apiKey.keyId)!) - Date.now())).toBeLessThan(60_000);
        expect(lastUsed(unused.apiKey.keyId)).toBeUndefined();
      });

      test("scopes limit an API key, and no API key can create or list API keys, whatever its role", async () => {
        const scoped = await make({ role: "admin", scopes: ["handle-incidents"] });
        expect((await get("/v1/assets", scoped.key)).status).toBe(403);
        const whole = await make({ role: "admin" });
        expect((await get("/v1/assets", whole.key)).status).toBe(200);
        expect((await get("/v1/api-keys", whole.key)).status).toBe(403);
        const more = { name: "further", role: "viewer" };
        expect((await post("/v1/api-keys", more, { token: whole.key })).status).toBe(403);
        expect((await post("/v1/api-keys", { ...more, scopes: ["approve"] })).status).toBe(400);
      });

      test("an API key with another tenant, another secret or another id is rejected", async () => {
        const { key } = await make({ role: "viewer" });
        const last = key.at(-2) === "A" ? "B" : "A";
        const wrong = [
          key.replace(stack.tenantId, EVE),
          `${key.slice(0, -2)}${last}${key.at(-1)}`,
          key.replace(/_01/, "_02"),
          key.slice(0, -1),
          `${key}A`,
        ];
        for (const token of wrong) expect((await get("/v1/me", token)).status).toBe(401);
      });
    });

    describe("incidents", () => {
      test("an incident can be acknowledged once and resolved once, and then leaves the list of open incidents", async () => {
        const id = await openIncident(stack, asset, { rule: "first-rule" });
        expect((await get(`/v1/incidents/${id}`)).body).toMatchObject({ status: "OPEN" });
        const acknowledged = await post(`/v1/incidents/${id}/acknowledge`, {});
        expect(acknowledged.body).toMatchObject({ acknowledgedBy: "user_local_admin" });
        expect((await post(`/v1/incidents/${id}/acknowledge`, {})).status).toBe(409);
        const reason = { reason: "approved by the data office" };
        expect((await post(`/v1/incidents/${id}/resolve`, reason)).body).toMatchObject({
          status: "RESOLVED",
          resolvedBy: "user_local_admin",
          resolution: reason.reason,
        });
        expect((await post(`/v1/incidents/${id}/resolve`, reason)).status).toBe(409);
        const open = (await get("/v1/incidents?rule=first-rule")).body.items;
        expect(open).toEqual([]);
        const all = (await get(`/v1/assets/${asset.assetId}/incidents`)).body.items.map(
          (each) => each.id as string,
        );
        expect(all).toContain(id);
      });

      test("an analyst can acknowledge incidents, but cannot isolate hosts", async () => {
        const token = await stack.issuer.mint({ userId: "ana", role: "analyst" });
        const id = await openIncident(stack, asset, { rule: "for-analyst" });
        expect((await post(`/v1/incidents/${id}/acknowledge`, {}, { token })).status).toBe(200);
        expect((await post(`/v1/assets/${asset.assetId}/isolate`, because, { token })).status).toBe(403);
      });

      test("up to thirty incidents are acknowledged in one request, unknown ones are named, and 31 are rejected", async () => {
        const other = await enrolAsset(stack, "second-host");
        const ids = await Promise.all(
          Array.from({ length: 29 }, (_, i) =>
            openIncident(stack, i % 2 ? asset : other, { rule: `bulk-${i}` }),
          ),
        );
        const gone = `${asset.assetId}.no-such.engine`;
        const before = (await custody()).records.length;
        const { body } = await post("/v1/incidents/acknowledge", { incidentIds: [...ids, gone] });
        expect(body).toMatchObject({ skipped: [{ id: gone, reason: "not-found" }] });
        expect((body as unknown as { acknowledged: string[] }).acknowledged).toHaveLength(29);
        const { records, head } = await custody();
        expect(records.length - before).toBe(29);
        expect(await verifyCustody(records, head)).toBeUndefined();
        const many = Array.from({ length: 31 }, () => gone);
        expect((await post("/v1/incidents/acknowledge", { incidentIds: many })).status).toBe(400);
      });

      test("filters by engine and asset find every incident, even if some pages are short", async () => {
        for (let i = 0; i < 7; i++)
          await openIncident(stack, asset, { rule: `page-${i}`, engine: i % 2 ? "jan" : "lmx" });
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const more: string = cursor === undefined ? "" : `&cursor=${cursor}`;
          const page: Json = (await get(`/v1/incidents?engine=jan&asset=${asset.assetId}&limit=2${more}`))
            .body;
          seen.push(...page.items.map(({ rule }) => rule as string));
          cursor = page.cursor;
        } while (cursor !== undefined);
        expect(seen.toSorted()).toEqual(["page-1", "page-3", "page-5"]);
      });
    });

    describe("assets", () => {
      const names = async (query: string): Promise<string[]> => {
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const more: string = cursor === undefined ? "" : `&cursor=${cursor}`;
          const { body }: ApiResponse = await get(`/v1/assets?limit=2&${query}${more}`);
          found.push(...body.items.map(({ hostname }) => hostname as string));
          cursor = body.cursor;
        } while (cursor !== undefined);
        return found.toSorted();
      };

      test("hosts are found by part of the name in any case, and by status, state and employee, on all pages", async () => {
        const hosts = await Promise.all(
          ["Find-A", "find-b", "FIND-c"].map((name) => enrolAsset(stack, name)),
        );
        await post(`/v1/assets/${hosts[1]!.assetId}/isolate`);
        expect(await names("hostname=find-")).toEqual(["FIND-c", "Find-A", "find-b"]);
        expect(await names("hostname=FIND-&status=ISOLATED")).toEqual(["find-b"]);
        expect(await names("hostname=find-&state=pending")).toEqual(["find-b"]);
        expect(await names("hostname=find-&state=active")).toEqual(["FIND-c", "Find-A"]);
        expect(await names("hostname=find-&employee=dana")).toEqual(["FIND-c", "Find-A", "find-b"]);
        expect(await names("hostname=find-&employee=nobody")).toEqual([]);
        expect(await names("hostname=no%23such")).toEqual([]);
        expect((await get("/v1/isolations")).body.items.map(({ hostname }) => hostname as string)).toContain(
          "find-b",
        );
      });

      test("a cursor is accepted only unchanged, and only for its own list, filters and tenant", async () => {
        const { cursor } = (await get("/v1/assets?limit=1")).body;
        const filtered = (await get("/v1/assets?limit=1&hostname=e")).body.cursor;
        expect((await get(`/v1/assets?cursor=${cursor}`)).status).toBe(200);
        const elsewhere: [string, string?][] = [
          [`/v1/assets?hostname=e&cursor=${cursor}`],
          [`/v1/assets?cursor=${filtered}`],
          [`/v1/assets?hostname=f&cursor=${filtered}`],
          [`/v1/employees?cursor=${cursor}`],
          [`/v1/isolations?cursor=${cursor}`],
          [`/v1/assets?cursor=${cursor}`, eve],
          [`/v1/assets?cursor=${cursor!.slice(0, -3)}AAA`],
          [`/v1/assets?cursor=A${cursor}`],
        ];
        for (const [path, token] of elsewhere)
          expect([path, (await get(path, token)).status]).toEqual([path, 400]);
      });

      test("employees can be listed and read, each with their assets", async () => {
        const ids = (await get("/v1/employees")).body.items.map(({ employeeId }) => employeeId as string);
        expect(ids).toContain("dana");
        expect((await get("/v1/employees/dana")).status).toBe(200);
        expect((await get("/v1/employees/nobody")).status).toBe(404);
        expect((await get("/v1/employees/nobody/assets")).status).toBe(404);
      });
    });

    describe("an admin of another tenant", () => {
      /** Ids of existing items, by parameter name. */
      let ids: Record<string, string>;
      beforeAll(async () => {
        await asset.beat({ engines: [makeEngine()] });
        const token = (await post("/v1/enrolment-tokens", {})).body as unknown as { tokenId: string };
        const made = (await post("/v1/api-keys", { name: "a target", role: "viewer" })).body as unknown as {
          apiKey: { keyId: string };
        };
        const hook = (await post("/v1/webhooks", { url: "https://hooks.example.com/target" }))
          .body as unknown as {
          webhook: { webhookId: string };
        };
        ids = {
          webhookId: hook.webhook.webhookId,
          eventId: "evt_target",
          assetId: asset.assetId,
          employeeId: "dana",
          incidentId: await openIncident(stack, asset, { rule: "target" }),
          tokenId: token.tokenId,
          keyId: made.apiKey.keyId,
        };
      });
      const bodies: Record<string, object> = {
        resolveIncident: { reason: "none of my business" },
        acknowledgeIncident: {},
        rotateAssetKey: because,
        mergeAsset: { into: "01K00000000000000000000000", ...because },
        changeWebhook: { url: "https://hooks.example.com/stolen" },
        resendDelivery: { recordedAt: new Date().toISOString() },
        resendDeadDeliveries: {},
      };
      const request = (operation: Operation, token: string) => {
        const path = `/v1${operation.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => ids[name]!)}`;
        const body = operation.method === "get" ? {} : { body: bodies[operation.id] ?? because };
        return ask(operation.method.toUpperCase(), path, { token, ...body });
      };

      test.each(["revoke", "expire"])("cannot %s this tenant's hosts in bulk", async (verb) => {
        const body = { assetIds: [asset.assetId], ...because };
        const answer = await ask("POST", `/v1/assets/${verb}`, { token: eve, body });
        const skipped = [{ assetId: asset.assetId, reason: "not-found" }];
        expect([answer.status, answer.body as unknown]).toEqual([200, { changed: [], skipped }]);
        const own = (await get(`/v1/assets/${asset.assetId}`)).body as unknown as { revokedAt?: string };
        expect(own.revokedAt).toBeUndefined();
      });

      for (const operation of OPERATIONS.filter(({ params }) => params)) {
        test(`${operation.id} returns 404 for this tenant's ids and changes nothing`, async () => {
          const before = (await custody()).head.count;
          const { status, body } = await request(operation, eve);
          expect([status, body.code]).toEqual([404, "admin.not-found"]);
          expect((await custody()).head.count).toBe(before);
        });
      }

      for (const operation of OPERATIONS.filter(({ method, params }) => method === "get" && !params)) {
        test(`${operation.id} shows nothing of this tenant`, async () => {
          const mine = JSON.stringify((await request(operation, stack.adminToken)).body);
          const theirs = JSON.stringify((await request(operation, eve)).body);
          for (const id of [stack.tenantId, ...Object.values(ids)]) expect(theirs).not.toContain(id);
          expect(mine.length).toBeGreaterThan(0);
        });
      }

      test("cannot acknowledge this tenant's incidents in bulk", async () => {
        const body = { incidentIds: [ids.incidentId!] };
        expect((await post("/v1/incidents/acknowledge", body, { token: eve })).status).toBe(404);
        expect((await get(`/v1/incidents/${ids.incidentId}`)).body).not.toHaveProperty("acknowledgedAt");
      });

      test("can use the same idempotency key for a separate change", async () => {
        const key = crypto.randomUUID();
        const [mine, theirs] = [
          await post("/v1/enrolment-tokens", { uses: 1 }, { key }),
          await post("/v1/enrolment-tokens", { uses: 1 }, { key, token: eve }),
        ];
        expect([mine.status, theirs.status]).toEqual([201, 201]);
        expect(mine.body).not.toEqual(theirs.body);
      });
    });

    test("an idempotency key that one person has used returns 409 to another person", async () => {
      const [key, token] = [crypto.randomUUID(), await stack.issuer.mint({ userId: "other", role: "admin" })];
      expect((await post("/v1/enrolment-tokens", { uses: 1 }, { key })).status).toBe(201);
      expect((await post("/v1/enrolment-tokens", { uses: 1 }, { key, token })).status).toBe(409);
    });

    test("one request sent twenty times at the same time makes one change and returns 202 each time", async () => {
      const [key, host] = [crypto.randomUUID(), await enrolAsset(stack, "clicked-often")];
      const tries = Array.from({ length: 20 }, () =>
        post(`/v1/assets/${host.assetId}/isolate`, because, { key }),
      );
      expect((await Promise.all(tries)).map(({ status }) => status)).toEqual(
        Array.from({ length: 20 }, () => 202),
      );
      expect((await get(`/v1/assets/${host.assetId}/custody`)).body.items).toHaveLength(1);
    });

    test("after all these changes the custody log verifies, and each record has an address, a session and a request id", async () => {
      const { records, head } = await custody();
      expect(await verifyCustody(records, head)).toBeUndefined();
      expect(new Set(records.map(({ action }) => action)).size).toBeGreaterThan(9);
      for (const record of records) {
        expect(record.sourceIp.length * record.sessionId.length * record.requestId.length).toBeGreaterThan(0);
      }
      const own = records.filter(({ assetId }) => assetId === undefined);
      expect(
        await verifyCustody(
          records.filter((record) => record !== own[0]),
          head,
        ),
      ).toBeDefined();
    });
  });
}
