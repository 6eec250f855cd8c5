import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createSecureServer, createServer, type Http2SecureServer, type Http2Server } from "node:http2";
import { createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { Http2Reader, isHttp2Preface } from "../../../../../agent/scan/http2/http2.ts";
import { createProbe } from "../../../../../agent/scan/probe/probe.ts";
import { ROOT } from "../../../../support/stack.ts";

const servers: (Http2Server | Http2SecureServer | Server)[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

function listen(server: Http2Server | Http2SecureServer | Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

/** Starts a server that responds to the first data it receives with these bytes. */
const raw = (bytes: Uint8Array) =>
  listen(
    createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.write(bytes));
    }),
  );

const at = (port: number, tls = false) => ({ address: "127.0.0.1", port, tls, http2: true }) as const;
const probe = createProbe(300);

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
const STATUS_200 = Buffer.from([0x88]);

describe("isHttp2Preface()", () => {
  test("accepts a SETTINGS frame and rejects the first bytes of other servers", () => {
    expect(isHttp2Preface(SETTINGS)).toBe(true);
    // The first bytes that a server of grpcio 1.85.3 sends to an HTTP/1.1 client.
    const grpc = "000018040000000000000400400000000500400000000600004000fe030000000100000408000000000000";
    expect(isHttp2Preface(Buffer.from(grpc, "hex"))).toBe(true);
    expect(isHttp2Preface(Buffer.from("220 mail.example.com ESMTP\r\n"))).toBe(false);
    expect(isHttp2Preface(Buffer.from("HTTP/1.1 400 Bad Request\r\n"))).toBe(false);
    // Greeting of a MySQL server: length, sequence number 0, protocol version 10.
    expect(isHttp2Preface(Buffer.from("4a0000000a382e302e3336", "hex"))).toBe(false);
    expect(isHttp2Preface(SETTINGS.subarray(0, 8))).toBe(false);
  });
});

describe("an HTTP/2 probe", () => {
  test("reports http2 if a server responds to HTTP/1.1 with a SETTINGS frame", async () => {
    const port = await raw(SETTINGS);
    expect(await probe({ address: "127.0.0.1", port, tls: false }, "/")).toEqual({ failed: "http2" });
  });

  test("reads status, headers and body of a server that supports only HTTP/2", async () => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === "/v1/models" ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify({ method: request.method, ü: "x".repeat(40_000) }));
    });
    const port = await listen(server);
    const found = await probe(at(port), "/v1/models");
    expect(found).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
    expect(JSON.parse((found as { body: string }).body)).toEqual({ method: "GET", ü: "x".repeat(40_000) });
    expect(await probe(at(port), "/other", { bodyBytesMax: 100 })).toMatchObject({ status: 404 });
  });

  test("offers HTTP/2 in the TLS handshake", async () => {
    const tls = (name: string) => readFileSync(join(ROOT, "tests/fixtures/tls", name));
    const server = createSecureServer(
      { key: tls("self-signed-key.pem"), cert: tls("self-signed.pem") },
      (_, response) => response.end("ok"),
    );
    expect(await probe(at(await listen(server), true), "/")).toMatchObject({ status: 200, body: "ok" });
  });

  test("returns a partial response at a timeout, and reports `silent` if there is no response", async () => {
    const answer = Buffer.concat([SETTINGS, frame(1, 4, 1, STATUS_200), frame(0, 0, 1, Buffer.from("half"))]);
    expect(await probe(at(await raw(answer)), "/")).toMatchObject({ status: 200, body: "half" });
    expect(await probe(at(await raw(SETTINGS)), "/")).toEqual({ failed: "silent" });
  });

  test.each([
    ["a frame larger than allowed", Buffer.concat([SETTINGS, Buffer.from("ffffff000000000001", "hex")])],
    ["headers that are none", Buffer.concat([SETTINGS, frame(1, 4, 1, Buffer.from([0xff, 0x00]))])],
    ["a stream that is reset", Buffer.concat([SETTINGS, frame(3, 0, 1, Buffer.alloc(4))])],
    ["a connection that is over", Buffer.concat([SETTINGS, frame(7, 0, 0, Buffer.alloc(8))])],
    ["pings without end", Buffer.concat([SETTINGS, ...Array(5000).fill(frame(6, 1, 0, Buffer.alloc(8)))])],
    ["another protocol", Buffer.from("SSH-2.0-OpenSSH_9.6\r\n")],
  ])("is not misled by %s", async (_, bytes) => {
    expect(await probe(at(await raw(bytes)), "/")).toEqual({ failed: "not-http" });
  });

  test("reads padding, priorities, interim responses and split header blocks", () => {
    const block = Buffer.concat([STATUS_200, Buffer.from([0, 1, 0x61, 1, 0x62])]);
    const bytes = Buffer.concat([
      SETTINGS,
      // `:status 103`, encoded as a literal whose name is entry 8 of the static table.
      frame(1, 4, 1, Buffer.from([0x08, 3, 0x31, 0x30, 0x33])),
      frame(
        1,
        0x28,
        1,
        Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 16]), block.subarray(0, 2), Buffer.alloc(2)]),
      ),
      frame(9, 4, 1, block.subarray(2)),
      frame(0, 9, 1, Buffer.concat([Buffer.from([3]), Buffer.from("body"), Buffer.alloc(3)])),
    ]);
    const reader = new Http2Reader({ grpc: false, bodyBytesMax: 1024 });
    expect(reader.read(bytes, false)).toEqual({
      is: "complete",
      answer: { status: 200, headers: { ":status": "200", a: "b" }, body: "body" },
    });
    expect(reader.takeReplies()).toHaveLength(1);
  });

  test("gives the same result for any split of the bytes, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (tail, isPreface) => {
        const bytes = isPreface ? new Uint8Array(Buffer.concat([SETTINGS, tail])) : tail;
        const whole = new Http2Reader({ grpc: true, bodyBytesMax: 64 });
        const parts = new Http2Reader({ grpc: true, bodyBytesMax: 64 });
        for (let length = 1; length < bytes.length; length += 7) parts.read(bytes.subarray(0, length), false);
        expect(parts.read(bytes, true)).toEqual(whole.read(bytes, true));
      }),
      { numRuns: 500 },
    );
  });
});
