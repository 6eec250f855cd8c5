import type { Answer } from "../../catalogue/http-answer.ts";
import { CURL, decoded } from "../probe/http-client.ts";
import { createHeaderDecoder, encodeHeaders, type Field, MalformedHeaders } from "./hpack.ts";

/*
 * One request on one connection of HTTP/2 (RFC 9113), which starts with HTTP/2 at once: no upgrade from HTTP/1.1. The
 * bytes of a peer are read as they come and are bounded by the caller.
 */

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES = 9;
/** Default maximum payload of a frame (SETTINGS_MAX_FRAME_SIZE, RFC 9113 section 6.5.2). */
const FRAME_BYTES_MAX = 16_384;
const HEADER_BLOCK_BYTES_MAX = 32 * 1024;
/** Flow control covers DATA frames only, so the number and size of all other frames need limits of their own. */
const FRAMES_MAX = 4096;
const OTHER_BYTES_MAX = 128 * 1024;
const STREAM = 1;

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
/** The same bit of SETTINGS and PING, and of DATA and HEADERS. */
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;

const SETTINGS_ENABLE_PUSH = 2;
const SETTINGS_INITIAL_WINDOW_SIZE = 4;

/** True for the start of a connection of an HTTP/2 server: it is a SETTINGS frame (RFC 9113 section 3.4). */
export function isHttp2Preface(bytes: Uint8Array): boolean {
  if (bytes.length < FRAME_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  const length = view.getUint32(0) >>> 8;
  const isSettings = bytes[3] === SETTINGS && bytes[4] === 0 && view.getUint32(5) === 0;
  return isSettings && length % 6 === 0 && length <= FRAME_BYTES_MAX;
}

/** `grpc`: a call of a method with an empty message. Otherwise a GET. */
export type Http2Request = { host: string; path: string; tls: boolean; grpc: boolean; bodyBytesMax: number };

/** All that is sent before the first answer. */
export function http2Request({ host, path, tls, grpc, bodyBytesMax }: Http2Request): Uint8Array {
  const settings = new DataView(new ArrayBuffer(12));
  settings.setUint16(0, SETTINGS_ENABLE_PUSH);
  settings.setUint16(6, SETTINGS_INITIAL_WINDOW_SIZE);
  settings.setUint32(8, bodyBytesMax);
  const window = new DataView(new ArrayBuffer(4));
  window.setUint32(0, bodyBytesMax);
  const fields: Field[] = [
    [":method", grpc ? "POST" : "GET"],
    [":scheme", tls ? "https" : "http"],
    [":path", path],
    [":authority", host],
    ...(grpc ? GRPC_FIELDS : GET_FIELDS),
  ];
  return new Uint8Array(
    Buffer.concat([
      Buffer.from(PREFACE),
      frame(SETTINGS, 0, 0, new Uint8Array(settings.buffer)),
      frame(WINDOW_UPDATE, 0, 0, new Uint8Array(window.buffer)),
      frame(HEADERS, END_HEADERS | (grpc ? 0 : END_STREAM), STREAM, encodeHeaders(fields)),
      // A message of gRPC: not compressed, 0 bytes.
      ...(grpc ? [frame(DATA, END_STREAM, STREAM, new Uint8Array(5))] : []),
    ]),
  );
}

const GET_FIELDS: Field[] = [
  ["user-agent", CURL],
  ["accept", "*/*"],
];
/** Those of gRPC's clients in Python: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. */
const GRPC_FIELDS: Field[] = [
  ["te", "trailers"],
  ["content-type", "application/grpc"],
  ["user-agent", "grpc-python/1.85.3 grpc-c/58.0.0 (linux; chttp2)"],
  ["grpc-accept-encoding", "identity"],
];

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const whole = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, payload.length << 8);
  view.setUint8(3, type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  whole.set(payload, FRAME_HEADER_BYTES);
  return whole;
}

export type Http2State =
  | { is: "incomplete" }
  | { is: "not-http2" }
  | { is: "complete"; answer: Answer }
  /** The peer ended the stream or the connection without an answer. */
  | { is: "refused" };

/** Reads what a server sends. Trailers are added to the headers. The body of a call of gRPC is its bytes as latin1. */
export function createHttp2Reader({ grpc, bodyBytesMax }: Pick<Http2Request, "grpc" | "bodyBytesMax">) {
  const decode = createHeaderDecoder();
  let position = 0;
  let frames = 0;
  let block: Uint8Array[] | undefined;
  let blockBytes = 0;
  let endsStream = false;
  const headers: Record<string, string> = {};
  const body: Uint8Array[] = [];
  let bodyBytes = 0;
  let state: Http2State = { is: "incomplete" };
  let replies: Uint8Array[] = [];

  return {
    /** `bytes`: everything so far. `ended`: nothing more will come. */
    read: (bytes: Uint8Array, ended: boolean): Http2State => {
      try {
        while (state.is === "incomplete" && step(bytes));
      } catch (error) {
        if (!(error instanceof MalformedHeaders)) throw error;
        state = { is: "not-http2" };
      }
      if (ended && state.is === "incomplete") state = frames === 0 ? { is: "not-http2" } : finish();
      return state;
    },
    /** The answer so far, when there is no more time. */
    cut: (): Http2State => (state.is === "incomplete" ? finish() : state),
    /** What has to be sent in return. */
    replies: (): Uint8Array[] => {
      const due = replies;
      replies = [];
      return due;
    },
  };

  /** Reads one frame; false when it has not arrived in full. */
  function step(bytes: Uint8Array): boolean {
    if (bytes.length - position < FRAME_HEADER_BYTES) return false;
    if (position === 0 && !isHttp2Preface(bytes)) return fail();
    const view = new DataView(bytes.buffer, bytes.byteOffset + position, FRAME_HEADER_BYTES);
    const length = view.getUint32(0) >>> 8;
    if (length > FRAME_BYTES_MAX || frames >= FRAMES_MAX) return fail();
    if (position - bodyBytes > OTHER_BYTES_MAX) return fail();
    if (bytes.length - position < FRAME_HEADER_BYTES + length) return false;
    const start = position + FRAME_HEADER_BYTES;
    take(
      view.getUint8(3),
      view.getUint8(4),
      view.getUint32(5) & 0x7fffffff,
      bytes.subarray(start, start + length),
    );
    position = start + length;
    frames += 1;
    return true;
  }

  function fail(): boolean {
    state = { is: "not-http2" };
    return false;
  }

  function take(type: number, flags: number, stream: number, payload: Uint8Array): void {
    if (type === SETTINGS && !(flags & ACK)) replies.push(frame(SETTINGS, ACK, 0, new Uint8Array(0)));
    else if (type === PING && !(flags & ACK)) replies.push(frame(PING, ACK, 0, payload.slice(0, 8)));
    else if (type === GOAWAY && !isStreamTaken(payload)) state = { is: "refused" };
    else if (type === CONTINUATION && block) addToBlock(payload, flags);
    else if (stream !== STREAM) return;
    else if (type === HEADERS) {
      block = [];
      blockBytes = 0;
      endsStream = (flags & END_STREAM) !== 0;
      addToBlock(contentOf(payload, flags), flags);
    } else if (type === DATA) addData(contentOf(payload, flags), flags);
    else if (type === RST_STREAM) state = headers[":status"] === undefined ? { is: "refused" } : finish();
  }

  /** A GOAWAY names the last stream that is still answered (RFC 9113 section 6.8). */
  function isStreamTaken(goaway: Uint8Array): boolean {
    if (goaway.length < 4) return false;
    const last = new DataView(goaway.buffer, goaway.byteOffset, 4).getUint32(0);
    return (last & 0x7fffffff) >= STREAM;
  }

  /** Without padding and priority. */
  function contentOf(payload: Uint8Array, flags: number): Uint8Array {
    const padding = flags & PADDED ? (payload[0] ?? 0) : 0;
    const start = (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0);
    return payload.subarray(start, Math.max(start, payload.length - padding));
  }

  function addToBlock(part: Uint8Array, flags: number): void {
    blockBytes += part.length;
    if (blockBytes > HEADER_BLOCK_BYTES_MAX) throw new MalformedHeaders("the block is too large");
    block!.push(part);
    if (!(flags & END_HEADERS)) return;
    for (const [name, value] of decode(new Uint8Array(Buffer.concat(block!)))) {
      // An interim answer (RFC 9113 section 8.1) has a status, and the answer has another.
      const before = name === ":status" ? undefined : headers[name];
      headers[name] = before === undefined ? value : `${before}, ${value}`;
    }
    block = undefined;
    if (endsStream) state = finish();
  }

  function addData(part: Uint8Array, flags: number): void {
    const kept = part.slice(0, bodyBytesMax - bodyBytes);
    body.push(kept);
    bodyBytes += kept.length;
    if (flags & END_STREAM || bodyBytes >= bodyBytesMax) state = finish();
  }

  function finish(): Http2State {
    const status = Number(headers[":status"]);
    if (!(status >= 200 && status <= 599)) return { is: "refused" };
    const bytes = Buffer.concat(body);
    const text = grpc
      ? bytes.toString("latin1")
      : new TextDecoder().decode(decoded(bytes, headers["content-encoding"]).subarray(0, bodyBytesMax));
    return { is: "complete", answer: { status, headers, body: text } };
  }
}
