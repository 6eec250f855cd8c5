/*
 * Decompresses the start of Snappy data (google/snappy, format_description.txt and framing_format.txt).
 * Browsers compress stored values with Snappy. The first bytes are enough to recognise a model format.
 */

/** Decompresses up to `bytesMax` bytes. If the data is truncated or damaged, returns the bytes before the fault. */
export function unpackSnappy(packed: Uint8Array, bytesMax: number): { sizeBytes: number; bytes: Uint8Array } {
  const out = new Uint8Array(bytesMax);
  const size = readVarint(packed, 0);
  if (!size) return { sizeBytes: 0, bytes: out.subarray(0, 0) };
  let [at, length] = [size.end, 0];
  while (at < packed.length && length < bytesMax) {
    const tag = packed[at]!;
    const element = (tag & 3) === 0 ? literalAt(packed, at) : copyAt(packed, at);
    if (!element) break;
    if ("offset" in element) {
      if (element.offset === 0 || element.offset > length) break;
      const count = Math.min(element.count, bytesMax - length);
      // Copies byte by byte, because source and destination may overlap.
      for (let step = 0; step < count; step += 1) out[length + step] = out[length + step - element.offset]!;
      length += count;
      at = element.end;
    } else {
      const piece = packed.subarray(element.start, Math.min(element.start + element.count, packed.length));
      const fitting = piece.subarray(0, bytesMax - length);
      out.set(fitting, length);
      length += fitting.length;
      at = element.start + element.count;
    }
  }
  return { sizeBytes: size.value, bytes: out.subarray(0, length) };
}

/**
 * Decompresses the first chunk of a framed stream. Returns undefined for other data. The stream does not
 * contain its total size.
 */
export function unpackSnappyFrame(framed: Uint8Array, bytesMax: number): Uint8Array | undefined {
  if (!STREAM.every((byte, at) => framed[at] === byte)) return undefined;
  const type = framed[STREAM.length];
  // Chunk header: 1 byte type, 3 bytes length, 4 bytes checksum.
  const content = framed.subarray(STREAM.length + 8);
  if (type === 0x01) return content.subarray(0, bytesMax);
  return type === 0x00 ? unpackSnappy(content, bytesMax).bytes : undefined;
}

/** Stream identifier: a chunk of type 0xff with six bytes. */
const STREAM = [0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59];

function literalAt(packed: Uint8Array, at: number): { start: number; count: number } | undefined {
  const short = packed[at]! >> 2;
  if (short < 60) return { start: at + 1, count: short + 1 };
  const width = short - 59;
  let count = 0;
  for (let byte = 0; byte < width; byte += 1) count += (packed[at + 1 + byte] ?? 0) * 2 ** (8 * byte);
  return { start: at + 1 + width, count: count + 1 };
}

function copyAt(packed: Uint8Array, at: number): { offset: number; count: number; end: number } | undefined {
  const tag = packed[at]!;
  const width = [0, 1, 2, 4][tag & 3]!;
  if (at + width >= packed.length) return undefined;
  let offset = 0;
  for (let byte = 0; byte < width; byte += 1) offset += packed[at + 1 + byte]! * 2 ** (8 * byte);
  if (width > 1) return { offset, count: (tag >> 2) + 1, end: at + 1 + width };
  return { offset: offset + (tag >> 5) * 256, count: ((tag >> 2) & 7) + 4, end: at + 2 };
}

/** Decodes a varint: 7 bits per byte, least significant group first, at most 8 bytes. */
export function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let step = 0; step < 8; step += 1) {
    const byte = bytes[at + step];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * step);
    if (byte < 0x80) return { value, end: at + step + 1 };
  }
  return undefined;
}
