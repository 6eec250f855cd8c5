import type { Answer } from "../../catalogue/http-answer.ts";
import { CURL, decoded } from "../probe/http-client.ts";
import { createHeaderDecoder, encodeHeaders, type Field, MalformedHeaders } from "./hpack.ts";

/*
 * One HTTP/2 request and its response on one connection (RFC 9113), with prior knowledge, that is, without an
 * upgrade from HTTP/1.1. The caller collects the received bytes and limits their number.
 */

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES = 9;
/** Maximum payload of a frame in bytes. This is the default of SETTINGS_MAX_FRAME_SIZE (RFC 9113 section 6.5.2). */
const FRAME_BYTES_MAX = 16_384;
const HEADER_BLOCK_BYTES_MAX = 32 * 1024;
/**
 * Maximum number of frames, and maximum size in bytes of everything except DATA payloads. HTTP/2 flow control
 * limits only DATA frames.
 */
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
/** Bit 0 of the flags: ACK on SETTINGS and PING frames, END_STREAM on DATA and HEADERS frames. */
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;

const SETTINGS_ENABLE_PUSH = 2;
const SETTINGS_INITIAL_WINDOW_SIZE = 4;

/**
 * True if the bytes start with a SETTINGS frame, which is the connection preface of an HTTP/2 server (RFC
 * 9113 section 3.4).
 */
export function isHttp2Preface(bytes: Uint8Array): boolean {
  if (bytes.length < FRAME_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  const length = view.getUint32(0) >>> 8;
  const isSettings = bytes[3] === SETTINGS && bytes[4] === 0 && view.getUint32(5) === 0;
  return isSettings && length % 6 === 0 && length <= FRAME_BYTES_MAX;
}

/** If `grpc` is set, the request calls the method at `path` with an empty message. Otherwise it is a GET request. */
export type Http2Request = { host: string; path: string; tls: boolean; grpc: boolean; bodyBytesMax: number };

/** Bytes to send before the first response: client preface, settings and the request. */
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
      // An empty gRPC message: compression flag 0, length 0.
      ...(grpc ? [frame(DATA, END_STREAM, STREAM, new Uint8Array(5))] : []),
    ]),
  );
}

const GET_FIELDS: Field[] = [
  ["user-agent", CURL],
  ["accept", "*/*"],
];
/** Headers of gRPC's Python client (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
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
  /** The server ended the stream or closed the connection without a response. */
  | { is: "refused" };

type Frame = { type: number; flags: number; stream: number; payload: Uint8Array };

/**
 * Reads the response of a server frame by frame. Merges trailers into the headers. The body of a gRPC
 * response is returned as bytes in latin1.
 */
export class Http2Reader {
  readonly #isGrpc: boolean;
  readonly #bodyBytesMax: number;
  readonly #decode = createHeaderDecoder();
  readonly #headers: Record<string, string> = {};
  readonly #body: Uint8Array[] = [];
  #bodyBytes = 0;
  /** Number of bytes read so far, and number of complete frames in them. */
  #position = 0;
  #frames = 0;
  /** Fragments of an incomplete header block. */
  #block: Uint8Array[] | undefined;
  #blockBytes = 0;
  #endsStream = false;
  #state: Http2State = { is: "incomplete" };
  #replies: Uint8Array[] = [];

  constructor({ grpc, bodyBytesMax }: Pick<Http2Request, "grpc" | "bodyBytesMax">) {
    this.#isGrpc = grpc;
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Continues to read. `bytes`: all bytes received so far. `ended`: the peer closed the connection. */
  read(bytes: Uint8Array, ended: boolean): Http2State {
    try {
      while (this.#state.is === "incomplete" && this.#readFrame(bytes));
    } catch (error) {
      if (!(error instanceof MalformedHeaders)) throw error;
      this.#state = { is: "not-http2" };
    }
    if (ended && this.#state.is === "incomplete")
      this.#state = this.#frames === 0 ? { is: "not-http2" } : this.#finish();
    return this.#state;
  }

  /** Returns the response as far as it was received. Used after a timeout. */
  cut(): Http2State {
    return this.#state.is === "incomplete" ? this.#finish() : this.#state;
  }

  /** Returns the frames that the client must send now. Each frame is returned once. */
  takeReplies(): Uint8Array[] {
    const due = this.#replies;
    this.#replies = [];
    return due;
  }

  /** Reads one frame. Returns false if the frame is incomplete or the data is not HTTP/2. */
  #readFrame(bytes: Uint8Array): boolean {
    const available = bytes.length - this.#position;
    if (available < FRAME_HEADER_BYTES) return false;
    if (this.#position === 0 && !isHttp2Preface(bytes)) return this.#fail();
    const view = new DataView(bytes.buffer, bytes.byteOffset + this.#position, FRAME_HEADER_BYTES);
    const length = view.getUint32(0) >>> 8;
    if (length > FRAME_BYTES_MAX || this.#frames >= FRAMES_MAX) return this.#fail();
    if (this.#position - this.#bodyBytes > OTHER_BYTES_MAX) return this.#fail();
    if (available < FRAME_HEADER_BYTES + length) return false;
    const start = this.#position + FRAME_HEADER_BYTES;
    this.#handle({
      type: view.getUint8(3),
      flags: view.getUint8(4),
      stream: view.getUint32(5) & 0x7fffffff,
      payload: bytes.subarray(start, start + length),
    });
    this.#position = start + length;
    this.#frames += 1;
    return true;
  }

  #fail(): false {
    this.#state = { is: "not-http2" };
    return false;
  }

  #handle({ type, flags, stream, payload }: Frame): void {
    if (type === SETTINGS && !(flags & ACK)) this.#replies.push(frame(SETTINGS, ACK, 0, new Uint8Array(0)));
    else if (type === PING && !(flags & ACK)) this.#replies.push(frame(PING, ACK, 0, payload.slice(0, 8)));
    else if (type === GOAWAY && !isStreamProcessed(payload)) this.#state = { is: "refused" };
    else if (type === CONTINUATION && this.#block) this.#addToBlock(payload, flags);
    else if (stream !== STREAM) return;
    else if (type === HEADERS) {
      this.#block = [];
      this.#blockBytes = 0;
      this.#endsStream = (flags & END_STREAM) !== 0;
      this.#addToBlock(contentOf(payload, flags), flags);
    } else if (type === DATA) this.#addData(contentOf(payload, flags), flags);
    else if (type === RST_STREAM)
      this.#state = this.#headers[":status"] === undefined ? { is: "refused" } : this.#finish();
  }

  #addToBlock(part: Uint8Array, flags: number): void {
    this.#blockBytes += part.length;
    if (this.#blockBytes > HEADER_BLOCK_BYTES_MAX) throw new MalformedHeaders("the block is too large");
    this.#block!.push(part);
    if (!(flags & END_HEADERS)) return;
    for (const [name, value] of this.#decode(new Uint8Array(Buffer.concat(this.#block!)))) {
      // The status of the final response replaces the status of an interim response (RFC 9113 section 8.1).
      const before = name === ":status" ? undefined : this.#headers[name];
      this.#headers[name] = before === undefined ? value : `${before}, ${value}`;
    }
    this.#block = undefined;
    if (this.#endsStream) this.#state = this.#finish();
  }

  #addData(part: Uint8Array, flags: number): void {
    const kept = part.slice(0, this.#bodyBytesMax - this.#bodyBytes);
    this.#body.push(kept);
    this.#bodyBytes += kept.length;
    if (flags & END_STREAM || this.#bodyBytes >= this.#bodyBytesMax) this.#state = this.#finish();
  }

  #finish(): Http2State {
    const status = Number(this.#headers[":status"]);
    if (!(status >= 200 && status <= 599)) return { is: "refused" };
    const body = this.#isGrpc ? Buffer.concat(this.#body).toString("latin1") : this.#text();
    return { is: "complete", answer: { status, headers: this.#headers, body } };
  }

  #text(): string {
    const plain = decoded(Buffer.concat(this.#body), this.#headers["content-encoding"]);
    return new TextDecoder().decode(plain.subarray(0, this.#bodyBytesMax));
  }
}

/**
 * True if the server still processes the stream. GOAWAY contains the ID of the last stream that it processes
 * (RFC 9113 section 6.8).
 */
function isStreamProcessed(goaway: Uint8Array): boolean {
  if (goaway.length < 4) return false;
  const last = new DataView(goaway.buffer, goaway.byteOffset, 4).getUint32(0);
  return (last & 0x7fffffff) >= STREAM;
}

/** The payload without padding and priority fields. */
function contentOf(payload: Uint8Array, flags: number): Uint8Array {
  const padding = flags & PADDED ? (payload[0] ?? 0) : 0;
  const start = (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0);
  return payload.subarray(start, Math.max(start, payload.length - padding));
}
