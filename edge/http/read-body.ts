import { accept, refuse, type Verdict } from "../../shared/verdict.ts";

const JSON_TYPE = /^application\/json(?: *; *charset=utf-8)?$/i;

/** A body of the largest size over a modem of 256 kbit/s. Whoever is slower than that holds a connection, no more. */
const BODY_MS_MAX = 10_000;

/** Up to this size a body comes in a moment or not at all: the runtime's own idle timeout will do. */
const SMALL_BYTES_MAX = 64 * 1024;

/**
 * The bytes of a JSON request, at most `bytesMax` of them and within {@link BODY_MS_MAX}. The declared length is
 * asked first; a body without one is counted while it streams and cut off at the limit.
 *
 * @param timesOut the runtime ends idle connections: a small body then needs no timer of its own
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

/** What reading a body comes to, or its refusal after {@link BODY_MS_MAX}. */
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
    if (!(Number(declared) <= bytesMax)) return refuse("wire.too-large", `at most ${bytesMax} bytes`);
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(await request.arrayBuffer());
    } catch {
      return BROKEN_OFF;
    }
    return bytes.length <= bytesMax ? accept(bytes) : refuse("wire.too-large", `at most ${bytesMax} bytes`);
  }
  if (!request.body) return accept(new Uint8Array());
  return await readStream(request.body, bytesMax);
}

/** The client went away in the middle, or framed its chunks wrongly: nothing that we did. */
const BROKEN_OFF = refuse("wire.malformed", "the body broke off");

/** What streams, counted as it comes and cut off at the limit. */
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
        return refuse("wire.too-large", `at most ${bytesMax} bytes`);
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
