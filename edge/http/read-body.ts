import { accept, refuse, type Verdict } from "../../shared/verdict.ts";

const JSON_TYPE = /^application\/json(?: *; *charset=utf-8)?$/i;

/** Timeout for reading a body. At 256 kbit/s, the largest body takes this long. A slower client is refused. */
const BODY_MS_MAX = 10_000;

/** Maximum size of a body for which the runtime's own idle timeout is sufficient. */
const SMALL_BYTES_MAX = 64 * 1024;

/**
 * Reads the body of a JSON request, at most `bytesMax` bytes and within {@link BODY_MS_MAX}. A body whose
 * declared length is above the limit is refused without reading it. A body without a declared length is
 * counted while it is read.
 *
 * @param timesOut true if the runtime closes idle connections, so that a small body needs no timer ⏎ @returns
 * the body, or `wire.media-type`, `wire.too-large`, `wire.too-slow`, or `wire.malformed` for an interrupted
 * body
 */
export async function readBody(
  request: Request,
  bytesMax: number,
  timesOut = false,
): Promise<Verdict<Uint8Array<ArrayBuffer>>> {
  const declared = request.headers.get("content-length");
  if (timesOut && declared !== null && Number(declared) <= SMALL_BYTES_MAX)
    return readBytes(request, bytesMax);
  return inTime(readBytes(request, bytesMax));
}

/** Returns the result of `reading`, or the refusal `wire.too-slow` after {@link BODY_MS_MAX}. */
export async function inTime<T>(reading: Promise<Verdict<T>>): Promise<Verdict<T>> {
  const late = Promise.withResolvers<Verdict<never>>();
  const timer = setTimeout(() => late.resolve(refuse("wire.too-slow")), BODY_MS_MAX);
  try {
    return await Promise.race([reading, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function readBytes(request: Request, bytesMax: number): Promise<Verdict<Uint8Array<ArrayBuffer>>> {
  if (!JSON_TYPE.test(request.headers.get("content-type") ?? "")) return refuse("wire.media-type");
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    if (!(Number(declared) <= bytesMax)) return refuse("wire.too-large", `the maximum is ${bytesMax} bytes`);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(await request.arrayBuffer());
    } catch {
      return BROKEN_OFF;
    }
    return bytes.length <= bytesMax
      ? accept(bytes)
      : refuse("wire.too-large", `the maximum is ${bytesMax} bytes`);
  }
  if (!request.body) return accept(new Uint8Array());
  return await readStream(request.body, bytesMax);
}

/** The client closed the connection early or sent invalid chunks. This is not a fault of the edge. */
const BROKEN_OFF = refuse("wire.malformed", "the body is incomplete");

/** Reads a stream of up to `bytesMax` bytes. Cancels a longer stream. */
export async function readStream(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
): Promise<Verdict<Uint8Array<ArrayBuffer>>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      length += part.value.length;
      if (length > bytesMax) {
        await reader.cancel();
        return refuse("wire.too-large", `the maximum is ${bytesMax} bytes`);
      }
      chunks.push(part.value);
    }
  } catch {
    return BROKEN_OFF;
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return accept(bytes);
}
