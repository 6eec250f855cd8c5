import { expect, test } from "bun:test";
import { csrfToken, isCsrfToken } from "../../../../edge/dashboard/session/csrf.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";

const key = () => importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign", "verify"]);

test("a form from a node with another first secret is accepted while both secrets are known, and not afterwards", async () => {
  const [old, fresh] = [await key(), await key()];
  const admin = { tenantId: "org_a", userId: "user_mara", sessionId: "sess_1" };
  const node = (...csrfKeys: [CryptoKey, ...CryptoKey[]]) => ({
    clock: () => 1_790_000_000_000,
    admin: { csrfKeys },
  });
  for (const [made, checked, isTaken] of [
    [node(old), node(old), true],
    [node(old), node(old, fresh), true],
    [node(old, fresh), node(fresh, old), true],
    [node(fresh, old), node(old, fresh), true],
    [node(old), node(fresh), false],
  ] as const)
    expect(await isCsrfToken(await csrfToken(admin, made), admin, checked)).toBe(isTaken);
});
