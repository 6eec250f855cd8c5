import { afterEach, describe, expect, test } from "bun:test";
import { type Identity, loadIdentity, saveIdentity } from "../../../../agent/identity/device-identity.ts";
import { takeKeySet } from "../../../../agent/identity/pinned-keys.ts";
import { signDirective, verifyDirective } from "../../../../shared/wire/directive.ts";
import { signKeySet } from "../../../../shared/wire/key-set.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
  removeTemporaryDirectories,
  SETTINGS,
  TENANT,
  temporaryDirectory,
} from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const NOW_MS = 1_800_000_000_000;
const AT = NOW_MS / 1000;

async function keyOf(kid: string) {
  const { control, jwks } = await controlKeys();
  return { control: { ...control, kid }, public: { ...jwks.keys[0]!, kid } };
}

const identityWith = (keys: Identity["jwks"]["keys"]): Identity => ({
  v: 1,
  edgeUrl: "https://edge.test",
  employeeId: "e1",
  tenantId: TENANT,
  assetId: ASSET,
  jwks: { keys },
  settings: SETTINGS,
  settingsVersion: 1,
});

describe("takeKeySet()", () => {
  test("pins new keys that are signed by a pinned key, and accepts directives of a new key from then on", async () => {
    const [old, fresh] = [await keyOf("c1"), await keyOf("c2")];
    const before = identityWith([old.public]);
    const claims = directiveClaims();
    const directive = await signDirective(fresh.control, claims);
    const self = { tenantId: TENANT, assetId: ASSET };
    expect(verifyDirective(directive, before.jwks, self, claims.iat * 1000)).rejects.toThrow();
    const jws = await signKeySet(old.control, { keys: [old.public, fresh.public] }, AT);
    const taken = await takeKeySet(before, jws, NOW_MS);
    if (taken.is !== "taken") throw new Error(taken.is);
    expect(taken.identity.jwks.keys.map(({ kid }) => kid)).toEqual(["c1", "c2"]);
    expect(await verifyDirective(directive, taken.identity.jwks, self, claims.iat * 1000)).toMatchObject({
      generation: 1,
    });
    const directory = temporaryDirectory();
    saveIdentity(directory, taken.identity);
    expect(loadIdentity(directory)).toEqual(taken.identity);
  });

  test("follows a complete rotation: the old key signs its successor and is not accepted afterwards", async () => {
    const [old, fresh] = [await keyOf("c1"), await keyOf("c2")];
    const onlyFresh = await signKeySet(old.control, { keys: [fresh.public] }, AT);
    const taken = await takeKeySet(identityWith([old.public]), onlyFresh, NOW_MS);
    if (taken.is !== "taken") throw new Error(taken.is);
    // Every session response repeats the key set, although the key that signed it is no longer pinned.
    expect(await takeKeySet(taken.identity, onlyFresh, NOW_MS)).toEqual({ is: "known" });
    const back = await signKeySet(old.control, { keys: [old.public] }, AT + 10);
    expect(await takeKeySet(taken.identity, back, NOW_MS + 10_000)).toMatchObject({
      is: "refused",
      reason: "no pinned control key signed it",
    });
  });

  test("rejects a set with an unknown signature, a changed set, and a document that is not a key set", async () => {
    const [old, stranger] = [await keyOf("c1"), await keyOf("c1")];
    const before = identityWith([old.public]);
    const forged = await signKeySet(stranger.control, { keys: [stranger.public] }, AT);
    const good = await signKeySet(old.control, { keys: [old.public] }, AT);
    const directive = await signDirective(old.control, directiveClaims());
    for (const jws of [forged, `${good}A`, good.slice(0, -4), directive, "", "a.b.c"]) {
      expect(await takeKeySet(before, jws, NOW_MS)).toMatchObject({ is: "refused" });
    }
    expect(await takeKeySet(before, good, NOW_MS)).toMatchObject({ is: "taken" });
  });

  test.each([
    [-1, "refused"],
    [0, "refused"],
    [1, "taken"],
  ])("a set issued %d s after the last accepted one is %s", async (seconds, is) => {
    const [old, fresh] = [await keyOf("c1"), await keyOf("c2")];
    const both = await signKeySet(old.control, { keys: [old.public, fresh.public] }, AT);
    const taken = await takeKeySet(identityWith([old.public]), both, NOW_MS);
    if (taken.is !== "taken") throw new Error(taken.is);
    const next = await signKeySet(fresh.control, { keys: [fresh.public] }, AT + seconds);
    expect((await takeKeySet(taken.identity, next, NOW_MS + 5000)).is).toBe(is as "taken");
  });
});
