import { describe, expect, test } from "bun:test";
import { importJWK } from "jose";
import { createSessionKeys } from "../../../../edge/heartbeat/session-key-cache.ts";
import { makeSecrets, publicJwk } from "../../../../local/secrets.ts";
import { makeHeartbeat, sessionSigner, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { base64url } from "../../../../shared/encoding/bytes.ts";
import { signDirective, verifyDirective } from "../../../../shared/wire/directive.ts";
import { type PinnedKeys, signKeySet, verifyKeySet } from "../../../../shared/wire/key-set.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../../support/edge/edge-app.ts";

const newSecret = async (version: string) => ({
  version,
  key: await importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign"]),
});

describe("rotation of the edge secret", () => {
  test("rejects no heartbeat under load while nodes have the old secret, both secrets, or the new secret", async () => {
    const [old, fresh] = [await newSecret("v1"), await newSecret("v2")];
    const steps = [[old], [old, fresh], [fresh, old]] as const;
    const { state } = await makeEdgeApp();
    const expiresAtSeconds = state.nowMs / 1000 + 3600;
    const signers = [];
    for (const secrets of steps) {
      // The keys of a second node that is one rotation step behind, as happens during every rollout.
      const behind = steps[Math.max(0, steps.indexOf(secrets) - 1)]!;
      const nodes = await Promise.all(
        [secrets, behind].map((known) => makeEdgeApp({ sessionKeys: createSessionKeys([...known]) })),
      );
      for (const node of nodes) {
        const { keyid, bytes } = await node.deps.sessionKeys.issue({
          tenantId: TENANT_ID,
          assetId: ASSET_ID,
          expiresAtSeconds,
        });
        signers.push(await sessionSigner({ keyid, key: base64url(bytes) }));
      }
      for (const node of nodes) {
        const beats = signers.map(async (signer, i) => {
          const body = JSON.stringify(makeHeartbeat(i, state.nowMs, "host"));
          return (
            await node.app.request(
              await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000),
            )
          ).status;
        });
        expect(new Set(await Promise.all(beats))).toEqual(new Set([202]));
      }
    }
  });

  test("rejects sessions of the old secret once it is dropped, so that agents open new ones", async () => {
    const [old, fresh] = [await newSecret("v1"), await newSecret("v2")];
    const { app, state } = await makeEdgeApp({ sessionKeys: createSessionKeys([fresh]) });
    const expiresAtSeconds = state.nowMs / 1000 + 3600;
    const issued = await createSessionKeys([old]).issue({
      tenantId: TENANT_ID,
      assetId: ASSET_ID,
      expiresAtSeconds,
    });
    const signer = await sessionSigner({ keyid: issued.keyid, key: base64url(issued.bytes) });
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    const answer = await app.request(
      await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000),
    );
    expect(answer.status).toBe(401);
  });
});

describe("rotation of the control key", () => {
  const NOW_MS = 1_790_000_000_000;
  const control = async (kid: string) => {
    const { controlKey } = await makeSecrets();
    const jwk = { ...controlKey, kid };
    return {
      kid,
      key: (await importJWK(jwk, "EdDSA")) as CryptoKey,
      public: publicJwk(jwk) as PinnedKeys["keys"][0],
    };
  };

  test("an agent with the old key pinned accepts the new key from a set signed by the old one, and applies its directives", async () => {
    const [old, fresh] = [await control("control-1"), await control("control-2")];
    const set = await signKeySet(old, { keys: [fresh.public, old.public] }, NOW_MS / 1000);
    const taken = await verifyKeySet(set, { keys: [old.public] }, NOW_MS);
    expect(taken).toEqual({ keys: [fresh.public, old.public], issuedAtSeconds: NOW_MS / 1000 });
    const claims = {
      tenant: TENANT_ID,
      asset: ASSET_ID,
      generation: 1,
      action: "isolate",
      mode: "observe",
    } as const;
    const directive = await signDirective(fresh, { ...claims, iat: NOW_MS / 1000, exp: NOW_MS / 1000 + 60 });
    const self = { tenantId: TENANT_ID, assetId: ASSET_ID };
    expect(await verifyDirective(directive, { keys: taken.keys }, self, NOW_MS)).toMatchObject(claims);
  });

  test("a set that no pinned key has signed changes nothing, and neither does a directive in place of a set", async () => {
    const [old, stranger] = [await control("control-1"), await control("control-1")];
    const set = await signKeySet(stranger, { keys: [stranger.public] }, NOW_MS / 1000);
    await expect(verifyKeySet(set, { keys: [old.public] }, NOW_MS)).rejects.toThrow();
    const claims = {
      tenant: TENANT_ID,
      asset: ASSET_ID,
      generation: 1,
      action: "isolate",
      mode: "observe",
    } as const;
    const directive = await signDirective(old, { ...claims, iat: 1, exp: NOW_MS });
    await expect(verifyKeySet(directive, { keys: [old.public] }, NOW_MS)).rejects.toThrow();
  });
});
