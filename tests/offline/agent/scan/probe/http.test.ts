import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { hostOf } from "../../../../../agent/scan/probe/connection.ts";
import { CHUNKS_MAX, parseAnswer, requestText } from "../../../../../agent/scan/probe/http-client.ts";
import { createProbe, PROBE_LIMITS } from "../../../../../agent/scan/probe/probe.ts";
import { missing, testUnless } from "../../../../support/missing.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const parse = (text: string, ended = false, bodyBytesMax = 1024) =>
  parseAnswer(bytes(text), ended, bodyBytesMax);

test("requestText() includes the port in Host, and contains neither the agent's name nor an Accept-Encoding header", () => {
  const text = requestText("[::1]:11434", "/api/tags");
  expect(text).toStartWith("GET /api/tags HTTP/1.1\r\nHost: [::1]:11434\r\n");
  expect(text).not.toMatch(/lz|lifecycle|agent\/|accept-encoding/i);
});

testUnless(
  missing("curl"),
  "a server receives the same from a probe as from curl, except for the version",
  async () => {
    const heard: string[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        heard.push(data.toString("latin1"));
        socket.end("HTTP/1.1 204 No Content\r\n\r\n");
      });
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const probed = await createProbe()({ address: "127.0.0.1", port, tls: false }, "/v1/models");
    expect(probed).toMatchObject({ status: 204 });
    await Bun.spawn(["curl", "--disable", "--silent", "--noproxy", "*", `http://127.0.0.1:${port}/v1/models`])
      .exited;
    server.close();
    const [own, curls] = heard.map((text) => text.replace(/curl\/[0-9.]+/, "curl/VERSION"));
    expect(own).toBe(curls!);
    expect(own).toContain("User-Agent: curl/VERSION\r\n");
  },
);

describe("parseAnswer()", () => {
  const head = "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nX-A: 1\r\nx-a: 2\r\n";

  test("reads status, headers in lower case and a body of known length", () => {
    expect(parse(`${head}Content-Length: 5\r\n\r\nhello and more`)).toEqual({
      state: "complete",
      answer: {
        status: 200,
        headers: { server: "llama.cpp", "x-a": "1, 2", "content-length": "5" },
        body: "hello",
      },
    });
  });

  test.each([
    ["half a header", "HTTP/1.1 200 OK\r\nServer: a"],
    ["half a body", `${head}Content-Length: 5\r\n\r\nhel`],
    ["a body that ends with the connection", `${head}\r\nhello`],
    ["half a chunk", `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`],
    ["no last chunk", `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
    ["the start of the protocol's name", "HTT"],
  ])("waits for more data after %s", (_, text) => {
    expect(parse(text).state).toBe("incomplete");
  });

  test.each(["100 Continue\r\n\r\n", "103 Early Hints\r\nLink: </a.css>\r\n\r\n"])(
    "skips an interim response, and waits for the final one: %j",
    (interim) => {
      const text = `HTTP/1.1 ${interim}HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno`;
      expect(parse(text)).toMatchObject({ answer: { status: 404, body: "no" } });
      expect(parse(`HTTP/1.1 ${interim}`).state).toBe("incomplete");
      expect(parse(`HTTP/1.1 ${interim}`.repeat(4)).state).toBe("incomplete");
      expect(parse(`HTTP/1.1 ${interim}`.repeat(5)).state).toBe("not-http");
      expect(parse(`HTTP/1.1 ${interim}`, true).state).toBe("not-http");
    },
  );

  test("accepts a line feed alone as a line end", () => {
    expect(parse("HTTP/1.0 200 OK\nServer: llama.cpp\n\nhello\r\n\r\nyou", true)).toEqual({
      state: "complete",
      answer: { status: 200, headers: { server: "llama.cpp" }, body: "hello\r\n\r\nyou" },
    });
  });

  test("joins chunks and ignores their extensions", () => {
    const text = `${head}Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nC\r\n and a world\r\n0\r\n\r\n`;
    expect(parse(text)).toMatchObject({ answer: { body: "hello and a world" } });
  });

  // With these inputs, earlier versions of the parser looped or read past the end of the body.
  test.each(["-6\r\n", "-1\r\nhello", "0x5\r\nhello", " 5\r\nhello", "5e\u0000\r\nhello", "\r\nhello"])(
    "ends a body at an invalid chunk size: %j",
    (chunk) => {
      const answer = { body: "before" };
      expect(parse(`${head}Transfer-Encoding: chunked\r\n\r\n6\r\nbefore\r\n${chunk}`)).toMatchObject({
        answer,
      });
    },
  );

  test("reads a limited number of chunks", () => {
    const chunks = "1\r\nx\r\n".repeat(CHUNKS_MAX);
    const text = `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
    expect(parse(text, false, 65_536)).toMatchObject({ answer: { body: "x".repeat(CHUNKS_MAX) } });
    expect(parse(text.slice(0, -6), false, 65_536).state).toBe("incomplete");
  });

  test.each([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ] as const)(
    "reads a body in %s that the probe did not request, complete or incomplete, up to the limit",
    (coding, compress) => {
      const sent = (text: string, share = 1): string => {
        const body = compress(text);
        return `${head}Content-Encoding: ${coding}\r\n\r\n${body.subarray(0, body.length * share).toString("latin1")}`;
      };
      expect(parse(sent('{"a":1}'), true)).toMatchObject({ answer: { body: '{"a":1}' } });
      expect(parse(sent("y".repeat(1_000_000)), true, 100)).toMatchObject({
        answer: { body: "y".repeat(100) },
      });
      const words = Array.from({ length: 2000 }, (_, at) => `word ${at} `).join("");
      const cut = parse(sent(words, 0.5), true, 65_536);
      expect(cut).toMatchObject({ answer: { body: expect.stringMatching(/^word 0 word 1 /) } });
    },
  );

  test("decompresses only the start of a body that expands beyond the limit", () => {
    const beginning = "a title ".repeat(200);
    const bomb = gzipSync(`${beginning}${"x".repeat(20_000_000)}`).toString("latin1");
    const parsed = parse(`${head}Content-Encoding: gzip\r\n\r\n${bomb}`, true, 65_536);
    const { body } = (parsed as { answer: { body: string } }).answer;
    expect(body).toStartWith(beginning);
    expect(body.length).toBeLessThanOrEqual(65_536);
  });

  test("leaves a body unchanged if its encoding is unknown or invalid", () => {
    for (const coding of ["gzip", "zstd", "identity", "gzip, br"]) {
      const text = `${head}Content-Encoding: ${coding}\r\n\r\nplain`;
      expect(parse(text, true)).toMatchObject({ answer: { body: "plain" } });
    }
  });

  test("cuts a body at the limit, with any framing", () => {
    const long = "x".repeat(5000);
    for (const framing of ["", "Content-Length: 5000\r\n"]) {
      expect(parse(`${head}${framing}\r\n${long}`, true, 100)).toMatchObject({
        answer: { body: "x".repeat(100) },
      });
    }
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n1388\r\n${long}`;
    expect(parse(chunked, false, 100)).toMatchObject({ answer: { body: "x".repeat(100) } });
  });

  test("distinguishes a TLS alert from other protocols", () => {
    expect(parse("\x15\x03\x03\x00\x02\x02\x46")).toEqual({ state: "not-http", tlsAlert: true });
    expect(parse("SSH-2.0-OpenSSH_9.9\r\n")).toEqual({ state: "not-http", tlsAlert: false });
    expect(parse("", true)).toEqual({ state: "not-http", tlsAlert: true });
    expect(parse(`HTTP/1.1 200 OK\r\nA: ${"x".repeat(20_000)}`)).toEqual({
      state: "not-http",
      tlsAlert: false,
    });
  });

  test("never throws for arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.boolean(), (tail, ended) => {
        parse(tail, ended);
        parse(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${tail}`, ended, 50);
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  ["127.0.0.1", "127.0.0.1:80"],
  ["::1", "[::1]:80"],
  ["fe80::1%eth0", "[fe80::1]:80"],
])("hostOf() %s is %s", (address, host) => {
  expect(hostOf({ address, port: 80 })).toBe(host);
});

describe("createProbe()", () => {
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  async function listen(
    onData: (socket: { write(text: string): void; end(): void }, request: Buffer) => void,
  ): Promise<number> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (request: Buffer) => onData(socket, request));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as { port: number }).port;
  }

  const target = (port: number) => ({ address: "127.0.0.1", port, tls: false });

  test("times out if a server accepts the connection and never responds", async () => {
    const port = await listen(() => {});
    const startedAt = performance.now();
    expect(await createProbe(100)(target(port), "/")).toEqual({ failed: "silent" });
    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  test("returns the start of an endless stream", async () => {
    const port = await listen((socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nevent: endpoint\n"));
    expect(await createProbe(700)(target(port), "/sse")).toMatchObject({
      status: 200,
      body: "event: endpoint\n",
    });
  });

  test("does not follow a redirect", async () => {
    const port = await listen((socket) => {
      socket.write("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n");
    });
    expect(await createProbe()(target(port), "/")).toMatchObject({ status: 302, body: "" });
  });

  test("reports a refused connection, and stops immediately when aborted", async () => {
    expect(await createProbe()(target(1), "/")).toEqual({ failed: "refused" });
    const port = await listen(() => {});
    expect(await createProbe(5000)(target(port), "/", { signal: AbortSignal.timeout(50) })).toEqual({
      failed: "silent",
    });
    expect(await createProbe(5000)(target(port), "/", { signal: AbortSignal.abort() })).toEqual({
      failed: "silent",
    });
  });

  test("limits the number of open connections", async () => {
    let open = 0;
    let most = 0;
    const port = await listen((socket, request) => {
      // Another agent on this host can also probe this port.
      if (!request.includes("GET /counted ")) return;
      open += 1;
      most = Math.max(most, open);
      setTimeout(() => {
        open -= 1;
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }, 20);
    });
    const probe = createProbe();
    await Promise.all(Array.from({ length: 60 }, () => probe(target(port), "/counted")));
    expect(most).toBe(PROBE_LIMITS.IN_FLIGHT_MAX);
  });
});
