import { metrics, trace } from "@opentelemetry/api";
import { createLocalJWKSet, generateKeyPair, importJWK } from "jose";
import { createApp } from "../../../edge/app.ts";
import { ROLE_MAP_DEFAULT } from "../../../edge/auth/permissions.ts";
import type { Deps } from "../../../edge/deps.ts";
import { createSessionKeys } from "../../../edge/heartbeat/session-key-cache.ts";
import { createValidatedStates } from "../../../edge/heartbeat/validated-state-cache.ts";
import { createRateLimit } from "../../../edge/http/rate-limit.ts";
import { createRequestIds } from "../../../edge/http/request-id.ts";
import { createInstruments } from "../../../edge/platform/telemetry.ts";
import { webHashing } from "../../../edge/runtime/hashing.ts";
import { ISSUER } from "../../../local/issuer.ts";
import { makeSecrets, publicJwk } from "../../../local/secrets.ts";
import { sessionSigner } from "../../../lz/platform/simulated-agents.ts";
import { createVerifier } from "../../../shared/authority/verify-authority.ts";
import { base64url, fromUtf8 } from "../../../shared/encoding/bytes.ts";
import type { Entry } from "../../../shared/queue/message.ts";
import type { Dynamo } from "../../../shared/table/dynamo.ts";
import { importHmacKey, type Signer } from "../../../shared/wire/signature.ts";
import { believing } from "../control/authority.ts";

export const EDGE_URL = "http://edge.test";
export const TENANT_ID = "org_a";
export const ASSET_ID = "01M807NRG7BVMVH9SM4YAEXFPG";

/** Creates the app with a clock that the test controls, a queue that records messages, and an empty table. */
export async function makeEdgeApp(more: Partial<Deps> = {}) {
  const secrets = await makeSecrets();
  const state = {
    nowMs: 1_790_000_000_000,
    queued: [] as Entry[],
    nudged: [] as string[],
    logged: [] as string[],
  };
  const clock = () => state.nowMs;
  const issuer = await generateKeyPair("RS256");
  const edgeSecret = await importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign"]);
  const sessionKeys = createSessionKeys([{ version: "v1", key: edgeSecret }]);
  const controlJwks = { keys: [publicJwk(secrets.controlKey)] };
  const log: Deps["log"] = (level, event, fields) =>
    void state.logged.push(JSON.stringify({ level, event, ...fields }));
  const dynamo = more.dynamo ?? ((async () => ({})) as unknown as Dynamo);
  const verifier = createVerifier(controlJwks);
  const deps: Deps = {
    role: "all",
    authority: believing(dynamo, verifier, more.table),
    clock,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    requestId: createRequestIds((length) => crypto.getRandomValues(new Uint8Array(length))),
    log,
    dynamo,
    table: "t",
    instruments: createInstruments(metrics.getMeter("test"), trace.getTracer("test")),
    readiness: async () => ({ queue: "here", table: "here" }),
    enqueue: async (_tenant, entry) => void state.queued.push({ ...entry, body: fromUtf8(entry.body) }),
    nudge: async (tenantId) => void state.nudged.push(tenantId),
    areMessageGroupsRefused: () => false,
    credentialProblem: () => undefined,
    allowPrivateWebhooks: false,
    pendingActions: { of: async () => new Map(), forget: () => {}, learn: () => {}, watch: () => () => {} },
    sessionKeys,
    hashing: webHashing,
    validatedStates: createValidatedStates(webHashing),
    timesOutSlowBodies: false,
    controlJwks,
    catalogue: { isLoaded: () => false, newest: undefined },
    controlKey: { kid: "control-1", key: (await importJWK(secrets.controlKey, "EdDSA")) as CryptoKey },
    admin: {
      issuer: ISSUER,
      parties: [EDGE_URL],
      keys: createLocalJWKSet({ keys: [publicJwk(secrets.issuerKey)] }),
      keysState: () => "fresh",
      signInUrl: "http://issuer.test/sign-in",
      cursorKeys: [await importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign", "verify"])],
      roles: ROLE_MAP_DEFAULT,
      csrfKeys: [await importHmacKey(crypto.getRandomValues(new Uint8Array(32)), ["sign", "verify"])],
    },
    limits: {
      device: createRateLimit({ name: "device", quota: 1e6, windowSeconds: 1 }, clock),
      tenant: createRateLimit({ name: "tenant", quota: 1e6, windowSeconds: 1 }, clock),
      address: createRateLimit({ name: "address", quota: 1e6, windowSeconds: 1 }, clock),
      session: createRateLimit({ name: "session", quota: 1e6, windowSeconds: 1 }, clock),
      enrolment: createRateLimit({ name: "enrolment", quota: 1e6, windowSeconds: 1 }, clock),
      catalogue: createRateLimit({ name: "catalogue", quota: 1e6, windowSeconds: 1 }, clock),
      admin: createRateLimit({ name: "admin", quota: 1e6, windowSeconds: 1 }, clock),
    },
    sourceIp: () => "192.0.2.1",
    pause: async () => {},
    ...more,
  };
  const app = createApp(deps);
  const openSession = async (assetId = ASSET_ID, tenantId = TENANT_ID): Promise<Signer> => {
    const expiresAtSeconds = Math.floor(state.nowMs / 1000) + 3600;
    const { keyid, bytes } = await sessionKeys.issue({ tenantId, assetId, expiresAtSeconds });
    return sessionSigner({ keyid, key: base64url(bytes) });
  };
  return { app, deps, state, secrets, openSession, otherKey: issuer.privateKey };
}
