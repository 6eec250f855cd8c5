import { describe, expect, test } from "bun:test";
import { routeOf } from "../../../../edge/api/api-routes.ts";
import type { Operation } from "../../../../edge/api/define-operation.ts";
import { OPERATIONS } from "../../../../edge/api/operations/registry.ts";
import { permissionsOf, ROLES } from "../../../../edge/auth/permissions.ts";
import { makeAdminApp } from "../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../support/edge/edge-app.ts";
import { faultOf, SPECIFICATION } from "../../../support/edge/openapi-operation.ts";

const ULID = "01M807NRG7BVMVH9SM4YAEXFPG";
const world = await makeAdminApp();

/**
 * Returns a request path of the operation with valid parameters, so that the request reaches the permission
 * check.
 */
function pathOf({ path }: Operation, id = ULID): string {
  const ids: Record<string, string> = {
    employeeId: id,
    incidentId: id === ULID ? `${ULID}.rule.engine` : id,
    webhookId: id === ULID ? ULID.toLowerCase() : id,
  };
  return `/v1${path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? id)}`;
}
const initOf = ({ method }: Operation, headers: Record<string, string> = {}): RequestInit =>
  method === "get"
    ? { headers }
    : {
        method: method.toUpperCase(),
        headers: {
          "content-type": "application/json",
          "idempotency-key": "key-00000001",
          "if-match": '"0"',
          ...headers,
        },
        body: "{}",
      };

const isLooking = ({ needs }: Operation) => needs === "read" || needs === "read-events";

describe("rights", () => {
  for (const operation of OPERATIONS) {
    for (const role of ROLES) {
      const allowed = permissionsOf(role).includes(operation.needs);
      test(`${operation.id} ${allowed ? "is open to" : "refuses"} ${role}`, async () => {
        const token = await world.session({ o: { id: TENANT_ID, rol: role } });
        const before = world.asked.length;
        const answer = await world.ask(pathOf(operation), token, initOf(operation));
        if (allowed) return expect(answer.status).not.toBe(403);
        expect([answer.status, await faultOf(operation.method, pathOf(operation), answer)]).toEqual([
          403,
          undefined,
        ]);
        expect(world.asked.length).toBe(before); // the table is not read for a caller without permission
      });
    }

    test(`${operation.id} ${isLooking(operation) ? "shows" : "refuses"} an admin whose session is impersonated`, async () => {
      const token = await world.session({ act: { sub: "user_support" } });
      const answer = await world.ask(pathOf(operation), token, initOf(operation));
      if (isLooking(operation)) expect(answer.status).not.toBe(403);
      else expect(answer.status).toBe(403);
    });

    test(`${operation.id} rejects a request without credentials, and names the accepted kind`, async () => {
      const answer = await world.app.request(`${EDGE_URL}${pathOf(operation)}`, initOf(operation));
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      expect(await faultOf(operation.method, pathOf(operation), answer)).toBeUndefined();
    });
  }

  test("no operation that changes data needs only a permission to read", () => {
    expect(
      OPERATIONS.filter(
        ({ method, needs }) => method !== "get" && (needs === "read" || needs === "read-events"),
      ),
    ).toEqual([]);
  });
});

describe("operations that change data", () => {
  const changes = OPERATIONS.filter(({ method }) => method !== "get");
  test("there are operations to check", () => expect(changes.length).toBeGreaterThan(10));

  for (const operation of changes) {
    test(`${operation.id} is rejected without a valid idempotency key, before anything is read`, async () => {
      const token = await world.session();
      const before = world.asked.length;
      for (const key of ["", "short", "k".repeat(101), "with space in", "key\u00e9-0001"]) {
        const answer = await world.ask(
          pathOf(operation),
          token,
          initOf(operation, { "idempotency-key": key }),
        );
        expect(answer.status).toBe(400);
      }
      expect(world.asked.length).toBe(before);
    });
  }

  for (const operation of changes.filter(({ versioned }) => versioned)) {
    test(`${operation.id} requires the version that the caller has read`, async () => {
      const token = await world.session();
      const init = initOf(operation);
      const { "if-match": _dropped, ...headers } = init.headers as Record<string, string>;
      expect((await world.ask(pathOf(operation), token, { ...init, headers })).status).toBe(428);
      for (const tag of ["*", "0", 'W/"0"', '"0", "1"', '"-1"', '""']) {
        const answer = await world.ask(pathOf(operation), token, initOf(operation, { "if-match": tag }));
        expect(answer.status).toBe(400);
      }
    });
  }

  test("a node without the control key changes nothing", async () => {
    const { controlKey: _none, ...deps } = world.deps;
    const reading = await makeAdminApp();
    delete reading.deps.controlKey;
    expect(deps).not.toHaveProperty("controlKey");
    const body = JSON.stringify({ justification: "because of it" });
    const path = `/v1/assets/${ULID}/isolate`;
    const init = { ...initOf(OPERATIONS.find(({ id }) => id === "isolateAsset")!), body };
    const answer = await reading.ask(path, await reading.session(), init);
    expect(await answer.json()).toMatchObject({ code: "admin.read-only" });
  });
});

describe("ids in paths", () => {
  const wrong = [
    "%23",
    `${ULID}%23`,
    `ASSET%23${ULID}`,
    "a".repeat(3000),
    "%00",
    "%0d%0aset-cookie:x=1",
    "%ff",
    "%",
    "__proto__",
    "constructor",
    "*",
    "..%2f..%2fadmin",
    "%F0%9F%92%A9",
  ];
  for (const operation of OPERATIONS.filter(({ params }) => params)) {
    test(`${operation.id} returns 404 for every malformed id, and reads nothing`, async () => {
      const token = await world.session();
      const before = world.asked.length;
      for (const id of wrong) {
        // An employee id can contain characters that an asset id cannot.
        if (operation.path.includes("employeeId") && /^[a-z]+$/.test(id) && id.length < 128) continue;
        const answer = await world.ask(pathOf(operation, id), token, initOf(operation));
        expect([id, answer.status]).toEqual([id, 404]);
      }
      expect(world.asked.length).toBe(before);
    });
  }
});

describe("resources that do not exist", () => {
  for (const operation of OPERATIONS.filter(({ method, params }) => method === "get" && params))
    test(`${operation.id} returns 404 if the table has no item with its id`, async () => {
      const answer = await world.ask(pathOf(operation, ULID), await world.session());
      expect(answer.status).toBe(404);
    });
});

describe("queries", () => {
  const lists = OPERATIONS.filter(({ query }) => query);
  for (const operation of lists) {
    test(`${operation.id} rejects a repeated parameter, an unknown parameter, and an invalid limit or cursor`, async () => {
      const token = await world.session();
      const queries = [
        "limit=1&limit=2",
        "limt=1",
        "limit=0",
        "limit=201",
        "limit=1e9",
        "limit=1e2",
        "limit=%201",
        "limit=1%20",
        "limit=%2B1",
        "limit=0x10",
        "limit=010",
        "limit=5.0",
        "limit=",
        "limit=%EF%BC%95",
        "limit=x",
        "limit=1.5",
      ];
      for (const query of [...queries, "cursor=", "cursor=eyJQSyI6IngifQ", `cursor=${"a".repeat(2001)}`]) {
        const answer = await world.ask(`${pathOf(operation)}?${query}`, token);
        const before404 = operation.params && answer.status === 404; // some operations read the asset before they check the query
        expect([query, before404 ? 400 : answer.status]).toEqual([query, 400]);
      }
    });
  }
});

describe("bodies", () => {
  const path = `/v1/assets/${ULID}/isolate`;
  const bodies: [string, string, number][] = [
    ["nothing", "", 400],
    ["a list", "[]", 400],
    ["a text", '"x"', 400],
    ["null", "null", 400],
    ["incomplete JSON", '{"justification":', 400],
    ["an unknown member", '{"justification":"because","x":1}', 400],
    ["a prototype", '{"justification":"because","__proto__":{"mode":"network"}}', 400],
    ["a constructor", '{"justification":"because","constructor":{"prototype":{}}}', 400],
    ["a NUL", '{"justification":"be\\u0000cause"}', 400],
    ["a lone surrogate", '{"justification":"be\\ud800cause"}', 400],
    ["a direction override", '{"justification":"be\\u202ecause"}', 400],
    ["a line break", '{"justification":"be\\ncause"}', 400],
    ["one character too many", `{"justification":"${"a".repeat(1001)}"}`, 400],
    ["only spaces", '{"justification":"     "}', 400],
    ["another mode", '{"justification":"because","mode":"NETWORK"}', 400],
    ["5,000 nested arrays", `{"justification":${"[".repeat(5000)}${"]".repeat(5000)}}`, 400],
    ["ten megabytes", `{"justification":"${"a".repeat(10 * 1024 * 1024)}"}`, 413],
    ["a number of a megabyte", `{"justification":${"9".repeat(200_000)}}`, 400],
    ["a text of the maximum length, for an unknown asset", `{"justification":"${"a".repeat(1000)}"}`, 404],
  ];
  for (const [what, body, status] of bodies) {
    test(`${what} gets status ${status}`, async () => {
      const init = { ...initOf(OPERATIONS.find(({ id }) => id === "isolateAsset")!), body };
      const answer = await world.ask(path, await world.session(), init);
      expect([answer.status, await faultOf("post", path, answer)]).toEqual([status, undefined]);
    });
  }

  test("errors name each invalid field once, and do not repeat unknown names", async () => {
    const init = initOf(OPERATIONS.find(({ id }) => id === "isolateAsset")!);
    const told = async (where: string, more: RequestInit) => {
      const answer = await world.ask(where, await world.session(), { ...init, ...more });
      return ((await answer.json()) as { detail?: string }).detail;
    };
    expect(await told(path, { body: '{"justification":""}' })).toBe("justification");
    expect(await told(path, { body: '{"justification":"because","sekret":1}' })).toBe("body");
    expect(await told(`${path}?sekret=1`, {})).toBe("query: unknown parameter");
    const list = await world.ask("/v1/assets?limt=1", await world.session());
    expect(((await list.json()) as { detail?: string }).detail).toBe("query: unknown parameter");
  });

  test("another media type gets 415", async () => {
    const init = initOf(OPERATIONS.find(({ id }) => id === "isolateAsset")!, {
      "content-type": "text/plain",
    });
    expect((await world.ask(path, await world.session(), init)).status).toBe(415);
  });
});

describe("headers of a response", () => {
  /** Names of all response headers of the API. No header repeats a value from the request. */
  const KNOWN = new Set([
    "allow",
    "cache-control",
    "content-length",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "etag",
    "referrer-policy",
    "retry-after",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-request-id",
  ]);
  const MARK = "zq9injected";
  const payloads = [
    `%0d%0ax-${MARK}:1`,
    `%0ax-${MARK}:1`,
    `%E5%98%8A%E5%98%8Dx-${MARK}:1`,
    `"><${MARK}>`,
    `${MARK};a=b`,
  ];

  for (const operation of OPERATIONS) {
    test(`${operation.id} copies nothing from the request into response headers`, async () => {
      const token = await world.session();
      for (const payload of payloads) {
        const path = `${pathOf(operation, operation.params ? encodeURI(payload) : ULID)}?limit=${payload}&x=${payload}`;
        const plain = payload.replaceAll(/%[0-9A-F]{2}/gi, "");
        const headers = { "x-request-id": plain, "idempotency-key": plain, "if-match": plain, origin: plain };
        const answer = await world.ask(path, token, initOf(operation, headers));
        expect(answer.status).toBeLessThan(500);
        for (const [name, value] of answer.headers) {
          expect(KNOWN).toContain(name);
          expect(value).not.toContain(MARK);
        }
        expect(answer.headers.get("content-type")).toMatch(/^application\/(problem\+)?json/);
        expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      }
    });
  }
});

describe("the OpenAPI specification", () => {
  const registered = world.app.routes
    .filter(({ path, method }) => path.startsWith("/v1/") && method !== "ALL")
    .map(({ path, method }) => `${method} ${path}`)
    .filter((route) => !/ \/v1\/(heartbeats|directive|session|enroll|catalog)$/.test(route));
  const specified = Object.entries(SPECIFICATION.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(
      (method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
    ),
  );

  test("contains every route, and nothing that is not a route", () => {
    expect([...new Set(registered)].toSorted()).toEqual(specified.toSorted());
    expect(specified).toHaveLength(OPERATIONS.length);
  });

  test("has no operation name twice", () => {
    const ids = OPERATIONS.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("declares each path parameter in its path and in its schema", () => {
    for (const { path, params } of OPERATIONS) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
      expect(Object.keys(params?.shape ?? {}).toSorted()).toEqual(inPath.toSorted());
    }
  });

  test("matches the methods that each resource names in its 405 response", async () => {
    const token = await world.session();
    for (const path of new Set(OPERATIONS.map((each) => pathOf(each)))) {
      const methods = OPERATIONS.filter((each) => pathOf(each) === path).map(({ method }) =>
        method.toUpperCase(),
      );
      const answer = await world.ask(path, token, { method: "PATCH" });
      expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, methods.join(", ")]);
    }
  });

  test("is served without credentials, and its page runs no script", async () => {
    const served = await world.app.request(`${EDGE_URL}/openapi.json`);
    expect(await served.json()).toMatchObject({ openapi: "3.1.0" });
    const page = await world.app.request(`${EDGE_URL}/reference`);
    const html = await page.text();
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(html).not.toContain("<script");
    expect(html).not.toMatch(/(?:src|href)="https?:/);
    for (const { id, summary } of OPERATIONS) {
      expect(html).toContain(`id="${id}"`);
      expect(html).toContain(summary.replaceAll("'", "&#39;"));
    }
  });
});

test("routeOf() writes a path as the router has it", () => {
  expect(OPERATIONS.map(routeOf)).toContain("/incidents/:incidentId/resolve");
});
