import { describe, expect, test } from "bun:test";
import { errors, exportSPKI, generateKeyPair, importJWK } from "jose";
import { decodePermissions, readClaims } from "../../../../edge/auth/clerk-claims.ts";
import { createIssuerKeys } from "../../../../edge/auth/issuer-keys.ts";
import {
  keyPermissions,
  PERMISSIONS,
  permissionsOf,
  ROLE_MAP_DEFAULT,
  ROLES,
  roleOf,
} from "../../../../edge/auth/permissions.ts";
import { readConfig } from "../../../../edge/config.ts";
import { publicJwk } from "../../../../local/secrets.ts";
import { base64url, utf8 } from "../../../../shared/encoding/bytes.ts";
import { portalPage } from "../../../support/dynamo/dynamo-responses.ts";
import { type Claims, makeAdminApp } from "../../../support/edge/admin-app.ts";
import { EDGE_URL, TENANT_ID } from "../../../support/edge/edge-app.ts";

const world = await makeAdminApp();
const me = async (token: string) => {
  const answer = await world.ask("/v1/me", token);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
};
const nowSeconds = Math.floor(world.state.nowMs / 1000);

describe("authenticate() accepts", () => {
  const good: [string, Claims, object][] = [
    ["a version 2 session", {}, { tenantId: TENANT_ID, userId: "user_mara", role: "admin", via: "session" }],
    [
      "a version 1 session",
      { o: undefined, org_id: TENANT_ID, org_role: "org:responder" },
      { tenantId: TENANT_ID, role: "responder" },
    ],
    ["both versions that agree", { org_id: TENANT_ID, org_role: "org:admin" }, { role: "admin" }],
    ["a session in its last tolerated second", { exp: nowSeconds - 4 }, { role: "admin" }],
    ["a session that begins within the tolerance", { nbf: nowSeconds + 5 }, { role: "admin" }],
    ["a session with no status at all, as version 1 had none", { sts: undefined }, { role: "admin" }],
    ["a plain member, as a viewer", { o: { id: TENANT_ID, rol: "member" } }, { role: "viewer" }],
    ["an impersonated session, reported as such", { act: { sub: "user_eve" } }, { impersonated: true }],
    ["a session without impersonation", { act: null }, { impersonated: false }],
  ];
  for (const [what, claims, wanted] of good) {
    test(what, async () => {
      const { status, body } = await me(await world.session(claims));
      expect(status).toBe(200);
      expect(body).toMatchObject(wanted);
    });
  }
});

describe("authenticate() refuses with 401", () => {
  const bad: [string, Claims][] = [
    ["another issuer", { iss: "https://issuer.evil.test" }],
    ["no issuer", { iss: undefined }],
    ["a missing authorized party", { azp: undefined }],
    ["a foreign authorized party", { azp: "https://evil.test" }],
    ["an authorized party that only begins with the right text", { azp: `${EDGE_URL}.evil.test` }],
    ["an authorized party in a list", { azp: [EDGE_URL] }],
    ["an expired session", { exp: nowSeconds - 6 }],
    ["no expiry", { exp: undefined }],
    ["an expiry in words", { exp: "tomorrow" }],
    ["a session not yet valid", { nbf: nowSeconds + 7 }],
    ["a pending session", { sts: "pending" }],
    ["no subject", { sub: undefined }],
    ["an empty subject", { sub: "" }],
    ["no session id", { sid: undefined }],
    ["no time of issue", { iat: undefined }],
    ["versions that name two organisations", { org_id: "org_b" }],
    ["versions that name two roles", { org_id: TENANT_ID, org_role: "org:viewer" }],
    ["an organisation with the separator of the table", { o: { id: "org_a#ASSET", rol: "admin" } }],
    ["an organisation with a dot", { o: { id: "org.a", rol: "admin" } }],
    ["an overlong organisation", { o: { id: "o".repeat(65), rol: "admin" } }],
    ["an organisation without a role", { o: { id: TENANT_ID } }],
    ["an organisation that is a list", { o: [TENANT_ID] }],
    ["permissions that are no list", { o: undefined, org_id: TENANT_ID, org_permissions: "org:a:b" }],
  ];
  for (const [what, claims] of bad) {
    test(what, async () => {
      expect((await me(await world.session(claims))).status).toBe(401);
    });
  }

  test("a token without a signature, for every spelling of the algorithm `none`", async () => {
    const payload = (await world.session()).split(".")[1]!;
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      const header = base64url(utf8(JSON.stringify({ alg, kid: "issuer-1" })));
      expect((await me(`${header}.${payload}.`)).status).toBe(401);
      expect((await me(`${header}.${payload}.${"A".repeat(342)}`)).status).toBe(401);
    }
  });

  test("HS256 with the issuer's public key as the secret, in each of its formats", async () => {
    const jwk = publicJwk(world.secrets.issuerKey);
    const publicKey = (await importJWK({ ...jwk, alg: "RS256" }, "RS256", {
      extractable: true,
    })) as CryptoKey;
    const forms = [await exportSPKI(publicKey), JSON.stringify(jwk), jwk.n as string];
    for (const form of forms) {
      for (const alg of ["HS256", "HS384", "HS512"]) {
        const token = await world.session({}, { alg, key: utf8(form.padEnd(64, " ")) });
        expect((await me(token)).status).toBe(401);
      }
    }
  });

  test("an unknown key, another key with a known key id, and another algorithm", async () => {
    const stranger = await generateKeyPair("RS256");
    const pss = await generateKeyPair("PS256");
    expect((await me(await world.session({}, { kid: "issuer-2" }))).status).toBe(401);
    expect((await me(await world.session({}, { key: stranger.privateKey }))).status).toBe(401);
    expect((await me(await world.session({}, { alg: "PS256", key: pss.privateKey }))).status).toBe(401);
  });

  test("a modified payload, header or signature, in any byte", async () => {
    const [header, payload, signature] = (await world.session()).split(".") as [string, string, string];
    const swap = (text: string, at: number) =>
      text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
    for (const at of [0, 7, 20]) {
      expect((await me(`${swap(header, at)}.${payload}.${signature}`)).status).toBe(401);
      expect((await me(`${header}.${swap(payload, at)}.${signature}`)).status).toBe(401);
      expect((await me(`${header}.${payload}.${swap(signature, at)}`)).status).toBe(401);
    }
  });

  test("no scheme except Bearer, in any case and with any number of spaces (RFC 9110 §11.1, RFC 6750 §2.1)", async () => {
    const token = await world.session();
    for (const scheme of ["Bearer ", "bearer ", "BEARER ", "bEaReR  "]) {
      const headers = { authorization: `${scheme}${token}` };
      expect((await world.app.request(`${EDGE_URL}/v1/me`, { headers })).status).toBe(200);
    }
  });

  test("credentials that are not bearer credentials", async () => {
    const token = await world.session();
    const headers = [
      token,
      `Bearer${token}`,
      `Bearer\u00a0${token}`,
      `Bearer ${token}x`,
      `Basic ${token}`,
      "Bearer ",
      "Bearer .",
      `Bearer ${"a.".repeat(5000)}`,
    ];
    for (const authorization of headers) {
      const answer = await world.app.request(`${EDGE_URL}/v1/me`, { headers: { authorization } });
      expect(answer.status).toBe(401);
    }
    const cookie = await world.app.request(`${EDGE_URL}/v1/me`, {
      headers: { cookie: `__session=${token}` },
    });
    expect(cookie.status).toBe(401);
  });

  test("a malformed API key without a read of the table, and an API key that does not exist", async () => {
    const id = "01M807NRG7BVMVH9SM4YAEXFPG";
    const secret = "s".repeat(43);
    const before = world.asked.length;
    const malformed = [
      "lzk_",
      `lzk_${TENANT_ID}_${id}_${secret.slice(1)}`,
      `lzk_${TENANT_ID}_${id}_${secret}s`.replace(TENANT_ID, "o".repeat(65)),
      `lzk_${TENANT_ID}_${id.toLowerCase()}_${secret}`,
      `lzk__${id}_${secret}`,
      `lzk_org.a_${id}_${secret}`,
    ];
    for (const key of malformed) expect((await me(key)).status).toBe(401);
    expect(world.asked.length).toBe(before);
    expect((await me(`lzk_${TENANT_ID}_${id}_${secret}`)).status).toBe(401);
    expect(world.asked.length).toBe(before + 1);
  });
});

describe("authenticate() refuses with 403", () => {
  const bad: [string, Claims][] = [
    ["no organisation", { o: undefined }],
    ["a role without a mapping", { o: { id: TENANT_ID, rol: "janitor" } }],
    ["a role named like a member of every object", { o: { id: TENANT_ID, rol: "constructor" } }],
    ["a role named like the prototype", { o: { id: TENANT_ID, rol: "__proto__" } }],
    ["an empty role", { o: { id: TENANT_ID, rol: "" } }],
    ["a role in other upper and lower case", { o: { id: TENANT_ID, rol: "Admin" } }],
  ];
  for (const [what, claims] of bad) {
    test(what, async () => {
      expect((await me(await world.session(claims))).status).toBe(403);
    });
  }
});

/**
 * Failures when the key server is unavailable: the errors of Bun, Deno and workerd, a timeout, and a faulty
 * response.
 */
const AWAY: (() => Promise<Response>)[] = [
  () => Promise.reject(new TypeError("fetch failed")),
  () => Promise.reject(new Error("Network connection lost.")),
  () => Promise.reject(new DOMException("The operation timed out.", "TimeoutError")),
  async () => new Response("down", { status: 503 }),
  async () => new Response("<html>"),
];
test("authenticate() returns 503, not 401, while the provider's keys are unavailable", async () => {
  for (const fetch of AWAY) {
    const away = await makeAdminApp();
    const { clock, log, instruments } = away.deps;
    const url = "https://issuer.test/jwks";
    away.deps.admin.keys = createIssuerKeys({ url, fetch, clock, log, instruments, shared: true }).get;
    expect((await away.ask("/v1/me", await away.session())).status).toBe(503);
  }
  const other = await makeAdminApp();
  other.deps.admin.keys = async () => {
    throw new errors.JWKSNoMatchingKey();
  };
  expect((await other.ask("/v1/me", await other.session())).status).toBe(401);
});

describe("decodePermissions()", () => {
  const cases: [string, string | undefined, string | undefined, string | undefined, string[]][] = [
    ["reads bits from the least", "o:hosts", "read,isolate", "1", ["org:hosts:read"]],
    ["reads the second bit", "o:hosts", "read,isolate", "2", ["org:hosts:isolate"]],
    ["reads several", "o:hosts", "read,isolate", "3", ["org:hosts:read", "org:hosts:isolate"]],
    ["a mask of nought grants nothing", "o:hosts", "read,isolate", "0", []],
    ["bits beyond the names grant nothing", "o:hosts", "read", "254", []],
    ["and do not hide those within", "o:hosts", "read", "255", ["org:hosts:read"]],
    ["each feature has its mask", "o:a,o:b", "x,y", "1,2", ["org:a:x", "org:b:y"]],
    ["a feature without a mask grants nothing", "o:a,o:b", "x", "1", ["org:a:x"]],
    ["a mask without a feature grants nothing", "o:a", "x", "1,1", ["org:a:x"]],
    ["features of the user are not counted", "u:me,o:a", "x,y", "2", ["org:a:y"]],
    ["features of both are", "ou:a", "x", "1", ["org:a:x"]],
    ["spaces are let be", " o:a , o:b ", " x , y ", " 1 , 2 ", ["org:a:x", "org:b:y"]],
    ["a negative mask is none", "o:a", "x", "-1", []],
    ["a hexadecimal mask is none", "o:a", "x", "0x1", []],
    ["a broken mask is none", "o:a", "x", "1.0", []],
    ["an exponent is none", "o:a", "x", "1e0", []],
    ["an empty mask is none", "o:a,o:b", "x", ",1", ["org:b:x"]],
    ["an overlong mask is none", "o:a", "x", "1".repeat(101), []],
    ["a feature without scope is none", "a", "x", "1", []],
    ["a feature with two colons is none", "o:a:b", "x", "1", []],
    ["nothing comes of nothing", undefined, "x", "1", []],
    ["nor without names", "o:a", undefined, "1", []],
    ["nor without masks", "o:a", "x", undefined, []],
    ["an empty name is none", "o:a", ",x", "3", ["org:a:x"]],
  ];
  for (const [what, fea, per, fpm, wanted] of cases) {
    test(what, () => expect(decodePermissions(fea, per, fpm)).toEqual(wanted));
  }

  test("reads the 61st permission, which a double cannot represent together with the first", () => {
    const names = Array.from({ length: 61 }, (_, i) => `p${i}`).join(",");
    expect(decodePermissions("o:a", names, String(2n ** 60n + 1n))).toEqual(["org:a:p0", "org:a:p60"]);
  });
});

describe("roles", () => {
  test("roleOf() returns the highest role of all roles and permissions", () => {
    const map = { ...ROLE_MAP_DEFAULT, "org:hosts:isolate": "responder" } as const;
    expect(roleOf(["viewer", "org:hosts:isolate"], map)).toBe("responder");
    expect(roleOf(["admin", "org:hosts:isolate"], map)).toBe("admin");
    expect(roleOf(["org:hosts:isolate"], map)).toBe("responder");
    expect(roleOf(["org:hosts:isolat"], map)).toBeUndefined();
    expect(roleOf([], map)).toBeUndefined();
    expect(roleOf(["toString", "hasOwnProperty"], map)).toBeUndefined();
  });

  test("readClaims() reads permissions from the same claims version as the organisation", () => {
    const base = { sub: "u", sid: "s", azp: "p" };
    const second = { ...base, o: { id: "org_a", rol: "member", per: "isolate", fpm: "1" }, fea: "o:hosts" };
    const both = { ...second, org_id: "org_a", org_permissions: ["org:hosts:everything"] };
    const first = { ...base, org_id: "org_a", org_role: "org:member", org_permissions: ["org:hosts:read"] };
    const names = (claims: object) => {
      const read = readClaims(claims);
      return read.ok ? read.value.names : [];
    };
    expect(names(second)).toEqual(["member", "org:hosts:isolate"]);
    expect(names(both)).toEqual(["member", "org:hosts:isolate"]);
    expect(names(first)).toEqual(["member", "org:hosts:read"]);
  });

  test("a configured permission makes a member a responder in a real request", async () => {
    const mapped = await makeAdminApp();
    mapped.deps.admin.roles = { member: "viewer", "org:hosts:isolate": "responder" };
    const claims = { o: { id: TENANT_ID, rol: "member", per: "read,isolate", fpm: "3" }, fea: "o:hosts" };
    const answer = await mapped.ask("/v1/me", await mapped.session(claims));
    expect(await answer.json()).toMatchObject({ role: "responder" });
    const lesser = { ...claims, o: { ...claims.o, fpm: "1" } };
    const refused = await mapped.ask("/v1/me", await mapped.session(lesser));
    expect(await refused.json()).toMatchObject({ role: "viewer" });
  });

  test("each role has all permissions of the previous role, and more", () => {
    const sizes = ROLES.map((role) => permissionsOf(role).length);
    expect(sizes).toEqual([...new Set(sizes)].toSorted((a, b) => a - b));
    expect(permissionsOf("viewer")).toEqual(["read", "read-events"]);
    expect(permissionsOf("admin").toSorted()).toEqual([...PERMISSIONS].toSorted());
  });

  test("keyPermissions() never lets an API key approve requests or manage keys, and scopes only remove permissions", () => {
    for (const role of ROLES) {
      for (const scopes of [undefined, [...PERMISSIONS]]) {
        const given = keyPermissions(role, scopes);
        expect(given).not.toContain("approve");
        expect(given).not.toContain("manage-keys");
        expect(given.every((each) => permissionsOf(role).includes(each))).toBe(true);
      }
    }
    expect(keyPermissions("admin", ["contain"])).toEqual(["contain"]);
    expect(keyPermissions("viewer", ["contain"])).toEqual([]);
  });

  test("readConfig() reads the role mapping as JSON, and rejects an unknown role", () => {
    const complain = (roles: string) => {
      try {
        readConfig({ LZ_ADMIN_ROLES: roles });
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(complain('{"owner":"admin"}')).not.toContain("LZ_ADMIN_ROLES");
    expect(complain('{"owner":"root"}')).toContain("LZ_ADMIN_ROLES");
    expect(complain("owner=admin")).toContain("LZ_ADMIN_ROLES");
  });
});

test("a captive portal in place of the key server counts as an outage: the response is 503 and no session is accepted", async () => {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => portalPage() });
  try {
    const world = await makeAdminApp();
    const { clock, log, instruments } = world.deps;
    const issuer = { url: server.url.href, fetch: (url: string, init: RequestInit) => fetch(url, init) };
    world.deps.admin.keys = createIssuerKeys({ ...issuer, clock, log, instruments, shared: true }).get;
    expect((await world.ask("/v1/me", await world.session())).status).toBe(503);
  } finally {
    await server.stop(true);
  }
});
