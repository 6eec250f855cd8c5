/**
 * A metadata value. A number with a fraction is written as a float. Any other number is written as an
 * unsigned integer.
 */
type Value =
  | boolean
  | string
  | number
  | readonly string[]
  | Int32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>;
/**
 * `number[]`: a shape without data, for tests that read only headers. The object form also contains the
 * weights, for tests that load the model.
 */
type Tensor = number[] | { shape: number[]; weights: Float32Array<ArrayBuffer> };

const TYPES = { u32: 4, i32: 5, f32: 6, boolean: 7, string: 8, array: 9 } as const;
const ALIGNMENT = 32;
const aligned = (length: number): number => Math.ceil(length / ALIGNMENT) * ALIGNMENT;

/**
 * Creates a small valid GGUF file (version 3, little-endian) with the given metadata and tensors. The file
 * has at least 4 KiB. Format: docs/gguf.md of ggml.
 */
export function ggufFile(
  metadata: Readonly<Record<string, Value>>,
  tensors: Record<string, Tensor> = {},
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(new Uint32Array([value]).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
  const f32 = (value: number) => parts.push(new Uint8Array(new Float32Array([value]).buffer));
  const string = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(new TextEncoder().encode("GGUF"));
  u32(3);
  u64(Object.keys(tensors).length);
  u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    string(key);
    if (typeof value === "string") {
      u32(TYPES.string);
      string(value);
    } else if (typeof value === "boolean") {
      u32(TYPES.boolean);
      parts.push(Uint8Array.of(Number(value)));
    } else if (typeof value === "number") {
      u32(Number.isInteger(value) ? TYPES.u32 : TYPES.f32);
      if (Number.isInteger(value)) u32(value);
      else f32(value);
    } else {
      u32(TYPES.array);
      const numbers = value instanceof Int32Array || value instanceof Float32Array ? value : undefined;
      u32(numbers === undefined ? TYPES.string : numbers instanceof Int32Array ? TYPES.i32 : TYPES.f32);
      u64(value.length);
      if (numbers) parts.push(new Uint8Array(numbers.buffer));
      else for (const item of value as readonly string[]) string(item);
    }
  }
  const data: { at: number; weights: Float32Array<ArrayBuffer> }[] = [];
  let dataLength = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const { shape, weights } = Array.isArray(tensor) ? { shape: tensor, weights: undefined } : tensor;
    string(name);
    u32(shape.length);
    for (const size of shape) u64(size);
    u32(0); // Type F32.
    u64(dataLength);
    if (!weights) continue;
    data.push({ at: dataLength, weights });
    dataLength = aligned(dataLength + weights.byteLength);
  }
  const headerLength = parts.reduce((sum, part) => sum + part.length, 0);
  const file = new Uint8Array(Math.max(aligned(headerLength) + dataLength, 4096));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  for (const { at, weights } of data) file.set(new Uint8Array(weights.buffer), aligned(headerLength) + at);
  return file;
}

/** Metadata of a small model that really exists. */
export const HOLIDAY_PHOTOS = {
  "general.architecture": "llama",
  "general.name": "TinyLlama 1.1B Chat",
  "general.size_label": "1.1B",
  "general.license": "apache-2.0",
  "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
  "general.file_type": 15,
} as const;
