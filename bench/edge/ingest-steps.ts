import { zValidator } from "@hono/zod-validator";
import { Hono, type MiddlewareHandler } from "hono";
import { createFetch } from "../../edge/app.ts";
import { assemble } from "../../edge/composition-root.ts";
import { readConfig } from "../../edge/config.ts";
import type { Deps } from "../../edge/deps.ts";
import { authenticate, checkIsolation, validate } from "../../edge/heartbeat/admit-heartbeat.ts";
import type { PendingAction } from "../../edge/heartbeat/read-pending-actions.ts";
import { parseJson } from "../../edge/http/parse-json.ts";
import { bunHashing } from "../../edge/runtime/bun-hashing.ts";
import { makeSecrets, type Secrets } from "../../local/secrets.ts";
import { encodeEntry, encodePack } from "../../shared/queue/message.ts";
import { heartbeat, LIMITS } from "../../shared/wire/heartbeat.ts";
import { importHmacKey, parseSignature, signatureBase } from "../../shared/wire/signature.ts";
import { offlineEnvironment } from "../harness/backends.ts";
import { round } from "../harness/report.ts";
import { makeAsset, nextHeartbeat, PATH, parseEdgeSecret, signatureHeaders } from "../load/asset.ts";

const SAMPLES = 5;
const REQUESTS = 64;
const PACK_HEARTBEATS = 40;

type Work = (turn: number) => unknown;

/**
 * Duration of one call in µs. Computed as the median of {@link SAMPLES} means, each measured over `sampleMs`.
 * A warm-up of the same length runs first.
 */
async function microsOf(work: Work, sampleMs: number): Promise<number> {
  const means: number[] = [];
  for (let sample = 0; sample <= SAMPLES; sample++) {
    const startMs = performance.now();
    let turns = 0;
    while (performance.now() - startMs < sampleMs) {
      for (let i = 0; i < 50; i++) {
        const result = work(turns++);
        if (result instanceof Promise) await result;
      }
    }
    means.push(((performance.now() - startMs) * 1000) / turns);
  }
  means.shift();
  return round(means.sort((a, b) => a - b)[SAMPLES >> 1]!, 2);
}

/**
 * Measures each step of the ingest path alone, and then the whole path. The heartbeats are like those of the
 * load generator.
 */
export async function measureSteps(sampleMs: number): Promise<Record<string, number>> {
  const micros = (work: Work) => microsOf(work, sampleMs);
  const secrets = await makeSecrets();
  const secret = parseEdgeSecret(secrets.edgeSecrets);
  const nowMs = Date.now();
  const deps = await offlineEdge(secrets);
  const answer = createFetch(deps);
  const made = Array.from({ length: REQUESTS }, (_, number) => {
    const asset = makeAsset("org_bench", number, secret, nowMs);
    const body = JSON.stringify(nextHeartbeat(asset, nowMs));
    const headers = signatureHeaders(asset, body, Math.floor(nowMs / 1000));
    return { asset, body, headers };
  });
  const request = (turn: number) => {
    const { body, headers } = made[turn % REQUESTS]!;
    const length = String(Buffer.byteLength(body));
    return new Request(`http://127.0.0.1${PATH}`, {
      method: "POST",
      headers: { ...headers, "content-length": length },
      body,
    });
  };
  const { body, headers, asset } = made[0]!;
  const bytes = new Uint8Array(Buffer.from(body));
  const webHeaders = new Headers(headers);
  const parsedSignature = parseSignature(webHeaders, "hmac-sha256");
  if (!parsedSignature.ok) throw new Error("the bench made an invalid signature");
  const input = parsedSignature.value;
  const session = await deps.sessionKeys.find(asset.keyid);
  const digest = headers["content-digest"];
  const signable = { method: "POST", path: PATH, digest };
  const base = signatureBase(signable, input.parameters);
  if (!(await session?.key.verify(base, input.signature))) throw new Error("the signature does not verify");
  const json = JSON.parse(body) as unknown;
  const admitted = await admit(request(0), deps);
  if (!admitted.ok) throw new Error(`the edge rejected the bench's heartbeat: ${admitted.code}`);
  if ((await answer(request(0))).status !== 202) throw new Error("the bench's heartbeat is not accepted");
  const { entry } = admitted.value;
  const line = encodeEntry(entry);
  const pack = Array.from({ length: PACK_HEARTBEATS }, () => line);
  const packKey = await importHmacKey(new Uint8Array(32), ["sign"]);
  const [bare, validating] = [routeOf(), routeOf(zValidator("json", heartbeat))];
  if ((await validating.fetch(request(0))).status !== 202)
    throw new Error("zod-validator rejected the heartbeat");
  const signPack = () => crypto.subtle.sign("HMAC", packKey, encodePack("org_bench", pack));
  return {
    "make a Request (not part of the path)": await micros(request),
    "read signature headers": await micros(() => parseSignature(webHeaders, "hmac-sha256")),
    "find session key (cached)": await micros(() => deps.sessionKeys.find(asset.keyid)),
    "content digest": await micros(() => bunHashing.contentDigest(bytes)),
    "signature base": await micros(() => signatureBase(signable, input.parameters)),
    "verify signature": await micros(() =>
      session!.key.verify(signatureBase(signable, input.parameters), input.signature),
    ),
    "decode and parse JSON": await micros(() => parseJson(bytes)),
    "JSON.parse alone": await micros(() => JSON.parse(body)),
    "validate (zod)": await micros(() => heartbeat.safeParse(json)),
    "Hono route that reads the body, with the Request": await micros((turn) => bare.fetch(request(turn))),
    "the same route with zod-validator": await micros((turn) => validating.fetch(request(turn))),
    "isolation check": await micros(async () =>
      checkIsolation(admitted.value, (await deps.pendingActions.of("org_bench")).get(asset.assetId), nowMs),
    ),
    "encode queue line": await micros(() => encodeEntry(entry)),
    "encode and sign a pack, per heartbeat": round((await micros(signPack)) / PACK_HEARTBEATS),
    "admit, with the Request": await micros((turn) => admit(request(turn), deps)),
    "whole edge with an instant queue, with the Request": await micros((turn) => answer(request(turn))),
  };
}

/**
 * Creates a route that reads the body as bytes, as a signature check requires, and passes the text of the
 * body to the validators. The difference between a route with and without `@hono/zod-validator` is the cost
 * of that validator per heartbeat.
 */
function routeOf(...validators: MiddlewareHandler[]): Hono {
  const app = new Hono();
  const readBody: MiddlewareHandler = async (c, next) => {
    const text = Promise.resolve(Buffer.from(await c.req.raw.arrayBuffer()).toString());
    Object.assign(c.req.bodyCache, { text });
    await next();
  };
  app.post(PATH, readBody, ...validators, (c) => c.body(null, 202));
  return app;
}

/** Runs the edge's ingest path without quotas. */
async function admit(request: Request, deps: Deps) {
  const authentic = await authenticate(request, LIMITS.BODY_BYTES_MAX, deps);
  return authentic.ok ? validate(authentic.value, deps) : authentic;
}

/** Assembles the edge as its entry file does, with a stub queue that accepts everything and an empty table. */
async function offlineEdge(secrets: Secrets): Promise<Deps> {
  const nothing = new Map<string, PendingAction>();
  const deps = await assemble(readConfig(offlineEnvironment(secrets)), {
    sharesIo: true,
    hashing: bunHashing,
    timesOutSlowBodies: true,
    sourceIp: () => "127.0.0.1",
  });
  return {
    ...deps,
    log: () => {},
    enqueue: async () => {},
    pendingActions: { of: async () => nothing, forget: () => {}, learn: () => {}, watch: () => () => {} },
  };
}
