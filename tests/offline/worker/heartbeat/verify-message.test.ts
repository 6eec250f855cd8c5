import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { createQueueClient } from "../../../../edge/platform/queue-client.ts";
import { bunHashing } from "../../../../edge/runtime/bun-hashing.ts";
import { type Hashing, webHashing } from "../../../../edge/runtime/hashing.ts";
import { makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { encodeEntry, OPENED_BYTES_MAX, REASONS } from "../../../../shared/queue/message.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";
import type { Message } from "../../../../worker/heartbeat/queue-message.ts";
import {
  deadLetterOf,
  deadLetterOfEntry,
  inflate,
  openedBytes,
  openMessage,
} from "../../../../worker/heartbeat/verify-message.ts";

const KEY = crypto.getRandomValues(new Uint8Array(32));
const KEYS = new Map<string, Uint8Array>([["q1", KEY]]);
const entry = (sequence: number) => ({
  assetId: "01M807NRG7BVMVH9SM4YAEXFPG",
  receivedAt: "2026-11-21T00:00:00.000Z",
  body: JSON.stringify(makeHeartbeat(sequence, 1_790_000_000_000, "höst 主机")),
});

/** A message as the edge sends it, taken from the edge's request to SQS. */
async function sent(hashing: Pick<Hashing, "deflate">, sequences: number[]): Promise<Message> {
  let request:
    | { MessageBody: string; MessageAttributes: Record<string, { StringValue: string }> }
    | undefined;
  const { md5 } = bunHashing;
  const { send } = createQueueClient({
    call: async (_target, body) => {
      request = JSON.parse(body);
      const MD5OfMessageBody = Bun.MD5.hash(request!.MessageBody, "hex");
      return { ok: true, value: { MessageId: "m", MD5OfMessageBody } };
    },
    queueUrl: "http://q/0/queue",
    instruments: { sent: () => {} },
    hashing: { ...hashing, md5 },
    signing: { kid: "q1", key: await importHmacKey(KEY, ["sign"]) },
    log: () => {},
  });
  await send(
    "org_a",
    sequences.map((sequence) => encodeEntry(entry(sequence))),
  );
  const { MessageBody: body, MessageAttributes: attributes } = request!;
  return {
    id: "m",
    receipt: "r",
    receives: 1,
    body,
    kid: "q1",
    signature: attributes["lz-signature"]!.StringValue,
  } as Message;
}

const signed = (body: string): Message =>
  ({
    id: "m",
    receipt: "r",
    receives: 1,
    body,
    kid: "q1",
    signature: new Bun.CryptoHasher("sha256", KEY).update(body).digest("base64url"),
  }) as Message;

describe("openMessage()", () => {
  for (const [name, hashing] of [
    ["Bun", bunHashing],
    ["the web", webHashing],
  ] as const) {
    test(`returns the heartbeats of an edge with the compression of ${name}, byte for byte`, async () => {
      const message = await sent(hashing, [1, 2, 3]);
      expect(message.body.startsWith("z1:")).toBe(true);
      expect(openMessage(message, KEYS)).toEqual({
        ok: true,
        pack: { tenantId: "org_a", entries: [1, 2, 3].map(entry) },
      });
    });
  }

  test("decompresses nothing without a valid signature", async () => {
    const message = await sent(bunHashing, [1]);
    const body = `${message.body.slice(0, -4)}AAAA`;
    expect(openMessage({ ...message, body }, KEYS)).toEqual({
      ok: false,
      reason: "the signature does not verify",
    });
  });

  test("refuses a signed body that is not a pack: invalid base64, invalid deflate, or too large", () => {
    const bomb = deflateRawSync(Buffer.alloc(OPENED_BYTES_MAX + 1, 32)).toString("base64");
    for (const body of ["z1:", "z1:####", "z1:AAAA", `z1:${bomb}`, "z2:AAAA", "{}"]) {
      expect(openMessage(signed(body), KEYS)).toMatchObject({ ok: false });
    }
  });
});

describe("openMessage() returns the reason for a refusal", () => {
  const body = '{"v":1,"tenant":"org_a","count":0}';
  test.each([
    ["without a key id", { kid: undefined }, REASONS.unsigned],
    ["without a signature", { signature: undefined }, REASONS.unsigned],
    ["with a key that is not known", { kid: "q2" }, REASONS.unknownKey],
    ["with a signature that is too short", { signature: "AAAA" }, REASONS.forged],
    ["with another signature", { signature: "A".repeat(43) }, REASONS.forged],
    ["with a signature of another body", { body: `${body} ` }, REASONS.forged],
  ])("%s", (_what, more, reason) => {
    expect(openMessage(signed(body), KEYS)).toEqual({ ok: true, pack: { tenantId: "org_a", entries: [] } });
    expect(openMessage({ ...signed(body), ...more } as Message, KEYS)).toEqual({ ok: false, reason });
  });
  test("signed, but not a pack", () => {
    expect(openMessage(signed("{}"), KEYS)).toEqual({ ok: false, reason: REASONS.noPack });
  });
});

test("inflate() accepts data up to the limit, and openedBytes() estimates its size", () => {
  const text = " ".repeat(OPENED_BYTES_MAX);
  const body = `z1:${deflateRawSync(text).toString("base64")}`;
  expect(inflate(body)).toBe(text);
  expect(inflate("{ä}")).toBe("{ä}");
  expect([openedBytes("{}"), openedBytes("z1:AAAA"), openedBytes(`z1:${"A".repeat(500_000)}`)]).toEqual([
    2,
    70,
    OPENED_BYTES_MAX,
  ]);
});

test("deadLetterOf() keeps the signature only if another worker may accept the message", () => {
  const message = signed("{}");
  const plain = { body: "{}", origin: "m" };
  for (const reason of [REASONS.unknownKey, REASONS.noPack])
    expect(deadLetterOf(message, reason)).toEqual({
      ...plain,
      reason,
      kid: "q1",
      signature: message.signature!,
    });
  for (const reason of [REASONS.forged, REASONS.unsigned])
    expect(deadLetterOf(message, reason)).toEqual({ ...plain, reason });
  const { kid: _kid, ...withoutKeyId } = message;
  const { signature: _signature, ...withoutSignature } = message;
  for (const incomplete of [withoutKeyId, withoutSignature])
    expect(deadLetterOf(incomplete, REASONS.noPack)).toEqual({
      ...plain,
      reason: REASONS.noPack,
    });
});

test("deadLetterOfEntry() creates a signed pack of one heartbeat that a worker can open", () => {
  const letter = deadLetterOfEntry(signed("{}"), "org_a", entry(7), KEYS);
  expect(letter).toMatchObject({ reason: REASONS.noHeartbeat, origin: "m", kid: "q1" });
  expect(openMessage({ ...signed(""), ...letter } as Message, KEYS)).toEqual({
    ok: true,
    pack: { tenantId: "org_a", entries: [entry(7)] },
  });
});
