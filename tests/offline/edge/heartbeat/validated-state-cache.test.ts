import { describe, expect, test } from "bun:test";
import { inflateRawSync } from "node:zlib";
import { createValidatedStates } from "../../../../edge/heartbeat/validated-state-cache.ts";
import { bunHashing } from "../../../../edge/runtime/bun-hashing.ts";
import { denoHashing } from "../../../../edge/runtime/deno-hashing.ts";
import { webHashing } from "../../../../edge/runtime/hashing.ts";
import { makeEngine, makeHeartbeat, signedRequest } from "../../../../lz/platform/simulated-agents.ts";
import { utf8 } from "../../../../shared/encoding/bytes.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { EDGE_URL, makeEdgeApp } from "../../../support/edge/edge-app.ts";

const NOW_MS = 1_790_000_000_000;
const SINCE = timestamp(NOW_MS);
const text = (sequence: number, more = {}) =>
  JSON.stringify(
    makeHeartbeat(sequence, NOW_MS + sequence * 5000, "host", {
      stateSince: SINCE,
      engines: [makeEngine()],
      ...more,
    }),
  );

function remembering(first: string) {
  const seen = createValidatedStates(webHashing);
  seen.remember("k", utf8(first), { text: first, json: JSON.parse(first), provenGeneration: 7 });
  return (other: string, keyid = "k") => seen.recognise(keyid, utf8(other));
}

describe("createValidatedStates()", () => {
  test("recognises a heartbeat that differs only in sequence, time and spool, and only in its own session", () => {
    const recognise = remembering(text(1));
    expect(recognise(text(2))).toBe(7);
    expect(recognise(text(999_999_999_999, { sentAt: SINCE, spool: { waiting: 3, dropped: 9 } }))).toBe(7);
    expect(recognise(text(2), "other")).toBeUndefined();
  });

  const good = text(2);
  const others: [string, string][] = [
    ["another engine", text(2, { engines: [makeEngine({ pid: 1 })] })],
    ["another state date", text(2, { stateSince: timestamp(NOW_MS + 1) })],
    ["a date that is none", good.replace(/"sentAt":"[^"]+"/, '"sentAt":"2026-13-40T00:00:00.000Z"')],
    ["a negative number", good.replace('"sequence":2', '"sequence":-2')],
    ["a number with a leading zero", good.replace('"sequence":2', '"sequence":02')],
    ["a number beyond what is exact", good.replace('"sequence":2', '"sequence":9007199254740993')],
    ["a fraction", good.replace('"dropped":0', '"dropped":0.5')],
    ["an added member", good.replace(/\}$/, ',"extra":1}')],
    ["white space", good.replace('"sequence":2', '"sequence": 2')],
    ["a line break at the end", `${good}\n`],
    ["another version", good.replace('"v":1', '"v":2')],
  ];
  for (const [what, other] of others) {
    test(`does not recognise ${what}`, () => expect(remembering(text(1))(other)).toBeUndefined());
  }

  test("remembers no text that JSON.parse would read differently", () => {
    const twice = text(1).replace('"host":{', '"sequence":5,"host":{');
    expect(remembering(twice)(twice)).toBeUndefined();
    const escaped = text(1).replace('"hostname":"host"', '"hostname":"\\u0068ost"');
    expect(remembering(escaped)(escaped)).toBeUndefined();
  });
});

test("an unchanged heartbeat is accepted like the first one, and one that only looks unchanged is validated", async () => {
  const { app, state, openSession } = await makeEdgeApp();
  const signer = await openSession();
  const send = async (body: string) =>
    (await app.request(await signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000)))
      .status;
  expect([await send(text(1)), await send(text(2)), await send(text(3))]).toEqual([202, 202, 202]);
  for (const [, other] of [
    ["", text(4).replace(/\}$/, ',"extra":1}')],
    ["", text(4).replace('"sequence":4', '"sequence":-4')],
  ]) {
    expect(await send(other!)).toBe(400);
  }
  expect(state.queued.map(({ body }) => body)).toEqual([text(1), text(2), text(3)]);
});

for (const [name, hashing] of [
  ["Bun's", bunHashing],
  ["Deno's", denoHashing],
] as const) {
  test(`${name} hashes equal those of WebCrypto, and a changed bit or another length is rejected`, async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(5000));
    expect(await hashing.contentDigest(bytes)).toBe(await webHashing.contentDigest(bytes));
    const secret = crypto.getRandomValues(new Uint8Array(32));
    const mac = new Uint8Array(new Bun.CryptoHasher("sha256", secret).update("data").digest());
    const changed = mac.with(0, mac[0]! ^ 1);
    for (const key of [await webHashing.macKey(secret), await hashing.macKey(secret)]) {
      expect(await key.verify("data", mac)).toBe(true);
      expect(await key.verify("data", changed as Uint8Array<ArrayBuffer>)).toBe(false);
      expect(await key.verify("data", mac.slice(0, 31))).toBe(false);
      expect(await key.verify("Data", mac)).toBe(false);
    }
    for (const { isEqual } of [webHashing, hashing]) {
      expect(isEqual(bytes, bytes.slice())).toBe(true);
      expect(isEqual(bytes, bytes.with(4999, bytes[4999]! ^ 1))).toBe(false);
      expect(isEqual(bytes, bytes.subarray(0, 4999))).toBe(false);
    }
    const plain = new Uint8Array(50_000).fill(7);
    for (const deflate of [webHashing.deflate, hashing.deflate])
      expect(inflateRawSync(await deflate(plain))).toEqual(Buffer.from(plain));
  });
}
