import { createFetch } from "../../../edge/app.ts";
import { makeDevice, makeHeartbeat, signedRequest } from "../../../lz/platform/simulated-agents.ts";
import { base64, base64url, utf8 } from "../../../shared/encoding/bytes.ts";
import { type Dynamo, marshalItem } from "../../../shared/table/dynamo.ts";
import { signEnrolmentToken } from "../../../shared/wire/enrolment-token.ts";
import { deviceKeyid } from "../../../shared/wire/keyid.ts";
import { contentDigest } from "../../../shared/wire/signature.ts";
import { makeAdminApp } from "../edge/admin-app.ts";
import { ASSET_ID, EDGE_URL, TENANT_ID } from "../edge/edge-app.ts";

export type Parts = {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array<ArrayBuffer>;
};

/** Deterministic random generator (mulberry32). A failing test prints its seed, so you can repeat the test. */
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

/** Replaces one character of a header value with another allowed character. */
function flip(random: Random, text: string): string {
  const at = random(text.length);
  const other = String.fromCharCode(33 + random(94));
  return text[at] === other ? `${text}x` : text.slice(0, at) + other + text.slice(at + 1);
}

const withHeader = (parts: Parts, name: string, value: string): Parts => ({
  ...parts,
  headers: { ...parts.headers, [name]: value },
});

/**
 * Functions that turn a valid signed request into one that must be rejected. Each function changes the
 * signature or signed content.
 */
const ATTACKS: Record<string, (good: Parts, random: Random) => Parts | Promise<Parts>> = {
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
  "a body with its own digest": async (good, random) => {
    const body = `${good.body as string}${" ".repeat(1 + random(5))}`;
    return { ...withHeader(good, "content-digest", await contentDigest(utf8(body))), body };
  },
  "another path": (good, random) => ({
    ...good,
    path: pick(
      random,
      [
        `${good.path}/`,
        `${good.path}%2f`,
        `/${good.path}`,
        good.path.replace("v1", "V1"),
        "/v1/heartbeats",
        "/v1/session",
        "/v1/enroll",
      ].filter((path) => path !== good.path),
    ),
  }),
  "another method": (good, random) => ({ ...good, method: pick(random, ["PUT", "PATCH", "DELETE"]) }),
  "another name of the key": (good, random) => {
    const input = good.headers["signature-input"]!;
    const forged = pick(random, [
      input.replace(TENANT_ID, "org_b"),
      input.replace(ASSET_ID, `${ASSET_ID.slice(0, -1)}${pick(random, [..."0123456789"])}`),
      input.replace(".v1.", `.v${2 + random(8)}.`),
      input.replace(/\.(\d+)"/, (_, seconds) => `.${Number(seconds) + 1 + random(1000)}"`),
      input.replace(/lzd?1\./, (prefix) => (prefix === "lz1." ? "lzd1." : "lz1.")),
      input.replace(/keyid="[^"]/, (start) => start.replace(/.$/, (last) => (last === "x" ? "y" : "x"))),
    ]);
    return withHeader(good, "signature-input", forged === input ? `${input};x=1` : forged);
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
  "another algorithm": (good, random) => {
    const input = good.headers["signature-input"]!;
    const [, own] = /alg="([^"]*)"/.exec(input)!;
    const names = ["ed25519", "hmac-sha256", "none", "rsa-pss-sha512", "HMAC-SHA256", "Ed25519", ""];
    const other = pick(
      random,
      names.filter((name) => name !== own),
    );
    return withHeader(good, "signature-input", input.replace(`"${own}"`, `"${other}"`));
  },
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

const ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Functions that each damage a different section of a session token. */
const TOKEN_ATTACKS: Record<string, (token: string, random: Random) => string> = {
  "a character of the token": (token, random) => {
    // The last character is not changed, because some bits of that character carry no data.
    const at = random(token.length - 1);
    if (token[at] === ".") return token.replace(".", "");
    const other = ALPHANUMERIC[random(ALPHANUMERIC.length)]!;
    return token.slice(0, at) + (other === token[at] ? "*" : other) + token.slice(at + 1);
  },
  "another header of the token": (token, random) => {
    const alg = pick(random, ["none", "None", "HS256", "RS512", "ES256", "EdDSA", ""]);
    const kid = pick(random, ["issuer-1", "issuer-2", "../x", ""]);
    const header = base64url(utf8(JSON.stringify({ alg, kid, typ: "JWT" })));
    const [, payload, signature] = token.split(".");
    return [header, payload, random(2) === 0 ? signature : ""].join(".");
  },
  "other claims of the token": (token, random) => {
    const [header, , signature] = token.split(".");
    const sub = `user_${random(1000)}`;
    const claims = { sub, sid: "s", sts: "active", exp: 9e9, iat: 1, o: { id: TENANT_ID, rol: "admin" } };
    return [header, base64url(utf8(JSON.stringify(claims))), signature].join(".");
  },
  "noise for a token": (_, random) =>
    Array.from({ length: 1 + random(4) }, () => ALPHANUMERIC.slice(random(30), 30 + random(30))).join("."),
};

export type Round = { name: string; status: number; forged: unknown };

/**
 * Creates an edge, valid requests of every kind, and an endless supply of forged requests. All requests are
 * sent through `createFetch`, as a runtime would send them. Half of the forged requests are heartbeats.
 * Session requests, enrolment requests and requests with user tokens are one sixth each.
 */
export async function makeForgeries(seed: number) {
  const device = await makeDevice();
  const asset = {
    type: "Asset",
    tenantId: TENANT_ID,
    assetId: ASSET_ID,
    employeeId: "dana",
    hostname: "h",
    os: "Linux",
    arch: "x64",
    deviceKey: device.x,
    enrolledAt: "2026-11-21T00:00:00.000Z",
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
  };
  const dynamo = (async (_operation: string, { Key }: { Key?: { SK?: { S: string } } }) =>
    Key?.SK?.S === `ASSET#${ASSET_ID}` ? { Item: marshalItem(asset) } : {}) as unknown as Dynamo;
  const { deps, state, openSession, session } = await makeAdminApp({ dynamo });
  const edge = createFetch(deps);
  const random = randomOf(seed);
  const seconds = state.nowMs / 1000;
  const token = await session();
  const enrolment = await signEnrolmentToken(
    deps.controlKey!,
    { tenant: TENANT_ID, jti: "01M807NRG7BVMVH9SM4YAEXFPA", uses: 100 },
    seconds + 600,
  );
  const host = { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" };
  const signed = async (path: string, json: object, signer: Parameters<typeof signedRequest>[3]) => {
    const body = JSON.stringify(json);
    const request = await signedRequest(EDGE_URL, path, body, signer, seconds);
    return { method: "POST", path, headers: Object.fromEntries(request.headers), body } satisfies Parts;
  };
  const heartbeat = await signed(
    "/v1/heartbeats",
    makeHeartbeat(1, state.nowMs, "host"),
    await openSession(),
  );
  const opening = await signed(
    "/v1/session",
    { agentVersion: "0.1.0" },
    device.signer(deviceKeyid(TENANT_ID, ASSET_ID)),
  );
  const enrolling = await signed(
    "/v1/enroll",
    { token: enrolment, deviceKey: device.x, employeeId: "dana", host },
    device.signer(device.x),
  );
  const send = async ({ path, ...init }: Parts) => edge(new Request(`${EDGE_URL}${path}`, init));
  const ask = async (bearer: string) =>
    edge(new Request(`${EDGE_URL}/v1/me`, { headers: { authorization: `Bearer ${bearer}` } }));
  const turns = [heartbeat, opening, heartbeat, enrolling, heartbeat, undefined];
  const [names, tokenNames] = [Object.keys(ATTACKS), Object.keys(TOKEN_ATTACKS)];
  return {
    state,
    /**
     * Sends one valid request of each kind. Returns the four statuses in this order: heartbeat, session,
     * enrolment, user token.
     */
    async good(): Promise<number[]> {
      const answers = [await send(heartbeat), await send(opening), await send(enrolling), await ask(token)];
      return answers.map(({ status }) => status);
    },
    async round(number: number): Promise<Round> {
      const good = turns[number % turns.length];
      if (!good) {
        const name = pick(random, tokenNames);
        const forged = TOKEN_ATTACKS[name]!(token, random);
        return { name, forged, status: (await ask(forged)).status };
      }
      const name = pick(random, names);
      const forged = await ATTACKS[name]!(good, random);
      return { name: `${good.path}, ${name}`, forged, status: (await send(forged)).status };
    },
    secrets: [heartbeat, opening, enrolling]
      .map(({ headers }) => headers.signature!.slice(4, -1))
      .concat(token),
  };
}
