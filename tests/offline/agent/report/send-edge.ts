import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { base64url, utf8 } from "../../../../shared/encoding/bytes.ts";
import { REFUSALS, type RefusalCode } from "../../../../shared/verdict.ts";
import { signAgentSettings } from "../../../../shared/wire/agent-settings.ts";
import { type Directive, signDirective } from "../../../../shared/wire/directive.ts";
import { DIRECTIVE_PATH, directivePoll } from "../../../../shared/wire/directive-poll.ts";
import { enrolmentRequest, sessionRequest } from "../../../../shared/wire/enrolment.ts";
import { type Heartbeat, heartbeat } from "../../../../shared/wire/heartbeat.ts";
import { deriveSessionKey, parseDeviceKeyid, sessionKeyid } from "../../../../shared/wire/keyid.ts";
import type { ControlKey } from "../../../../shared/wire/sign-statement.ts";
import {
  contentDigest,
  importDeviceKey,
  importHmacKey,
  isFresh,
  parseSignature,
  verifySignature,
} from "../../../../shared/wire/signature.ts";

export const TENANT = "org_test";
export const ASSET = "01JD8Z0000000000000000TEST";
export const TOKEN = "a.b.c";
const SETTINGS_VERSION = Date.parse("2026-11-22T00:00:00.000Z");
export const SETTINGS = { heartbeatIntervalMs: 1000, clientDirectories: false };

/**
 * Current request schemas, and the request schemas of an edge that does not know the hardware fingerprint and
 * the run id. All schemas are strict.
 */
const SCHEMAS = {
  now: { enrolment: enrolmentRequest, session: sessionRequest, heartbeat },
  older: {
    enrolment: enrolmentRequest.omit({ hardware: true }),
    session: sessionRequest.omit({ hardware: true, copiedTo: true }),
    heartbeat: heartbeat.extend({ agent: heartbeat.shape.agent.omit({ run: true }) }),
  },
};

/** Returns a response that replaces the normal one, or `undefined` for the normal response. */
type Fault = (path: string, count: number) => Response | undefined | Promise<Response | undefined>;

export const problem = (code: RefusalCode, headers: Record<string, string> = {}, more = {}): Response =>
  Response.json(
    { type: "about:blank", title: REFUSALS[code].title, status: REFUSALS[code].status, code, ...more },
    { status: REFUSALS[code].status, headers: { "content-type": "application/problem+json", ...headers } },
  );

export type TestEdge = {
  /** True if the edge uses the request schemas of an edge older than the agent. */
  isOlder: boolean;
  /** Asset id in the response to the next enrolment. */
  assetId: string;
  url: string;
  port: number;
  taken: Heartbeat[];
  /** Requested paths in order, without probes from scans of this host. */
  asked: string[];
  enrolments: { deviceKey: string; employeeId: string }[];
  deviceX: string;
  control: ControlKey;
  jwks: { keys: { kty: "OKP"; crv: "Ed25519"; kid: string; x: string }[] };
  fault: Fault | undefined;
  directive: string | undefined;
  /**
   * `polls`: generations in the directive polls that the edge has received. `onPoll`: returns the response to
   * the next poll. If `onPoll` is undefined, the response has status 404.
   */
  polls: number[];
  onPoll: ((count: number) => Response | Promise<Response>) | undefined;
  /** Key set in the response to every session request, as sent during a rotation of the control key. */
  keySet: string | undefined;
  /** Signed tenant settings in the responses to enrolment and session requests. */
  signedSettings: string | undefined;
  /** The signed catalogue that the edge serves. */
  catalogue: string | undefined;
  sessionSeconds: number;
  /** Where the edge states the time when it rejects a stale signature: in the body, or only in the Date header. */
  tellsTime: "time" | "date";
  /** Number of milliseconds that the edge's clock is ahead of the clock of this host. */
  aheadMs: number;
  direct: (claims: Partial<Directive>) => Promise<string>;
  stop: () => Promise<void>;
};

/**
 * A test double for the edge, on a real socket. It checks digest, signature, freshness and schema, as the
 * real edge does. If `before` is given, the test double replaces that stopped edge and keeps its port, keys
 * and enrolled device.
 */
export async function startEdge(before?: TestEdge, hostname = "127.0.0.1"): Promise<TestEdge> {
  const { control, jwks } = before ?? (await controlKeys());
  const secret = await importHmacKey(utf8("edge secret of the tests, 32 byte"), ["sign"]);
  const edge: TestEdge = {
    url: "",
    port: 0,
    taken: [],
    asked: [],
    enrolments: [],
    deviceX: before?.deviceX ?? "",
    control,
    jwks,
    isOlder: before?.isOlder ?? false,
    fault: undefined,
    directive: undefined,
    polls: [],
    onPoll: undefined,
    keySet: undefined,
    catalogue: undefined,
    signedSettings: await signAgentSettings(control, {
      ...{ tenant: TENANT, version: SETTINGS_VERSION },
      ...SETTINGS,
    }),
    sessionSeconds: 3600,
    tellsTime: "time",
    aheadMs: 0,
    assetId: ASSET,
    direct: (claims) => signDirective(control, { ...directiveClaims(), ...claims }),
    stop: async () => {
      await server.stop(true);
    },
  };
  const schemas = () => (edge.isOlder ? SCHEMAS.older : SCHEMAS.now);
  const now = (): number => Date.now() + edge.aheadMs;
  const signed = () => (edge.signedSettings === undefined ? {} : { signedSettings: edge.signedSettings });
  // If there is no Date header, Bun adds a correct one. The test edge sends a wrong Date header, which shows
  // whether the agent used the header.
  const stale = (): Response => {
    const date = new Date(edge.tellsTime === "date" ? now() : 0).toUTCString();
    const time = edge.tellsTime === "time" ? { time: new Date(now()).toISOString() } : {};
    return problem("wire.stale", { date }, time);
  };

  async function check(request: Request, body: string, key: (keyid: string) => Promise<CryptoKey>) {
    const path = new URL(request.url).pathname;
    const algorithm = ["/v1/heartbeats", DIRECTIVE_PATH].includes(path) ? "hmac-sha256" : "ed25519";
    const parsed = parseSignature(request.headers, algorithm);
    if (!parsed.ok) return problem(parsed.code);
    const digest = request.headers.get("content-digest") ?? "";
    if (digest !== (await contentDigest(utf8(body)))) return problem("wire.bad-signature");
    if (!isFresh(parsed.value.createdSeconds, now(), 300)) return stale();
    const genuine = await verifySignature(await key(parsed.value.keyid), parsed.value, {
      method: "POST",
      path,
      digest,
    });
    return genuine ? undefined : problem("wire.bad-signature");
  }

  async function session(request: Request, body: string): Promise<Response> {
    const refused = await check(request, body, () => importDeviceKey(edge.deviceX));
    if (refused) return refused;
    const asked = schemas().session.safeParse(JSON.parse(body));
    if (!asked.success) return problem("wire.malformed");
    const claimed = parseDeviceKeyid(parseSignatureKeyid(request));
    const expiresAtSeconds = Math.floor(now() / 1000) + edge.sessionSeconds;
    const keyid = sessionKeyid({
      version: "1",
      tenantId: claimed!.tenantId,
      assetId: claimed!.assetId,
      expiresAtSeconds,
    });
    const key = base64url(await deriveSessionKey(secret, keyid));
    const keySet = edge.keySet === undefined ? {} : { keySet: edge.keySet };
    return Response.json({ keyid, key, expiresAtSeconds, settings: SETTINGS, ...keySet, ...signed() });
  }

  const sessionKey = async (keyid: string): Promise<CryptoKey> =>
    importHmacKey(await deriveSessionKey(secret, keyid), ["verify"]);

  async function take(request: Request, body: string): Promise<Response> {
    const refused = await check(request, body, sessionKey);
    if (refused) return refused;
    const parsed = schemas().heartbeat.safeParse(JSON.parse(body));
    if (!parsed.success) return problem("wire.malformed");
    edge.taken.push(parsed.data);
    const answer = {
      receivedAt: new Date(now()).toISOString(),
      ...(edge.directive ? { directive: edge.directive } : {}),
    };
    return Response.json(answer, { status: 202 });
  }

  async function respondToPoll(request: Request, body: string): Promise<Response> {
    if (!edge.onPoll) return new Response("no such path", { status: 404 });
    const refused = await check(request, body, sessionKey);
    if (refused) return refused;
    edge.polls.push(directivePoll.parse(JSON.parse(body)).generation);
    return edge.onPoll(edge.polls.length);
  }

  async function enrolHere(request: Request, body: string): Promise<Response> {
    const parsed = schemas().enrolment.safeParse(JSON.parse(body));
    if (!parsed.success) return problem("wire.malformed");
    const refused = await check(request, body, (keyid) => importDeviceKey(keyid));
    if (refused) return refused;
    if (parsed.data.token !== TOKEN) return problem("enrolment.invalid-token");
    edge.deviceX = parsed.data.deviceKey;
    edge.enrolments.push({ deviceKey: edge.deviceX, employeeId: parsed.data.employeeId });
    const { assetId } = edge;
    return Response.json(
      { tenantId: TENANT, assetId, jwks, settings: SETTINGS, ...signed() },
      { status: 201 },
    );
  }

  const routes: Record<string, (request: Request, body: string) => Promise<Response>> = {
    "/v1/enroll": enrolHere,
    "/v1/session": session,
    "/v1/heartbeats": take,
    [DIRECTIVE_PATH]: respondToPoll,
    "/healthz": async () => Response.json({ status: "ok" }),
    "/v1/catalog": async () => new Response(edge.catalogue, { status: edge.catalogue ? 200 : 404 }),
  };
  const counts = new Map<string, number>();
  const server = Bun.serve({
    port: before?.port ?? 0,
    hostname,
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      const body = await request.text();
      // Other agents under test on this machine probe every port. Their probes are not recorded.
      const isFromAgent = request.headers.get("user-agent")?.startsWith("lz-agent/");
      if (isFromAgent || path in routes) edge.asked.push(path);
      counts.set(path, (counts.get(path) ?? 0) + 1);
      const fault = await edge.fault?.(path, counts.get(path)!);
      return fault ?? (await routes[path]?.(request, body)) ?? new Response("no such path", { status: 404 });
    },
  });
  edge.url = `http://${hostname}:${server.port}`;
  edge.port = server.port!;
  return edge;
}

const parseSignatureKeyid = (request: Request): string =>
  /keyid="([^"]+)"/.exec(request.headers.get("signature-input") ?? "")?.[1] ?? "";

export async function controlKeys() {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const { x } = await exportJWK(publicKey);
  return {
    control: { kid: "control-1", key: privateKey } satisfies ControlKey,
    jwks: { keys: [{ kty: "OKP" as const, crv: "Ed25519" as const, kid: "control-1", x: x! }] },
  };
}

export function directiveClaims(): Directive {
  const iat = Math.floor(Date.now() / 1000);
  return {
    tenant: TENANT,
    asset: ASSET,
    generation: 1,
    action: "isolate",
    mode: "observe",
    iat,
    exp: iat + 3600,
  };
}

const made: string[] = [];

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "lz-agent-test-"));
  made.push(directory);
  return directory;
}

export function removeTemporaryDirectories(): void {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
}

/** Waits until a condition is true. Throws an error with the name of the condition if it does not become true. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 25_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await Bun.sleep(10);
  }
}
