import { metrics, trace } from "@opentelemetry/api";
import { importJWK } from "jose";
import { createAuthority } from "../shared/authority/read-authority.ts";
import { createVerifier } from "../shared/authority/verify-authority.ts";
import { utf8 } from "../shared/encoding/bytes.ts";
import { createLog } from "../shared/observability/log.ts";
import { importHmacKey } from "../shared/wire/signature.ts";
import { createIssuerKeys } from "./auth/issuer-keys.ts";
import { createCatalogueSource } from "./catalogue/catalogue-source.ts";
import type { EdgeConfig } from "./config.ts";
import type { ChooseCredentials } from "./credentials/settings.ts";
import { staticCredentials } from "./credentials/static-keys.ts";
import type { Deps } from "./deps.ts";
import { createHeldPolls } from "./directive/long-polls.ts";
import { createOpenActions } from "./heartbeat/pending-actions.ts";
import { packed, sendEach } from "./heartbeat/queue-batcher.ts";
import { createSessionKeys, type EdgeSecret } from "./heartbeat/session-key-cache.ts";
import { createSeenStates } from "./heartbeat/validated-state-cache.ts";
import { clientIp } from "./http/client-ip.ts";
import { createLeaving } from "./http/graceful-shutdown.ts";
import { createRateLimit } from "./http/rate-limit.ts";
import { createReadiness } from "./http/readiness.ts";
import { createRequestIds } from "./http/request-id.ts";
import { type AwsAccess, createAwsCall, createDynamo, dynamoUrl, reachTable } from "./platform/aws-client.ts";
import { createTurns } from "./platform/keyed-mutex.ts";
import { serves } from "./platform/node-role.ts";
import { createQueueClient, type QueueClient } from "./platform/queue-client.ts";
import { createInstruments } from "./platform/telemetry.ts";
import { type Hashing, webHashing } from "./runtime/hashing.ts";

/** What a runtime's entry file has to say; everything else is the same on all three. */
export type Runtime = {
  sourceIp: Deps["sourceIp"];
  /** The runtime ends idle connections by itself. */
  timesOutSlowBodies?: boolean;
  /** Where AWS credentials come from. Default: static keys alone. */
  chooseCredentials?: ChooseCredentials;
  /** Default: WebCrypto. */
  hashing?: Hashing;
  /** Lets a connection be silent for longer than the runtime would. */
  keepOpen?: Deps["keepOpen"];
  /** False on workerd: a request may not await what another one started. */
  sharesIo: boolean;
};

/** Builds the dependencies from configuration. This and the entry files read time and randomness; the app does not. */
export async function assemble(config: EdgeConfig, runtime: Runtime): Promise<Deps> {
  const clock = () => Date.now();
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const hashing = runtime.hashing ?? webHashing;
  const log = createLog("edge", clock, (line) => console.log(line));
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const chooseCredentials = runtime.chooseCredentials ?? staticCredentials;
  const credentials = chooseCredentials(config, { clock, random: Math.random, log });
  // The source and its faults are logged when the node starts, not only with the first request.
  void credentials.get().catch(() => {});
  const access = { credentials, region: config.AWS_REGION, pause };
  const dynamo = createDynamo(createAwsCall(access, "dynamodb", dynamoUrl(config)), () =>
    crypto.randomUUID(),
  );
  const instruments = createInstruments(
    metrics.getMeter("lifecyclezero.edge"),
    trace.getTracer("lifecyclezero.edge"),
  );
  const queue = await connectQueue(config, { instruments, hashing, log, access });
  const secrets = await Promise.all(
    (config.LZ_EDGE_SECRETS ?? []).map(
      async ({ version, bytes }): Promise<EdgeSecret> => ({
        version,
        key: await importHmacKey(bytes, ["sign"]),
      }),
    ),
  );
  const { LZ_CONTROL_KEY: control } = config;
  const after = (ms: number, then: () => void) => {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  };
  const { LZ_ENROL_KEY: enrol } = config;
  const authority = createAuthority({
    dynamo,
    table: config.LZ_TABLE,
    verifier: createVerifier(config.LZ_CONTROL_JWKS, config.LZ_ENROL_JWKS),
    mode: config.LZ_AUTHORITY,
    pause,
    log,
  });
  const openActions = createOpenActions({
    dynamo,
    table: config.LZ_TABLE,
    authority,
    clock,
    log,
    instruments,
    shared: runtime.sharesIo,
    after,
  });
  return {
    role: config.LZ_ROLE,
    clock,
    random,
    authority,
    requestId: createRequestIds(random),
    log,
    instruments,
    dynamo,
    table: config.LZ_TABLE,
    readiness: createReadiness({
      // An admin node only wakes workers through the queue, and does without.
      ...(serves(config.LZ_ROLE, "ingest") && { reachQueue: queue.reach }),
      reachTable: () => reachTable(dynamo, config.LZ_TABLE),
      clock,
      after,
      shared: runtime.sharesIo,
    }),
    ...(runtime.sharesIo && { leaving: createLeaving(pause, config.LZ_DRAIN_SECONDS) }),
    areMessageGroupsRefused: queue.areMessageGroupsRefused,
    credentialProblem: credentials.problem,
    enqueue: runtime.sharesIo
      ? packed(queue.send, after, config.LZ_PACK_WAIT_MS)
      : sendEach(queue.send, clock),
    nudge: (tenantId) => queue.send(tenantId, []),
    allowPrivateWebhooks: config.LZ_WEBHOOK_PRIVATE === "true",
    ...(config.LZ_AGENT_DOWNLOAD_URL && { agentDownloadUrl: config.LZ_AGENT_DOWNLOAD_URL }),
    ...(config.LZ_PUBLIC_ORIGIN && { publicOrigin: config.LZ_PUBLIC_ORIGIN }),
    openActions,
    // A held request is answered by what another one did: not where each must do its own I/O.
    ...(runtime.sharesIo &&
      config.LZ_HELD_POLLS_MAX > 0 && {
        heldPolls: createHeldPolls(openActions, after, config.LZ_HELD_POLLS_MAX),
      }),
    ...(runtime.sharesIo && { turns: createTurns() }),
    ...(runtime.keepOpen && { keepOpen: runtime.keepOpen }),
    sessionKeys: serves(config.LZ_ROLE, "ingest")
      ? createSessionKeys(secrets as [EdgeSecret, ...EdgeSecret[]], hashing)
      : absentPart("sessionKeys"),
    hashing,
    seenStates: createSeenStates(hashing),
    timesOutSlowBodies: runtime.timesOutSlowBodies ?? false,
    controlJwks: config.LZ_CONTROL_JWKS,
    ...(config.LZ_CONTROL_KEY_SET && { controlKeySet: config.LZ_CONTROL_KEY_SET }),
    catalogue: createCatalogueSource({
      url: config.LZ_CATALOGUE_URL,
      fetch: (url, init) => fetch(url, init),
      controlJwks: config.LZ_CONTROL_JWKS,
      clock,
      log,
      shared: runtime.sharesIo,
    }),
    ...(control && {
      controlKey: { kid: control.kid, key: (await importJWK(control, "EdDSA")) as CryptoKey },
    }),
    ...(enrol && { enrolKey: { kid: enrol.kid, key: (await importJWK(enrol, "EdDSA")) as CryptoKey } }),
    admin: serves(config.LZ_ROLE, "admin")
      ? await signIn(config, secrets, { clock, log, instruments, shared: runtime.sharesIo })
      : absentPart("admin"),
    limits: {
      device: createRateLimit(
        { name: "device", quota: config.LZ_DEVICE_PER_MINUTE, windowSeconds: 60 },
        clock,
      ),
      tenant: createRateLimit(
        { name: "tenant", quota: config.LZ_TENANT_PER_SECOND, windowSeconds: 1 },
        clock,
      ),
      address: createRateLimit(
        { name: "address", quota: config.LZ_REFUSED_PER_MINUTE, windowSeconds: 60 },
        clock,
      ),
      session: createRateLimit(
        { name: "session", quota: config.LZ_SESSIONS_PER_MINUTE, windowSeconds: 60 },
        clock,
      ),
      catalogue: createRateLimit(
        { name: "catalogue", quota: config.LZ_CATALOGUE_PER_MINUTE, windowSeconds: 60 },
        clock,
      ),
      enrolment: createRateLimit(
        { name: "enrolment", quota: config.LZ_ENROLMENTS_PER_MINUTE, windowSeconds: 60 },
        clock,
      ),
      admin: createRateLimit({ name: "admin", quota: config.LZ_ADMIN_PER_MINUTE, windowSeconds: 60 }, clock),
    },
    sourceIp: clientIp(runtime.sourceIp, config.LZ_CLIENT_IP_HEADER),
    pause,
  };
}

/** SQS with the newest queue key, or {@link absentPart} on a node whose role has no queue key. */
async function connectQueue(
  config: EdgeConfig,
  how: Pick<Deps, "instruments" | "log"> & { hashing: Hashing; access: AwsAccess },
): Promise<QueueClient> {
  const { SQS_QUEUE_URL: queueUrl, LZ_QUEUE_KEYS: keys } = config;
  if (queueUrl === undefined || keys === undefined) return absentPart("queue");
  const { instruments, log, hashing, access } = how;
  const [{ version, bytes }] = keys as [EdgeKey, ...EdgeKey[]];
  return createQueueClient({
    call: createAwsCall(access, "sqs", new URL(queueUrl).origin),
    queueUrl,
    instruments,
    hashing,
    signing: { kid: version, key: await importHmacKey(bytes, ["sign"]) },
    log,
  });
}

type EdgeKey = NonNullable<EdgeConfig["LZ_QUEUE_KEYS"]>[number];

/** How people sign in: `readConfig` has made sure that a node that serves them has these settings. */
async function signIn(
  config: EdgeConfig,
  secrets: readonly EdgeSecret[],
  how: Pick<Deps, "clock" | "log" | "instruments"> & { shared: boolean },
): Promise<Deps["admin"]> {
  const issuerKeys = createIssuerKeys({
    url: config.LZ_ADMIN_JWKS_URL!,
    fetch: (url, init) => fetch(url, init),
    ...how,
  });
  return {
    issuer: config.LZ_ADMIN_ISSUER!,
    parties: config.LZ_ADMIN_PARTIES!,
    allowsMissingParty: config.LZ_ADMIN_AZP === "optional",
    keys: issuerKeys.get,
    keysState: issuerKeys.state,
    signInUrl: config.LZ_SIGN_IN_URL!,
    ...(config.LZ_HANDSHAKE_URL && { handshakeUrl: config.LZ_HANDSHAKE_URL }),
    csrfKeys: (await Promise.all(secrets.map(({ key }) => derivedKey(key, "lz csrf")))) as [
      CryptoKey,
      ...CryptoKey[],
    ],
    cursorKeys: await Promise.all(secrets.map(({ key }) => derivedKey(key, "lz cursor"))),
    roles: config.LZ_ADMIN_ROLES,
  };
}

/**
 * Stands for what the node's role has no secret for. No route of the role reaches it, so any use is a defect and throws.
 * Its functions may be handed around before anyone calls them.
 */
function absentPart<T extends object>(name: string): T {
  const fail = (member: PropertyKey) => () => {
    throw new Error(`this node's role has no ${name}.${String(member)}`);
  };
  // A promise that resolves with the stand-in asks for `then`.
  return new Proxy({} as T, { get: (_, member) => (member === "then" ? undefined : fail(member)) });
}

/** A key of its own for each purpose: a leaked CSRF token says nothing about session keys. */
async function derivedKey(edgeSecret: CryptoKey, purpose: string): Promise<CryptoKey> {
  const derived = await crypto.subtle.sign("HMAC", edgeSecret, utf8(purpose));
  return importHmacKey(new Uint8Array(derived), ["sign", "verify"]);
}
