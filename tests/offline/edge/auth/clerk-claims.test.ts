import { describe, expect, test } from "bun:test";
import { decodePermissions, readClaims } from "../../../../edge/auth/clerk-claims.ts";

const V1 = { sub: "user_1", sid: "sess_1", azp: "https://a.test", org_id: "org_a", org_role: "org:admin" };
const V2 = { sub: "user_1", sid: "sess_1", o: { id: "org_a", rol: "admin" } };
const codeOf = (payload: unknown): string | undefined => {
  const read = readClaims(payload);
  return read.ok ? undefined : read.code;
};

describe("readClaims()", () => {
  test("reads both versions of a token", () => {
    const said = {
      userId: "user_1",
      sessionId: "sess_1",
      tenantId: "org_a",
      names: ["admin"],
      impersonated: false,
    };
    expect(readClaims(V1)).toEqual({ ok: true, value: { ...said, authorizedParty: "https://a.test" } });
    expect(readClaims(V2)).toEqual({ ok: true, value: { ...said, authorizedParty: undefined } });
    expect(readClaims({ ...V1, ...V2 })).toMatchObject({ ok: true });
  });

  test("accepts fields up to their limits and rejects longer ones", () => {
    const long = (length: number) => "a".repeat(length);
    const fields: [number, (text: string) => object][] = [
      [200, (sub) => ({ ...V1, sub })],
      [200, (sid) => ({ ...V1, sid })],
      [200, (org_role) => ({ ...V1, org_role })],
      [200, (name) => ({ ...V1, org_permissions: [name] })],
      [200, (rol) => ({ ...V2, o: { ...V2.o, rol } })],
      [4000, (per) => ({ ...V2, o: { ...V2.o, per } })],
      [4000, (fpm) => ({ ...V2, o: { ...V2.o, fpm } })],
      [4000, (fea) => ({ ...V2, fea })],
    ];
    for (const [max, make] of fields) {
      expect(codeOf(make(long(max)))).toBeUndefined();
      expect(codeOf(make(long(max + 1)))).toBe("admin.unauthenticated");
    }
    expect(codeOf({ ...V1, org_permissions: Array(200).fill("p") })).toBeUndefined();
    expect(codeOf({ ...V1, org_permissions: Array(201).fill("p") })).toBe("admin.unauthenticated");
    for (const missing of [{ sub: "" }, { sid: "" }, { sub: undefined }, { sid: undefined }])
      expect(codeOf({ ...V1, ...missing })).toBe("admin.unauthenticated");
  });

  test("rejects a session that is pending or contradicts itself, and requires an organisation", () => {
    expect(codeOf({ ...V1, sts: "pending" })).toBe("admin.unauthenticated");
    expect(codeOf({ ...V1, sts: "active" })).toBeUndefined();
    expect(codeOf({ ...V2, org_id: "org_b" })).toBe("admin.unauthenticated");
    expect(codeOf({ ...V2, org_role: "org:viewer" })).toBe("admin.unauthenticated");
    expect(codeOf({ ...V2, org_role: "org:admin" })).toBeUndefined();
    for (const none of ["", null, undefined])
      expect(codeOf({ ...V1, org_id: none })).toBe("admin.no-organisation");
    expect(codeOf({ ...V1, org_id: undefined, o: null })).toBe("admin.no-organisation");
  });

  test("reports impersonation, and removes the prefix of a role", () => {
    const value = (more: object) => (readClaims({ ...V1, ...more }) as { value: object }).value;
    expect(value({ act: { sub: "x" } })).toMatchObject({ impersonated: true });
    expect(value({ act: null })).toMatchObject({ impersonated: false });
    expect(value({ org_role: "a:org:b" })).toMatchObject({ names: ["a:org:b"] });
    expect(value({ org_role: null })).toMatchObject({ names: [""] });
  });
});

test("decodePermissions() accepts trimmed lists and masks of 100 digits, and grants no permission from partly invalid claims", () => {
  expect(decodePermissions(" o:a , uo:b ", " read , write ", " 1 , 2 ")).toEqual([
    "org:a:read",
    "org:b:write",
  ]);
  expect(decodePermissions("u:a,o:b", "read", "1")).toEqual(["org:b:read"]);
  expect(decodePermissions("o:a", "read", "1".padStart(100, "0"))).toEqual(["org:a:read"]);
  expect(decodePermissions("o:a", "read", "1".padStart(101, "0"))).toEqual([]);
  for (const wrong of ["x1", "1x", "-1", ""])
    expect(decodePermissions("o:a,o:b", "read", `${wrong},0`)).toEqual([]);
  expect(decodePermissions("o:,o:b", "read", "1,1")).toEqual(["org:b:read"]);
  expect(decodePermissions("o:a:c", "read", "1")).toEqual([]);
  expect(decodePermissions("o:a", ",read", "3")).toEqual(["org:a:read"]);
  for (const missing of [0, 1, 2]) {
    const given = ["o:a", "read", "1"].map((text, at) => (at === missing ? undefined : text));
    expect(decodePermissions(given[0], given[1], given[2])).toEqual([]);
  }
});
