/** A valid small GGUF file (version 3, little-endian) with the given metadata and tensor shapes, no tensor data. */
export function ggufFile(
  metadata: Record<string, string | number | string[]>,
  tensors: Record<string, number[]> = {},
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const u32 = (value: number) => parts.push(new Uint8Array(new Uint32Array([value]).buffer));
  const u64 = (value: number) => parts.push(new Uint8Array(new BigUint64Array([BigInt(value)]).buffer));
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
      u32(8);
      string(value);
    } else if (typeof value === "number") {
      u32(4);
      u32(value);
    } else {
      u32(9);
      u32(8);
      u64(value.length);
      for (const item of value) string(item);
    }
  }
  for (const [name, shape] of Object.entries(tensors)) {
    string(name);
    u32(shape.length);
    for (const size of shape) u64(size);
    u32(0);
    u64(0);
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const file = new Uint8Array(Math.max(length, 4096));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** What a tiny real model says of itself. */
export const HOLIDAY_PHOTOS = {
  "general.architecture": "llama",
  "general.name": "TinyLlama 1.1B Chat",
  "general.size_label": "1.1B",
  "general.license": "apache-2.0",
  "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
  "general.file_type": 15,
} as const;
