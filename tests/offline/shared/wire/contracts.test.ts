import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { canonicalJson } from "../../../../shared/encoding/canonical-json.ts";
import { decodePack, encodeEntry, encodePack } from "../../../../shared/queue/message.ts";
import { marshalItem, unmarshalItem } from "../../../../shared/table/dynamo.ts";
import { assetItem } from "../../../../shared/table/items/asset/asset.ts";
import { decodeItem } from "../../../../shared/table/items/decode.ts";
import { shardOf, telemetryKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { heartbeat } from "../../../../shared/wire/heartbeat.ts";
import { stateText } from "../../../../shared/wire/state.ts";
import { text, tidy } from "../../../../shared/wire/text.ts";

const ASSET = "01M807NRG7BVMVH9SM4YAEXFPG";

describe("text", () => {
  test("tidy() makes any string valid for text()", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 50 }), (value, max) => {
        expect(text(max).safeParse(tidy(value, max)).success).toBe(true);
      }),
    );
  });
  test("text() accepts its limit, and refuses longer, empty and deceptive text", () => {
    expect(text(3).safeParse("abc").success).toBe(true);
    for (const wrong of ["abcd", "", "a\u0000", "a\u202e", "\ud800", "a\uffff", "a\u2028"]) {
      expect(text(3).safeParse(wrong).success).toBe(false);
    }
  });
});

describe("heartbeat", () => {
  test("the example heartbeat of the simulated fleet is valid", () => {
    expect(heartbeat.safeParse(makeHeartbeat(1, Date.now(), "h", { engines: [makeEngine()] })).success).toBe(
      true,
    );
  });
  test("stateText() ignores insignificant details and includes significant ones", () => {
    const base = makeHeartbeat(1, 1_790_000_000_000, "h", {
      engines: [makeEngine(), makeEngine({ id: "vllm" })],
    });
    const same = [
      { ...base, sequence: 2, sentAt: timestamp(1_790_000_005_000) },
      { ...base, spool: { waiting: 5, dropped: 1 } },
      { ...base, engines: base.engines.toReversed() },
      {
        ...base,
        engines: base.engines.map((e) => ({ ...e, clients: [{ name: "code", pid: 7, connections: 9 }] })),
      },
      { ...base, collectors: base.collectors.map((c) => ({ ...c, detail: "41 of 212 processes" })) },
    ];
    for (const other of same) expect(stateText(other)).toBe(stateText(base));
    const different = [
      { ...base, engines: [makeEngine()] },
      { ...base, engines: [makeEngine({ pid: 1 }), makeEngine({ id: "vllm" })] },
      { ...base, engines: base.engines.map((e) => ({ ...e, clients: [{ name: "excel", connections: 1 }] })) },
      { ...base, collectors: [{ name: "processes", status: "failed" as const }] },
      { ...base, containment: { ...base.containment, generation: 1 } },
    ];
    for (const other of different) expect(stateText(other)).not.toBe(stateText(base));
  });
});

describe("queue message", () => {
  const entry = (body: string) => ({
    assetId: ASSET,
    receivedAt: timestamp(0).replace("1970", "2026"),
    body,
  });
  test("decodePack() returns each heartbeat byte for byte", () => {
    const bodies = fc.array(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(bodies, (texts) => {
        const entries = texts.map(entry);
        expect(decodePack(fromUtf8(encodePack("org_a", entries.map(encodeEntry))))).toEqual({
          tenantId: "org_a",
          entries,
        });
      }),
    );
  });
  test("decodePack() refuses a pack with a wrong count of heartbeats", () => {
    const pack = fromUtf8(encodePack("org_a", [encodeEntry(entry("{}")), encodeEntry(entry("{}"))]));
    expect(() => decodePack(pack.replace('"count":2', '"count":1'))).toThrow();
    expect(() => decodePack(pack.replace('"count":2', '"count":3'))).toThrow();
    expect(() => decodePack(pack.replace("org_a", "org#a"))).toThrow();
  });
});

describe("table", () => {
  test("unmarshalItem() reverts marshalItem() for all JSON values", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (item) => {
        const plain = JSON.parse(JSON.stringify(item)) as Record<string, unknown>;
        expect(unmarshalItem(marshalItem(plain))).toEqual({ ...plain });
      }),
    );
  });
  test("shardOf() is in range, stable per asset, and evenly distributed", () => {
    const ids = Array.from(
      { length: 10_000 },
      (_, i) => ASSET.slice(0, 20) + i.toString(32).toUpperCase().padStart(6, "0"),
    );
    const counts = Array.from({ length: 10 }, () => 0);
    for (const id of ids) counts[shardOf(id, 10)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(telemetryKey("org_a", ASSET, "2026-11-21T00:00:00.000Z", 10)).toEqual({
      PK: "TENANT#org_a#TELEMETRY#SHARD#0",
      SK: `TELEMETRY#${ASSET}#2026-11-21T00:00:00.000Z`,
    });
  });
  test("decodeItem() reports the key of an invalid item, but not its content", () => {
    const stored = marshalItem({ PK: "TENANT#org_a", SK: "ASSET#x", type: "Asset", hostname: "secret-host" });
    expect(() => decodeItem(assetItem, stored)).toThrow(/TENANT#org_a \/ ASSET#x/);
    expect(() => decodeItem(assetItem, stored)).not.toThrow(/secret-host/);
  });
});

test("canonicalJson() returns the same text for equal values", () => {
  expect(canonicalJson({ b: [1, { d: null, c: "é" }], a: undefined })).toBe('{"b":[1,{"c":"é","d":null}]}');
  expect(canonicalJson({ a: 1, b: 2 })).toBe(canonicalJson({ b: 2, a: 1 }));
});
