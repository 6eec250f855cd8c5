import { metrics, trace } from "@opentelemetry/api";
import { importJWK } from "jose";
import { createAuthority } from "../shared/authority/read-authority.ts";
import { createVerifier } from "../shared/authority/verify-authority.ts";
import { utf8 } from "../shared/encoding/bytes.ts";
import { createKeyedMutex } from "../shared/keyed-mutex.ts";
import { createLog, type Log } from "../shared/observability/log.ts";
import { importHmacKey } from "../shared/wire/signature.ts";
import { createIssuerKeys } from "./auth/issuer-keys.ts";
import { createCatalogueSource } from "./catalogue/catalogue-source.ts";
import type { EdgeConfig } from "./config.ts";
import type { ChooseCredentials } from "./credentials/settings.ts";
import { staticCredentials } from "./credentials/static-keys.ts";
import type { Deps } from "./deps.ts";
import { createLongPolls } from "./directive/long-polls.ts";
import { createPendingActions } from "./heartbeat/pending-actions.ts";
import { createQueueBatcher, sendEach } from "./heartbeat/queue-batcher.ts";
import { createSessionKeys, type EdgeSecret } from "./heartbeat/session-key-cache.ts";
import { createValidatedStates } from "./heartbeat/validated-state-cache.ts";
import { clientIp } from "./http/client-ip.ts";
import { createShutdown } from "./http/graceful-shutdown.ts";
import { createRateLimit } from "./http/rate-limit.ts";
import { createReadiness } from "./http/readiness.ts";
import { createRequestIds } from "./http/request-id.ts";
import { type AwsAccess, createAwsCall, createDynamo, dynamoUrl, reachTable } from "./platform/aws-client.ts";
import { serves } from "./platform/node-role.ts";
import { createQueueClient, type QueueClient } from "./platform/queue-client.ts";
import { createInstruments } from "./platform/telemetry.ts";
import { type Hashing, webHashing } from "./runtime/hashing.ts";

/** Functions and properties that differ between runtimes. The entry file of each runtime provides them. */
export type Runtime = {
  sourceIp: Deps["sourceIp"];
  /** True if the runtime closes idle connections by itself. */
  timesOutSlowBodies?: boolean;
  /** Source of AWS credentials. Default: static keys only. */
  chooseCredentials?: ChooseCredentials;
  /** Hash functions of the runtime. Default: WebCrypto. */
  hashing?: Hashing;
  /** Lets a connection be idle for longer than the runtime's own timeout. */
  keepOpen?: Deps["keepOpen"];
  /** False on workerd, where a request cannot await I/O that another request started. */
  sharesIo: boolean;
};

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const clock = () => Date.now();
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const after = (ms: number, then: () => void) => {
  const timer = setTimeout(then, ms);
  return () => clearTimeout(timer);
};

/**
 * Builds the dependencies of the app from its configuration. Only this file and the entry files read the
 * clock and the random source.
 *
 * This function is long on purpose: it lists all components and the dependencies of each.
 */
export async function assemble(config: EdgeConfig, runtime: Runtime): Promise<Deps> {
  const { LZ_ROLE: role, LZ_TABLE: table } = config;
  const shared = runtime.sharesIo;
  const hashing = runtime.hashing ?? webHashing;
  const log = createLog("edge", clock, (line) => console.log(line));
  const instruments = createInstruments(
    metrics.getMeter("lifecyclezero.edge"),
    trace.getTracer("lifecyclezero.edge"),
  );
  const access = openAws(config, runtime, log);
  const dynamo = createDynamo(createAwsCall(access, "dynamodb", dynamoUrl(config)), () =>
    crypto.randomUUID(),
  );
  const queue = await connectQueue(config, { instruments, hashing, log, access });
  const secrets = await importSecrets(config);
  const authority = createAuthority({
    dynamo,
    table,
    verifier: createVerifier(config.LZ_CONTROL_JWKS, config.LZ_ENROL_JWKS),
    mode: config.LZ_AUTHORITY,
    pause,
    log,
  });
  const pendingActions = createPendingActions({
    ...{ dynamo, table, authority, clock, log, instruments, shared, after },
  });
  return {
    ...{ role, clock, random, pause, log, instruments, dynamo, table, authority, hashing, pendingActions },
    requestId: createRequestIds(random),
    readiness: createReadiness({
      // An admin node uses the queue only to wake workers, so its readiness does not depend on the queue.
      ...(serves(role, "ingest") && { reachQueue: queue.reach }),
      reachTable: () => reachTable(dynamo, table),
      ...{ clock, after, shared },
    }),
    areMessageGroupsRefused: queue.areMessageGroupsRefused,
    credentialProblem: access.credentials.problem,
    enqueue: shared
      ? createQueueBatcher(queue.send, after, config.LZ_PACK_WAIT_MS)
      : sendEach(queue.send, clock),
    nudge: (tenantId) => queue.send(tenantId, []),
    ...(shared && {
      shutdown: createShutdown(pause, config.LZ_DRAIN_SECONDS),
      mutex: createKeyedMutex(),
      ...(config.LZ_HELD_POLLS_MAX > 0 && {
        longPolls: createLongPolls(pendingActions, after, config.LZ_HELD_POLLS_MAX),
      }),
    }),
    ...(runtime.keepOpen && { keepOpen: runtime.keepOpen }),
    sessionKeys: serves(role, "ingest")
      ? createSessionKeys(secrets as [EdgeSecret, ...EdgeSecret[]], hashing)
      : absentPart("sessionKeys"),
    validatedStates: createValidatedStates(hashing),
    timesOutSlowBodies: runtime.timesOutSlowBodies ?? false,
    catalogue: createCatalogueSource({
      url: config.LZ_CATALOGUE_URL,
      fetch: (url, init) => fetch(url, init),
      controlJwks: config.LZ_CONTROL_JWKS,
      ...{ clock, log, shared },
    }),
    ...(await controlKeys(config)),
    admin: serves(role, "admin")
      ? await createSignIn(config, secrets, { clock, log, instruments, shared })
      : absentPart("admin"),
    limits: createLimits(config),
    sourceIp: clientIp(runtime.sourceIp, config.LZ_CLIENT_IP_HEADER),
    ...siteSettings(config),
  };
}

/**
 * Opens access to AWS: the credentials and region of this node. Credentials are fetched immediately, so that
 * a misconfigured source is logged at start.
 */
function openAws(config: EdgeConfig, runtime: Runtime, log: Log): AwsAccess {
  const chooseCredentials = runtime.chooseCredentials ?? staticCredentials;
  const credentials = chooseCredentials(config, { clock, random: Math.random, log });
  void credentials.get().catch(() => {});
  return { credentials, region: config.AWS_REGION, pause };
}

const importSecrets = ({ LZ_EDGE_SECRETS: secrets = [] }: EdgeConfig): Promise<EdgeSecret[]> =>
  Promise.all(
    secrets.map(async ({ version, bytes }) => ({ version, key: await importHmacKey(bytes, ["sign"]) })),
  );

/** Public control keys, and the private control and enrol keys if this node has them. */
async function controlKeys(
  config: EdgeConfig,
): Promise<Pick<Deps, "controlJwks" | "controlKeySet" | "controlKey" | "enrolKey">> {
  const { LZ_CONTROL_KEY: control, LZ_ENROL_KEY: enrol, LZ_CONTROL_KEY_SET: keySet } = config;
  const imported = async (jwk: NonNullable<typeof control>) => ({
    kid: jwk.kid,
    key: (await importJWK(jwk, "EdDSA")) as CryptoKey,
  });
  return {
    controlJwks: config.LZ_CONTROL_JWKS,
    ...(keySet && { controlKeySet: keySet }),
    ...(control && { controlKey: await imported(control) }),
    ...(enrol && { enrolKey: await imported(enrol) }),
  };
}

function createLimits(config: EdgeConfig): Deps["limits"] {
  const perMinute = (name: string, quota: number) =>
    createRateLimit({ name, quota, windowSeconds: 60 }, clock);
  return {
    device: perMinute("device", config.LZ_DEVICE_PER_MINUTE),
    tenant: createRateLimit({ name: "tenant", quota: config.LZ_TENANT_PER_SECOND, windowSeconds: 1 }, clock),
    address: perMinute("address", config.LZ_REFUSED_PER_MINUTE),
    session: perMinute("session", config.LZ_SESSIONS_PER_MINUTE),
    catalogue: perMinute("catalogue", config.LZ_CATALOGUE_PER_MINUTE),
    enrolment: perMinute("enrolment", config.LZ_ENROLMENTS_PER_MINUTE),
    admin: perMinute("admin", config.LZ_ADMIN_PER_MINUTE),
  };
}

const siteSettings = ({
  LZ_WEBHOOK_PRIVATE: allowsPrivate,
  LZ_AGENT_DOWNLOAD_URL: agentDownloadUrl,
  LZ_PUBLIC_ORIGIN: publicOrigin,
}: EdgeConfig): Pick<Deps, "allowPrivateWebhooks" | "agentDownloadUrl" | "publicOrigin"> => ({
  allowPrivateWebhooks: allowsPrivate === "true",
  ...(agentDownloadUrl && { agentDownloadUrl }),
  ...(publicOrigin && { publicOrigin }),
});

/**
 * Client of the queue, which signs messages with the newest queue key. Returns {@link absentPart} on a node
 * without a queue key.
 */
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

/**
 * Builds the sign-in for people. `readConfig` guarantees that a node which serves people has the sign-in
 * settings.
 */
async function createSignIn(
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
 * Placeholder for a component whose secret this node's role does not have. No route of the role calls the
 * component, so each call is a defect and throws. Reading a method is allowed, because `assemble` passes
 * methods to other components.
 */
function absentPart<T extends object>(name: string): T {
  const fail = (member: PropertyKey) => () => {
    throw new Error(`the role of this node has no ${name}.${String(member)}`);
  };
  // `await` reads the member `then`. Return undefined, so that `await` does not treat the placeholder as a
  // promise.
  return new Proxy({} as T, { get: (_, member) => (member === "then" ? undefined : fail(member)) });
}

/**
 * Derives a separate key for each purpose from an edge secret. A CSRF token therefore reveals nothing about
 * session keys.
 */
async function derivedKey(edgeSecret: CryptoKey, purpose: string): Promise<CryptoKey> {
  const derived = await crypto.subtle.sign("HMAC", edgeSecret, utf8(purpose));
  return importHmacKey(new Uint8Array(derived), ["sign", "verify"]);
}
