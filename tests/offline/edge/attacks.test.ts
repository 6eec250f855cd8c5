import { describe, expect, test } from "bun:test";
import { makeHeartbeat, signedRequest } from "../../../lz/fleet.ts";
import { base64, utf8 } from "../../../shared/bytes.ts";
import { ASSET_ID, EDGE_URL, makeEdgeApp, TENANT_ID } from "../../support/edge-app.ts";

type Parts = {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer>;
};

/** Deterministic generator (mulberry32): a failure names its seed and can be had again. */
function randomOf(seed: number) {
  let state = seed;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Random = ReturnType<typeof randomOf>;

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;

/** Changes one character to another that a header may hold. */
function flip(random: Random, text: string): string {
  const at = random(text.length);
  const other = String.fromCharCode(33 + random(94));
  return text[at] === other ? `${text}x` : text.slice(0, at) + other + text.slice(at + 1);
}

const withHeader = (parts: Parts, name: string, value: string): Parts => ({
  ...parts,
  headers: { ...parts.headers, [name]: value },
});

/** Ways to turn a good heartbeat into one that must not be accepted. Each changes what is covered, or its proof. */
const ATTACKS: Record<string, (good: Parts, random: Random) => Parts> = {
  "a header missing": (good, random) => {
    const headers = { ...good.headers };
    delete headers[pick(random, ["signature", "signature-input", "content-digest", "content-type"])];
    return { ...good, headers };
  },
  "a character of the signature input": (good, random) =>
    withHeader(good, "signature-input", flip(random, good.headers["signature-input"]!)),
  "a character of the signature": (good, random) => {
    const value = good.headers.signature!;
    return withHeader(good, "signature", `lz=:${flip(random, value.slice(4, -2))}${value.slice(-2)}`);
  },
  "a character of the digest": (good, random) =>
    withHeader(good, "content-digest", flip(random, good.headers["content-digest"]!)),
  "a byte of the body": (good, random) => {
    const bytes = utf8(good.body as string);
    const at = random(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << random(8));
    return { ...good, body: bytes };
  },
  "a body with its own digest": (good, random) => {
    const body = `${good.body as string}${" ".repeat(1 + random(5))}`;
    const digest = new Bun.CryptoHasher("sha256").update(body).digest("base64");
    return { ...withHeader(good, "content-digest", `sha-256=:${digest}:`), body };
  },
  "another path": (good, random) => ({
    ...good,
    path: pick(random, [
      "/v1/heartbeats/",
      "/v1/heartbeats%2f",
      "//v1/heartbeats",
      "/V1/heartbeats",
      "/v1/session",
      "/v1/enroll",
    ]),
  }),
  "another method": (good, random) => ({ ...good, method: pick(random, ["PUT", "PATCH", "DELETE"]) }),
  "another name of the key": (good, random) => {
    const input = good.headers["signature-input"]!;
    const forged = pick(random, [
      input.replace(TENANT_ID, "org_b"),
      input.replace(ASSET_ID, `${ASSET_ID.slice(0, -1)}${pick(random, [..."0123456789"])}`),
      input.replace(".v1.", `.v${2 + random(8)}.`),
      input.replace(/\.(\d+)"/, (_, seconds) => `.${Number(seconds) + 1 + random(1000)}"`),
      input.replace("lz1.", "lzd1."),
    ]);
    return withHeader(good, "signature-input", forged);
  },
  "another time": (good, random) =>
    withHeader(
      good,
      "signature-input",
      good.headers["signature-input"]!.replace(/created=(\d+)/, (_, seconds) => {
        const offset = (random(2) === 0 ? -1 : 1) * (1 + random(100_000));
        return `created=${Number(seconds) + offset}`;
      }),
    ),
  "another algorithm": (good, random) =>
    withHeader(
      good,
      "signature-input",
      good.headers["signature-input"]!.replace(
        "hmac-sha256",
        pick(random, ["ed25519", "none", "rsa-pss-sha512", "HMAC-SHA256", ""]),
      ),
    ),
  "one more signature": (good, random) => {
    const name = pick(random, ["signature", "signature-input"]);
    const more = pick(random, [
      `x=:${base64(new Uint8Array(32))}:`,
      good.headers[name]!,
      'lz=("@method");created=1',
    ]);
    return withHeader(
      good,
      name,
      random(2) === 0 ? `${good.headers[name]}, ${more}` : `${more}, ${good.headers[name]}`,
    );
  },
  "a parameter repeated or added": (good, random) =>
    withHeader(
      good,
      "signature-input",
      `${good.headers["signature-input"]}${pick(random, [";created=1790000000", ';keyid="x"', ';nonce="a"', ";expires=1", ";tag=x", ";"])}`,
    ),
  "noise for a body": (good, random) => ({
    ...good,
    body: new Uint8Array(Array.from({ length: random(200) }, () => random(256))),
  }),
  "noise for headers": (good, random) => {
    const noise = () =>
      Array.from({ length: 1 + random(60) }, () => String.fromCharCode(33 + random(94))).join("");
    return withHeader(withHeader(good, "signature", noise()), "signature-input", noise());
  },
};

const ROUNDS = 100_000;

describe("100,000 forged heartbeats", () => {
  test("none is accepted, none is a fault, and none leaves a secret in the log", async () => {
    const { app, state, openSession } = await makeEdgeApp();
    const signer = await openSession();
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
    const good: Parts = {
      method: "POST",
      path: "/v1/heartbeats",
      headers: Object.fromEntries(request.headers),
      body,
    };
    const send = ({ path, ...init }: Parts) => app.request(`${EDGE_URL}${path}`, init);
    expect((await send(good)).status).toBe(202);
    const random = randomOf(20261121);
    const names = Object.keys(ATTACKS);
    const answers = new Map<string, Map<number, number>>();
    for (let round = 0; round < ROUNDS; round++) {
      const name = names[round % names.length]!;
      const forged = ATTACKS[name]!(good, random);
      const { status } = await send(forged);
      if (status < 400 || status >= 500)
        throw new Error(`round ${round}, ${name}: ${status} for ${JSON.stringify(forged)}`);
      const counts = answers.get(name) ?? new Map<number, number>();
      answers.set(name, counts.set(status, (counts.get(status) ?? 0) + 1));
    }
    expect(state.queued).toHaveLength(1);
    const secret = good.headers.signature!.slice(4, -1);
    expect(state.logged.some((line) => line.includes(secret))).toBe(false);
    for (const [name, counts] of answers) {
      console.log(`${name}: ${[...counts].map(([status, count]) => `${count} × ${status}`).join(", ")}`);
    }
  }, 120_000);

  test("a heartbeat that is sent again is the same heartbeat: accepted, and nothing but a copy", async () => {
    const { app, state, openSession } = await makeEdgeApp();
    const signer = await openSession();
    const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
    for (let i = 0; i < 2; i++) {
      const request = await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
      expect((await app.request(request)).status).toBe(202);
    }
    expect(state.queued[0]!.body).toBe(state.queued[1]!.body);
  });
});

describe("quotas", () => {
  test("a device beyond its quota is told when to come again, and others are not held back", async () => {
    const { createRateLimit } = await import("../../../edge/rate-limit.ts");
    const { app, state, openSession, deps } = await makeEdgeApp();
    deps.limits.device = createRateLimit({ name: "device", quota: 2, windowSeconds: 60 }, deps.clock);
    const beat = async (assetId: string) => {
      const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
      const signer = await openSession(assetId);
      return app.request(await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000));
    };
    const answers = [await beat(ASSET_ID), await beat(ASSET_ID), await beat(ASSET_ID)];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 429]);
    expect(answers[1]!.headers.get("ratelimit")).toBe('"device";r=0;t=60');
    expect(answers[2]!.headers.get("retry-after")).toBe("30");
    expect(answers[2]!.headers.get("ratelimit-policy")).toBe('"device";q=2;w=60');
    expect((await beat("01M807NRG7BVMVH9SM4YAEXFPH")).status).toBe(202);
    state.nowMs += 30_000;
    expect((await beat(ASSET_ID)).status).toBe(202);
  });

  test("a forged heartbeat takes nothing from the quota of the device it names", async () => {
    const { app, state, openSession, deps } = await makeEdgeApp();
    const signer = await openSession();
    const request = await signedRequest(EDGE_URL, "/v1/heartbeats", "{}", signer, state.nowMs / 1000);
    const before = deps.limits.device.take(ASSET_ID).remaining;
    const headers = {
      ...Object.fromEntries(request.headers),
      signature: `lz=:${base64(new Uint8Array(32))}:`,
    };
    expect((await app.request(request.url, { method: "POST", headers, body: "{}" })).status).toBe(401);
    expect(deps.limits.device.take(ASSET_ID).remaining).toBe(before - 1);
  });
});
