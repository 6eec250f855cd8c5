import type { GgufHeader } from "../system/host.ts";

/*
 * Reads the header of a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic,
 * version, counts, metadata pairs and tensor infos. Tensor data is never read.
 */

/** Returns at most `length` bytes of the file, starting at `offset`. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

export const GGUF_LIMITS = {
  /** A vocabulary of 256,000 tokens takes about 6 MB of metadata. */
  BYTES_MAX: 24 * 1024 * 1024,
  PAIRS_MAX: 4096,
  TENSORS_MAX: 16_384,
  ARRAY_ITEMS_MAX: 1_000_000,
  VALUE_BYTES_MAX: 4096,
  WINDOW_BYTES: 64 * 1024,
} as const;

const TYPE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const STRING = 8;
const ARRAY = 9;

/** Values of `general.file_type` (enum llama_ftype in llama.h). */
const FILE_TYPES: Record<number, string> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4_MOE",
};

const WANTED = new Map<string, "architecture" | "name" | "sizeLabel" | "fileType" | "licence" | "publisher">([
  ["general.architecture", "architecture"],
  ["general.name", "name"],
  ["general.size_label", "sizeLabel"],
  ["general.file_type", "fileType"],
  ["general.license", "licence"],
  ["general.organization", "publisher"],
]);

/** True for a GGUF file of version 1 to 3 in either byte order. `head` contains at least the first 8 bytes. */
export function isGguf(head: Uint8Array): boolean {
  if (head.length < 8 || head[0] !== 0x47 || head[1] !== 0x47 || head[2] !== 0x55 || head[3] !== 0x46)
    return false;
  const little = head[4]! > 0 && head[4]! <= 3 && head[5] === 0 && head[6] === 0 && head[7] === 0;
  const big = head[7]! > 0 && head[7]! <= 3 && head[4] === 0 && head[5] === 0 && head[6] === 0;
  return little || big;
}

/**
 * Reads the header within the limits. Undefined if the file is not a GGUF file. If the header is damaged or
 * hostile, returns the metadata before the damage. Throws only errors of `readAt`.
 */
export function readGguf(readAt: ReadAt): GgufHeader | undefined {
  const head = readAt(0, 8);
  if (!isGguf(head)) return undefined;
  const little = head[4] !== 0;
  const version = little ? head[4]! : head[7]!;
  const cursor = createCursor(readAt, 8, little, version === 1);
  const found: Partial<Record<string, string | number>> = {};
  let parameters: number | undefined;
  try {
    const tensors = cursor.count();
    const pairs = cursor.count();
    if (pairs > GGUF_LIMITS.PAIRS_MAX) throw new CutShort();
    for (let pair = 0; pair < pairs; pair += 1) {
      if (readPair(cursor, found) === "enough") return toHeader(version, found);
    }
    parameters = countParameters(cursor, tensors);
  } catch (error) {
    if (!(error instanceof CutShort)) throw error;
  }
  return toHeader(version, found, parameters);
}

/** Thrown if the header ends early or exceeds a limit. */
class CutShort extends Error {}

type Cursor = ReturnType<typeof createCursor>;

function createCursor(readAt: ReadAt, start: number, little: boolean, narrow: boolean) {
  let position = start;
  let windowStart = 0;
  let window: DataView = new DataView(new ArrayBuffer(0));

  const take = (length: number): number => {
    if (position + length > GGUF_LIMITS.BYTES_MAX) throw new CutShort();
    if (position < windowStart || position + length > windowStart + window.byteLength) {
      const bytes = readAt(position, Math.max(length, GGUF_LIMITS.WINDOW_BYTES));
      if (bytes.length < length) throw new CutShort();
      windowStart = position;
      window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const at = position - windowStart;
    position += length;
    return at;
  };
  // take() can replace the window, so call it before reading from the window.
  const u32 = () => {
    const at = take(4);
    return window.getUint32(at, little);
  };
  /**
   * Reads a length or count of 64 bits, or of 32 bits in version 1. A 64-bit number is read as two halves,
   * because a vocabulary would otherwise need 100,000 BigInts.
   */
  const count = () => {
    if (narrow) return u32();
    const first = u32();
    const second = u32();
    const high = little ? second : first;
    if (high > 0x1fffff) throw new CutShort();
    return high * 2 ** 32 + (little ? first : second);
  };
  const skip = (length: number) => {
    position += length;
    if (position > GGUF_LIMITS.BYTES_MAX) throw new CutShort();
  };
  const string = () => {
    const length = count();
    if (length > GGUF_LIMITS.VALUE_BYTES_MAX) {
      skip(length);
      return "";
    }
    const at = take(length);
    return new TextDecoder().decode(
      new Uint8Array(window.buffer as ArrayBuffer, window.byteOffset + at, length),
    );
  };
  return { u32, count, skip, string, skipString: () => skip(count()) };
}

/**
 * Reads one metadata pair. Converters write the vocabulary (about 100,000 words) after the description of the
 * model. Reading therefore stops with `enough` at the vocabulary if the description is complete.
 */
function readPair(cursor: Cursor, found: Partial<Record<string, string | number>>): "enough" | "more" {
  const key = cursor.string();
  const type = cursor.u32();
  const wanted = WANTED.get(key);
  const isDescribed =
    found.architecture !== undefined && found.fileType !== undefined && found.sizeLabel !== undefined;
  if (isDescribed && type === ARRAY && key.startsWith("tokenizer.")) return "enough";
  if (wanted && type === STRING) found[wanted] = cursor.string();
  else if (wanted && type === 4) found[wanted] = cursor.u32();
  else skipValue(cursor, type);
  return "more";
}

function skipValue(cursor: Cursor, type: number): void {
  if (type === STRING) cursor.skipString();
  else if (type === ARRAY) skipArray(cursor);
  else cursor.skip(bytesOf(type));
}

function skipArray(cursor: Cursor): void {
  const itemType = cursor.u32();
  const items = cursor.count();
  if (items > GGUF_LIMITS.ARRAY_ITEMS_MAX) throw new CutShort();
  if (itemType === STRING) for (let item = 0; item < items; item += 1) cursor.skipString();
  else cursor.skip(items * bytesOf(itemType));
}

function bytesOf(type: number): number {
  const bytes = TYPE_BYTES[type];
  // The specification allows arrays of arrays, but no known file contains them.
  if (!bytes) throw new CutShort();
  return bytes;
}

function countParameters(cursor: Cursor, tensors: number): number {
  if (tensors > GGUF_LIMITS.TENSORS_MAX) throw new CutShort();
  let total = 0;
  for (let tensor = 0; tensor < tensors; tensor += 1) {
    cursor.skipString();
    const dimensions = cursor.u32();
    if (dimensions > 8) throw new CutShort();
    let elements = 1;
    for (let dimension = 0; dimension < dimensions; dimension += 1) elements *= cursor.count();
    cursor.skip(12); // type u32, offset u64
    total += elements;
  }
  return total;
}

function toHeader(
  version: number,
  found: Partial<Record<string, string | number>>,
  parameters?: number,
): GgufHeader {
  const text = (key: string): string | undefined =>
    typeof found[key] === "string" && found[key] !== "" ? found[key] : undefined;
  const counted = parameters === undefined || parameters === 0 ? undefined : shortCount(parameters);
  const fileType = found.fileType;
  const header: GgufHeader = { version };
  const put = (key: Exclude<keyof GgufHeader, "version">, value: string | undefined) => {
    if (value !== undefined) header[key] = value;
  };
  put("architecture", text("architecture"));
  put("name", text("name"));
  put("parameters", text("sizeLabel") ?? counted);
  put("quantisation", typeof fileType === "number" ? FILE_TYPES[fileType & 1023] : undefined);
  put("licence", text("licence"));
  put("publisher", text("publisher"));
  return header;
}

/** Formats a parameter count, for example 8030261248 as `8.0B` and 494032768 as `494M`. */
export function shortCount(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)}B`;
  if (value >= 1e6) return `${Math.round(value / 1e6)}M`;
  if (value >= 1e3) return `${Math.round(value / 1e3)}K`;
  return `${value}`;
}
