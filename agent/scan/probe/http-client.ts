import { brotliDecompressSync, constants, gunzipSync, inflateSync } from "node:zlib";
import type { Answer } from "../../catalogue/http-answer.ts";

const HEADER_BYTES_MAX = 16 * 1024;
/** Maximum number of interim responses (1xx, RFC 9110 §15.2) before the final response. */
const INTERIM_MAX = 4;
/** RFC 9112 §2.2: a line may end with a line feed alone. */
const BLANK_LINE = /\r?\n\r?\n/;

/** User-Agent of the curl version in Ubuntu 24.04 LTS. */
export const CURL = "curl/8.5.0";

/**
 * Text of a probe's request. It equals a curl request byte for byte, so that a server cannot recognise the
 * agent by its headers and hide. Browser headers would ask for HTML and compression, and API servers would
 * respond with a page.
 */
export function requestText(host: string, path: string): string {
  const headers = [`Host: ${host}`, `User-Agent: ${CURL}`, "Accept: */*"];
  return `GET ${path} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`;
}

export type Parsed =
  | { state: "incomplete" }
  | { state: "not-http"; tlsAlert: boolean }
  | { state: "complete"; answer: Answer };

/**
 * Parses the bytes received so far as an HTTP/1.1 response (RFC 9112). `ended`: the peer closed the
 * connection. A body is complete at its Content-Length, after its last chunk, at `bodyBytesMax`, or when the
 * peer closes the connection.
 */
export function parseAnswer(
  bytes: Uint8Array,
  ended: boolean,
  bodyBytesMax: number,
  interimMax = INTERIM_MAX,
): Parsed {
  const start = latin1(bytes.subarray(0, 5));
  if (!"HTTP/".startsWith(start.slice(0, 5)) || (ended && start.length < 5)) {
    // A TLS server responds to plain text with an alert record (RFC 8446 §5.1) or closes the connection.
    return { state: "not-http", tlsAlert: bytes[0] === 0x15 || bytes.length === 0 };
  }
  const first = latin1(bytes.subarray(0, HEADER_BYTES_MAX));
  const blank = BLANK_LINE.exec(first);
  if (!blank) {
    if (ended || bytes.length > HEADER_BYTES_MAX) return { state: "not-http", tlsAlert: false };
    return { state: "incomplete" };
  }
  const head = parseHead(first.slice(0, blank.index));
  if (!head) return { state: "not-http", tlsAlert: false };
  const rest = bytes.subarray(blank.index + blank[0].length);
  if (head.status < 200) {
    if (interimMax === 0 || (ended && rest.length === 0)) return { state: "not-http", tlsAlert: false };
    return rest.length === 0
      ? { state: "incomplete" }
      : parseAnswer(rest, ended, bodyBytesMax, interimMax - 1);
  }
  const body = readBody(rest, head, ended, bodyBytesMax);
  if (!body) return { state: "incomplete" };
  const plain = decoded(body, head.headers["content-encoding"]).subarray(0, bodyBytesMax);
  return { state: "complete", answer: { ...head, body: new TextDecoder().decode(plain) } };
}

function parseHead(text: string): { status: number; headers: Record<string, string> } | undefined {
  const [statusLine, ...lines] = text.split(/\r?\n/);
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine!)?.[1];
  if (!status) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return { status: Number(status), headers };
}

/** Returns the body, or undefined while it is incomplete. */
function readBody(
  bytes: Uint8Array,
  head: { status: number; headers: Record<string, string> },
  ended: boolean,
  bytesMax: number,
): Uint8Array | undefined {
  if (head.status === 204 || head.status === 304) return bytes.subarray(0, 0);
  if (/\bchunked\b/i.test(head.headers["transfer-encoding"] ?? "")) return readChunks(bytes, ended, bytesMax);
  const length = Number(head.headers["content-length"] ?? Number.NaN);
  if (bytes.length >= bytesMax || bytes.length >= length || ended) {
    return bytes.subarray(0, Math.min(bytesMax, Number.isNaN(length) ? bytesMax : length));
  }
  return undefined;
}

/**
 * Maximum size of a decompressed body in bytes. No caller reads more. Without this limit, 60 kB could expand
 * to 60 MB for each of many parallel listeners.
 */
const DECODED_BYTES_MAX = 256 * 1024;
/**
 * Maximum size of a decompressed Brotli body in bytes. This limit is higher because a few compressed bytes
 * can expand to 1 MiB and cannot be split.
 */
const BROTLI_BYTES_MAX = 1024 * 1024;
/** Maximum number of times that a body above the size limit is halved and decompressed again. */
const HALVINGS_MAX = 10;
const DECODERS: Readonly<Record<string, (body: Uint8Array) => Uint8Array>> = {
  gzip: (body) => gunzipSync(body, ZLIB),
  "x-gzip": (body) => gunzipSync(body, ZLIB),
  deflate: (body) => inflateSync(body, ZLIB),
  br: (body) =>
    brotliDecompressSync(body, {
      finishFlush: constants.BROTLI_OPERATION_FLUSH,
      maxOutputLength: BROTLI_BYTES_MAX,
    }),
};
/** With Z_SYNC_FLUSH, zlib accepts a truncated body. */
const ZLIB = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: DECODED_BYTES_MAX };

/**
 * Decompresses a body. Returns the body unchanged if the coding is unknown or the data is invalid. Some
 * servers compress although the request has no Accept-Encoding header (RFC 9110 §12.5.3 allows this).
 */
export function decoded(body: Uint8Array, coding = ""): Uint8Array {
  const decode = DECODERS[coding.trim().toLowerCase()];
  if (!decode) return body;
  let part = body;
  for (let halvings = 0; halvings <= HALVINGS_MAX; halvings += 1) {
    try {
      return decode(part);
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== "ERR_BUFFER_TOO_LARGE") return body;
      part = part.subarray(0, part.length / 2);
    }
  }
  return new Uint8Array(0);
}

/**
 * Maximum number of chunks in a body. The whole body is parsed again for every received packet, so an endless
 * stream must end early.
 */
export const CHUNKS_MAX = 4096;
/** Chunk size in hexadecimal digits, followed by optional extensions (RFC 9112 §7.1). */
const CHUNK_SIZE = /^([0-9a-f]{1,8})[ \t]*(?:;|$)/i;

/**
 * Reads a chunked body (RFC 9112 §7.1). A malformed chunk ends the body. Returns undefined while the body is
 * incomplete.
 */
function readChunks(bytes: Uint8Array, ended: boolean, bytesMax: number): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let total = 0;
  let at = 0;
  for (;;) {
    const lineEnd = indexOf(bytes.subarray(at, at + 64), [13, 10], 64);
    const line = lineEnd < 0 ? undefined : CHUNK_SIZE.exec(latin1(bytes.subarray(at, at + lineEnd)));
    const size = line ? Number.parseInt(line[1]!, 16) : Number.NaN;
    const needsMore = lineEnd < 0 ? bytes.length - at < 64 : at + lineEnd + 2 + size > bytes.length;
    if (needsMore && !ended && total + (bytes.length - at) < bytesMax) return undefined;
    if (Number.isNaN(size) || size === 0) break;
    const chunk = bytes.subarray(at + lineEnd + 2, at + lineEnd + 2 + size);
    parts.push(chunk);
    total += chunk.length;
    if (needsMore || total >= bytesMax || parts.length >= CHUNKS_MAX) break;
    at += lineEnd + 2 + size + 2;
  }
  return concat(parts, Math.min(total, bytesMax));
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    const piece = part.subarray(0, length - at);
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

function indexOf(bytes: Uint8Array, wanted: readonly number[], limit: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, limit)).indexOf(
    Buffer.from(wanted),
  );
}
