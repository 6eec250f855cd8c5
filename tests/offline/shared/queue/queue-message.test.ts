import { describe, expect, test } from "bun:test";
import {
  COMPRESSED,
  decodePack,
  encodeEntry,
  encodePack,
  lineBytes,
  OPENED_BYTES_MAX,
  PACK_BYTES_MAX,
  REASONS,
  REPLAYABLE_REASONS,
} from "../../../../shared/queue/message.ts";

const ASSET = "01M807NRG7BVMVH9SM4YAEXFPG";
const AT = "2026-11-21T00:00:00.000Z";
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const text = (...entries: Parameters<typeof encodeEntry>[0][]): string =>
  new TextDecoder().decode(encodePack("org_a", entries.map(encodeEntry)));

test("a pack is a header and one line for each heartbeat, byte for byte", () => {
  const entries = [
    { assetId: ASSET, receivedAt: AT, body: '{"a":"ä主"}' },
    { assetId: ASSET, receivedAt: AT, trace: TRACE, body: new TextEncoder().encode("{}") },
  ];
  const pack = text(...entries);
  expect(pack).toBe(
    `{"v":1,"tenant":"org_a","count":2}\n{"asset":"${ASSET}","receivedAt":"${AT}"} {"a":"ä主"}\n` +
      `{"asset":"${ASSET}","receivedAt":"${AT}","trace":"${TRACE}"} {}`,
  );
  expect(decodePack(pack)).toEqual({
    tenantId: "org_a",
    entries: [
      { assetId: ASSET, receivedAt: AT, body: '{"a":"ä主"}' },
      { assetId: ASSET, receivedAt: AT, trace: TRACE, body: "{}" },
    ],
  });
  const header = '{"v":1,"tenant":"org_a","count":2}'.length;
  const bytes = entries.map(encodeEntry).reduce((sum, line) => sum + lineBytes(line), header);
  expect(Buffer.byteLength(pack)).toBe(bytes);
});

test("a pack without heartbeats is valid: the outbox has a new event", () => {
  expect(decodePack(text())).toEqual({ tenantId: "org_a", entries: [] });
});

describe("decodePack() refuses", () => {
  const line = `{"asset":"${ASSET}","receivedAt":"${AT}"} {}`;
  const pack = (header: object, ...lines: string[]) => [JSON.stringify(header), ...lines].join("\n");
  const good = { v: 1, tenant: "org_a", count: 1 };
  test("no valid pack", () => {
    expect(decodePack(pack(good, line)).entries).toHaveLength(1);
    const many = Array.from({ length: 10_000 }, () => line);
    expect(decodePack(pack({ ...good, count: 10_000 }, ...many)).entries).toHaveLength(10_000);
  });
  test.each([
    ["another version", pack({ ...good, v: 2 }, line), ""],
    ["a tenant of wrong form", pack({ ...good, tenant: "org a" }, line), ""],
    ["a member more", pack({ ...good, more: 1 }, line), ""],
    ["a count below 0", pack({ ...good, count: -1 }), ""],
    ["a count that is not whole", pack({ ...good, count: 1.5 }, line), ""],
    ["more than 10,000", pack({ ...good, count: 10_001 }, ...Array(10_001).fill(line)), ""],
    ["fewer lines than it names", pack({ ...good, count: 2 }, line), "announces 2 heartbeats but contains 1"],
    ["more lines than it names", pack(good, line, line), "announces 1 heartbeats but contains 2"],
    ["no text", "", ""],
    [
      "an asset of wrong form",
      pack(good, line.replace("01M8", "81M8")),
      "a line of the pack has no valid head",
    ],
    [
      "an asset that is too short",
      pack(good, line.replace("01M8", "0M8")),
      "a line of the pack has no valid head",
    ],
    [
      "a time that is none",
      pack(good, line.replace("11-21", "13-41")),
      "a line of the pack has no valid head",
    ],
    ["a time of wrong form", pack(good, line.replace(".000Z", "Z")), "a line of the pack has no valid head"],
    ["something before the head", pack(good, ` ${line}`), "a line of the pack has no valid head"],
    [
      "no space behind the head",
      pack(good, line.replace("} {", "}{")),
      "a line of the pack has no valid head",
    ],
    [
      "a trace that is none",
      pack(good, line.replace("} {", ',"trace":"00-0-0-01"} {')),
      "a line of the pack has no valid head",
    ],
  ])("%s", (_what, wrong, message) => {
    expect(() => decodePack(wrong)).toThrow(message);
  });
});

test("limits and names stay compatible with other versions of edge and worker", () => {
  expect([PACK_BYTES_MAX, OPENED_BYTES_MAX, COMPRESSED]).toEqual([491_520, 4_194_304, "z1:"]);
  expect(Object.values(REASONS)).toEqual([
    "unsigned",
    "the signature does not verify",
    "signed with a key that the worker does not know",
    "signed, but not a pack of heartbeats",
    "the heartbeat does not match its schema",
  ]);
  expect(REPLAYABLE_REASONS).toEqual(new Set([REASONS.unknownKey, REASONS.noPack, REASONS.noHeartbeat]));
});
