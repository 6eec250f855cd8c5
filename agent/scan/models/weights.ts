import { isPortableExecutable, weightsOffset } from "../stores/llamafile.ts";
import { attempt, type Files, latin1Of } from "../system/files.ts";
import type { WeightFile, WeightFormat } from "../system/host.ts";
import { isGguf, type ReadAt, readGguf } from "./gguf.ts";

/**
 * Minimum size in bytes of a reported ONNX model. Smaller models are, for example, spell checkers and
 * background blur.
 */
export const ONNX_BYTES_MIN = 16 * 1024 * 1024;

/**
 * Minimum size in bytes of a reported PyTorch model. `torch.save` also writes small files with settings and
 * metrics.
 */
export const TORCH_BYTES_MIN = 16 * 1024 * 1024;

const HEAD_BYTES = 512;

/**
 * Recognises a model file by its content. Undefined if the file contains no weights. If `wants.header` is
 * set, also parses a GGUF header.
 */
export function recogniseWeights(
  readAt: ReadAt,
  sizeBytes: number,
  wants = { header: true },
): Pick<WeightFile, "format" | "header"> | undefined {
  const head = readAt(0, HEAD_BYTES);
  if (isPortableExecutable(head)) return weightsInside(readAt, sizeBytes, wants);
  const format = formatOf(head, sizeBytes);
  if (format !== "gguf" || !wants.header) return format && { format };
  const header = readGguf(readAt);
  return header ? { format, header } : { format };
}

/** Recognises weights in the zip archive of a llamafile. */
function weightsInside(
  readAt: ReadAt,
  sizeBytes: number,
  wants: { header: boolean },
): Pick<WeightFile, "format" | "header"> | undefined {
  const start = weightsOffset(readAt, sizeBytes);
  if (start === undefined || start >= sizeBytes) return undefined;
  const inside: ReadAt = (offset, length) => readAt(start + offset, length);
  if (!isGguf(inside(0, HEAD_BYTES))) return undefined;
  const header = wants.header ? readGguf(inside) : undefined;
  return header ? { format: "gguf", header } : { format: "gguf" };
}

/** A mapped part of a file, in bytes. */
export type Part = { offset: number; length: number };

/**
 * Number of bytes searched at the start of a mapped part. A llamafile maps at multiples of 64 KiB, other
 * programs map at multiples of a page.
 */
const WINDOW_BYTES = 64 * 1024;
/** Maximum number of headers parsed per file. A hostile file may contain the magic bytes many times. */
const HEADERS_MAX = 4;
/** Members of a tar archive start at multiples of this number of bytes (POSIX ustar). */
const TAR_BLOCK_BYTES = 512;

/**
 * Recognises a model in a mapped part of a file: a member of a tar or zip archive, or a part of a program
 * such as a llamafile. Programs contain the GGUF magic bytes as a constant, so a header with an architecture
 * must follow them.
 */
export function recogniseEmbedded(
  readAt: ReadAt,
  parts: readonly Part[],
): Pick<WeightFile, "format" | "header" | "sizeBytes"> | undefined {
  let headers = 0;
  for (const { offset, length } of parts) {
    const window = Buffer.from(readAt(offset, Math.min(WINDOW_BYTES, length)));
    for (let at = window.indexOf("GGUF"); at >= 0; at = window.indexOf("GGUF", at + 4)) {
      if (!isGguf(window.subarray(at)) || headers >= HEADERS_MAX) continue;
      headers += 1;
      const header = readGguf((start, bytes) => readAt(offset + at + start, bytes));
      if (header?.architecture) return { format: "gguf", header, sizeBytes: length - at };
    }
    for (let at = 0; at + HEAD_BYTES <= window.length; at += TAR_BLOCK_BYTES) {
      if (isSafetensors(window.subarray(at, at + HEAD_BYTES), length - at))
        return { format: "safetensors", sizeBytes: length - at };
    }
  }
  return undefined;
}

/** Recognises a format by magic bytes. `sizeBytes` is the size of the whole file. */
export function formatOf(head: Uint8Array, sizeBytes: number): WeightFormat | undefined {
  if (isGguf(head)) return "gguf";
  if (isSafetensors(head, sizeBytes)) return "safetensors";
  if (isLegacyGgml(head)) return "ggml";
  if (sizeBytes >= ONNX_BYTES_MIN && isOnnx(head)) return "onnx";
  if (sizeBytes >= TORCH_BYTES_MIN && isTorch(head)) return "torch";
  return undefined;
}

/**
 * Recognises safetensors: a header length of 8 bytes, then a JSON object
 * (https://github.com/huggingface/safetensors#format).
 */
function isSafetensors(head: Uint8Array, sizeBytes: number): boolean {
  if (head.length < 24) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  // The safetensors library rejects headers larger than 100 MB.
  if (length < 8n || length > 100_000_000n || Number(length) + 8 > sizeBytes) return false;
  const start = latin1Of(head.subarray(8));
  return start.startsWith('{"') && (/"dtype"\s*:/.test(start) || start.startsWith('{"__metadata__"'));
}

/**
 * Recognises legacy GGML: `ggml`, `ggmf` or `ggjt` as a little-endian 32-bit integer. whisper.cpp still
 * writes `ggml`.
 */
function isLegacyGgml(head: Uint8Array): boolean {
  const magic = latin1Of(head.subarray(0, 4));
  return magic === "lmgg" || magic === "fmgg" || magic === "tjgg";
}

/**
 * Recognises an ONNX ModelProto: field 1 `ir_version` (3 to 13 so far), then field 2 `producer_name` or field
 * 8 `opset_import`.
 */
function isOnnx(head: Uint8Array): boolean {
  if (head[0] !== 0x08 || head[1]! < 3 || head[1]! > 20) return false;
  return head[2] === 0x12 || head[2] === 0x3a || head[2] === 0x42;
}

/**
 * Recognises PyTorch: a zip archive whose first entry is `NAME/data.pkl` (`_save` in torch/serialization.py,
 * PyTorch 1.6 and later). The name starts at byte 30, and its length is at byte 26 (APPNOTE.TXT of PKWARE,
 * section 4.3.7).
 */
function isTorch(head: Uint8Array): boolean {
  if (head.length < 64 || latin1Of(head.subarray(0, 4)) !== "PK\x03\x04") return false;
  const length = head[26]! + head[27]! * 256;
  return latin1Of(head.subarray(30, 30 + length)).endsWith("/data.pkl");
}

const KNOWN_FILES_MAX = 8192;
const WEIGHTS_BYTES_MIN = 64;

/**
 * Returns a function that recognises weights in a file and caches the result by device, inode, size and
 * modification time. The result is undefined if the file contains no weights. `unreadable`: the file exists
 * and may contain weights, but it cannot be read.
 */
export function createWeightReader(
  files: Files,
): (path: string) => Omit<WeightFile, "path" | "how"> | "unreadable" | undefined {
  const known = new Map<string, Omit<WeightFile, "path" | "how"> | undefined>();
  return (path) => {
    const looked = attempt(() => files.facts(path));
    if ("miss" in looked) return looked.miss === "gone" ? undefined : "unreadable";
    const facts = looked.value;
    if (!facts.isFile || facts.sizeBytes < WEIGHTS_BYTES_MIN) return undefined;
    const key = `${facts.identity} ${facts.sizeBytes} ${facts.modifiedMs}`;
    if (!known.has(key)) {
      if (known.size >= KNOWN_FILES_MAX) known.clear();
      const read = (offset: number, length: number) => files.bytes(path, offset, length);
      const found = attempt(() => recogniseWeights(read, facts.sizeBytes));
      if ("miss" in found) return found.miss === "gone" ? undefined : "unreadable";
      known.set(key, found.value && { sizeBytes: facts.sizeBytes, ...found.value });
    }
    return known.get(key);
  };
}
