import { MIB } from "../../catalogue/model-homes.ts";

/* Creates files in the formats that browsers use. The layout is that of a Chromium 156 profile. */

/** Random bytes. They are not compressible and contain no model. */
export const LARGE = new Uint8Array(2 * MIB);
let state = 7;
for (let at = 0; at < LARGE.length; at += 1) {
  state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
  LARGE[at] = state >> 16;
}
LARGE.set([1, 2, 3, 4]);

export const onlyStart = (start: Uint8Array, sizeBytes: number): Uint8Array<ArrayBuffer> => {
  const file = new Uint8Array(sizeBytes);
  file.set(start);
  return file;
};

const header = '{"model.embed_tokens.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
export const SAFETENSORS = onlyStart(
  new Uint8Array([
    ...new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer),
    ...new TextEncoder().encode(header),
  ]),
  2 * MIB,
);
/** Start of an ONNX file from torch.onnx: ir_version 8, then the producer. */
export const ONNX = new Uint8Array([0x08, 0x08, 0x12, 0x07, ...new TextEncoder().encode("pytorch"), 0x1a]);

/** An entry of the simple cache: a header of 24 bytes, the key and the body. The trailer is omitted. */
export function cacheEntry(key: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(key);
  const file = new Uint8Array(24 + name.length + body.length);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, 0xfcfb6d1ba7725c30n, true);
  view.setUint32(8, 5, true);
  view.setUint32(12, name.length, true);
  file.set(name, 24);
  file.set(body, 24 + name.length);
  return file;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

const joined = (...parts: (readonly number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(
    Buffer.concat(parts.map((part) => (part instanceof Uint8Array ? part : Uint8Array.from(part)))),
  );

/** An IndexedDB value in Blink's format. The value is an object with the array as property `file`. */
export const serialised = (array: Uint8Array): Uint8Array<ArrayBuffer> =>
  joined(
    [0xff, 0x15, 0xfe, ...new Uint8Array(12), 0xff, 0x10, 0x6f, 0x22, 4],
    new TextEncoder().encode("file"),
    [0x42, ...varint(array.length)],
    array,
  );

/**
 * Compresses the content with Snappy, using literals only. If `isFramed` is true, the result is a Snappy
 * stream, otherwise a compressed IndexedDB value.
 */
export function packed(content: Uint8Array, { isFramed = false } = {}): Uint8Array<ArrayBuffer> {
  const literals: (readonly number[] | Uint8Array)[] = [];
  const size = isFramed ? Math.min(content.length, 32_768) : content.length;
  for (let at = 0; at < size; at += 65_536) {
    const part = content.subarray(at, Math.min(at + 65_536, size));
    literals.push([61 << 2, (part.length - 1) & 0xff, (part.length - 1) >> 8], part);
  }
  const block = joined(varint(size), ...literals);
  if (!isFramed) return joined([0xff, 0x11, 0x02], block);
  const length = block.length + 4;
  const stream = [0xff, 6, 0, 0, ...new TextEncoder().encode("sNaPpY")];
  const chunk = [0, length & 0xff, (length >> 8) & 0xff, length >> 16, 1, 2, 3, 4];
  return onlyStart(joined(stream, chunk, block), Math.max(content.length, 2 * MIB));
}
