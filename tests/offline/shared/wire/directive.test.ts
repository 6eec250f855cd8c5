import { expect, test } from "bun:test";
import type { JSONWebKeySet } from "jose";
import { SignJWT } from "jose";
import { z } from "zod";
import { makeSecrets, publicJwk } from "../../../../local/secrets.ts";
import {
  DIRECTIVE_LIFETIME_SECONDS,
  type Directive,
  signDirective,
  verifyDirective,
} from "../../../../shared/wire/directive.ts";
import type { ControlKey } from "../../../../shared/wire/sign-statement.ts";

const ASSET = "01M807NRG7BVMVH9SM4YAEXFPG";
const NOW_MS = 1_790_000_000_000;
const CLAIMS: Directive = {
  tenant: "org_a",
  asset: ASSET,
  generation: 3,
  action: "isolate",
  mode: "network",
  iat: NOW_MS / 1000,
  exp: NOW_MS / 1000 + 60,
};
const SELF = { tenantId: "org_a", assetId: ASSET };

async function control(): Promise<{ key: ControlKey; jwks: JSONWebKeySet }> {
  const { controlKey } = await makeSecrets();
  const { importJWK } = await import("jose");
  const key = (await importJWK(controlKey, "EdDSA")) as CryptoKey;
  return { key: { kid: "control-1", key }, jwks: { keys: [publicJwk(controlKey)] } };
}

test("verifyDirective() returns the claims that the control key signed", async () => {
  const { key, jwks } = await control();
  expect(await verifyDirective(await signDirective(key, CLAIMS), jwks, SELF, NOW_MS)).toEqual(CLAIMS);
});

test("verifyDirective() refuses another asset, tenant, key or type, and an expired directive", async () => {
  const { key, jwks } = await control();
  const jws = await signDirective(key, CLAIMS);
  const claims = { ...CLAIMS, iss: "lifecyclezero" };
  const otherType = await new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", typ: "lz-enrolment+jwt", kid: "control-1" })
    .sign(key.key);
  const publicKeyAsSecret = await new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "lz-directive+jwt", kid: "control-1" })
    .sign(new TextEncoder().encode(JSON.stringify(jwks)));
  const { jwks: otherKeys } = await control();
  const cases: Parameters<typeof verifyDirective>[] = [
    [jws, jwks, { ...SELF, assetId: "01AAAAAAAAAAAAAAAAAAAAAAAA" }, NOW_MS],
    [jws, jwks, { ...SELF, tenantId: "org_b" }, NOW_MS],
    [jws, otherKeys, SELF, NOW_MS],
    [jws, jwks, SELF, NOW_MS + 61_000],
    [`${jws.slice(0, -4)}AAAA`, jwks, SELF, NOW_MS],
    [otherType, jwks, SELF, NOW_MS],
    [publicKeyAsSecret, jwks, SELF, NOW_MS],
  ];
  for (const refused of cases) await expect(verifyDirective(...refused)).rejects.toThrow();
});

test("verifyDirective() accepts stopEnginesBy only for an isolation in mode stop-engines", async () => {
  const { key, jwks } = await control();
  const stop = { ...CLAIMS, mode: "stop-engines" } as const;
  for (const claims of [
    stop,
    { ...stop, stopEnginesBy: "terminate" },
    { ...stop, stopEnginesBy: "suspend" },
  ]) {
    const jws = await signDirective(key, claims as Directive);
    expect(await verifyDirective(jws, jwks, SELF, NOW_MS)).toEqual(claims as Directive);
  }
  const misplaced = "stopEnginesBy is only allowed for an isolation in mode stop-engines";
  for (const [wrong, message] of [
    [{ ...stop, stopEnginesBy: "kill" }, "stopEnginesBy"],
    [{ ...stop, stopEnginesBy: null }, "stopEnginesBy"],
    [{ ...stop, stopEnginesBy: "terminate", action: "release" }, misplaced],
    [{ ...stop, stopEnginesBy: "terminate", mode: "network" }, misplaced],
    [{ ...stop, stopEnginesBy: "suspend", mode: "observe" }, misplaced],
  ] as const) {
    const jws = await signDirective(key, wrong as Directive);
    await expect(verifyDirective(jws, jwks, SELF, NOW_MS)).rejects.toThrow(message);
  }
});

test("an older agent reads a directive to terminate as one to suspend", () => {
  // The schema of an older release ignores unknown members, so the isolation stays valid for it.
  const before = z.object({ generation: z.int(), action: z.enum(["isolate", "release"]), mode: z.string() });
  const claims = { ...CLAIMS, mode: "stop-engines", stopEnginesBy: "terminate" };
  expect(before.parse(claims)).toEqual({ generation: 3, action: "isolate", mode: "stop-engines" });
});

test("verifyDirective() refuses invalid claims", async () => {
  const { key, jwks } = await control();
  for (const wrong of [{ generation: 0 }, { action: "wipe" }, { mode: "delete" }, { exp: undefined }]) {
    const jws = await signDirective(key, { ...CLAIMS, ...wrong } as Directive);
    await expect(verifyDirective(jws, jwks, SELF, NOW_MS)).rejects.toThrow();
  }
});

test("a directive is valid for 30 days, starts with generation 1, and has a notice of up to 300 characters", async () => {
  expect(DIRECTIVE_LIFETIME_SECONDS).toBe(2_592_000);
  const { key, jwks } = await control();
  const verify = async (more: Partial<Directive>) =>
    verifyDirective(await signDirective(key, { ...CLAIMS, ...more }), jwks, SELF, NOW_MS);
  for (const more of [{ generation: 1 }, { notice: "n".repeat(300) }, { action: "release" }] as const)
    expect(await verify(more)).toEqual({ ...CLAIMS, ...more });
  for (const wrong of [{ generation: 1.5 }, { notice: "n".repeat(301) }, { notice: "" }, { iat: 1.5 }])
    await expect(verify(wrong)).rejects.toThrow();
});
