import type { ReadAt } from "../models/gguf.ts";
import { formatOf } from "../models/weights.ts";
import type { WeightFormat } from "../system/host.ts";
import { readVarint, unpackSnappy, unpackSnappyFrame } from "./snappy.ts";

/** `mlc`: weight files of WebLLM. They have no magic bytes. */
export type BrowserFormat = WeightFormat | "mlc";

const HEAD_BYTES = 512;
/** Minimum size of a file or value that is examined, in bytes. */
export const MODEL_BYTES_MIN = 1024 * 1024;

/**
 * Detects the model format of a file in browser storage from its magic bytes. Cache Storage writes the URL
 * before the response. Only the end of the URL is read, to recognise WebLLM's weight files by name.
 */
export function browserFormatOf(readAt: ReadAt, sizeBytes: number): BrowserFormat | undefined {
  const head = readAt(0, HEAD_BYTES);
  if (isCacheEntry(head)) return inCacheEntry(readAt, view(head), sizeBytes);
  const framed = unpackSnappyFrame(head, HEAD_BYTES);
  // Firefox compresses responses in Cache Storage (dom/cache/FileUtils.cpp), so the uncompressed size is
  // unknown.
  if (framed) return strictFormat(framed, Number.MAX_SAFE_INTEGER);
  return strictFormat(head, sizeBytes) ?? inSerialised(head, sizeBytes);
}

const ENTRY_MAGIC = 0xfcfb6d1ba7725c30n;
/**
 * Length of the entry header in bytes: magic, version, key length, key hash, padding
 * (net/disk_cache/simple/simple_entry_format.h of Chromium).
 */
const ENTRY_HEAD_BYTES = 24;
/** Maximum length of a URL in Chromium (url/url_constants.h). */
const KEY_BYTES_MAX = 2 * 1024 * 1024;
const SHARD_NAME_BYTES = 24;
/** Name of a weight file in MLC format: `params_shard_<n>.bin` (mlc-ai/web-llm, README: model weights). */
const SHARD_NAME = /(?:^|\/)params_shard_\d+\.bin$/;

const isCacheEntry = (head: Uint8Array): boolean =>
  head.length >= ENTRY_HEAD_BYTES && view(head).getBigUint64(0, true) === ENTRY_MAGIC;

function inCacheEntry(readAt: ReadAt, head: DataView, sizeBytes: number): BrowserFormat | undefined {
  const keyBytes = head.getUint32(12, true);
  const start = ENTRY_HEAD_BYTES + keyBytes;
  if (keyBytes > KEY_BYTES_MAX || start >= sizeBytes) return undefined;
  const format = strictFormat(readAt(start, HEAD_BYTES), sizeBytes - start);
  if (format) return format;
  const nameBytes = Math.min(SHARD_NAME_BYTES, keyBytes);
  const name = new TextDecoder("latin1").decode(readAt(start - nameBytes, nameBytes));
  return SHARD_NAME.test(name) ? "mlc" : undefined;
}

/** Tags from idb_value_wrapping.cc and serialization_tag.h of Blink. */
const VERSION = 0xff;
const WRAPPER_VERSION = 0x11;
const PACKED = 0x02;
const ARRAY_BUFFER = 0x42;

/**
 * Format of an ArrayBuffer near the start of an IndexedDB value. Blink stores large values in files and may
 * compress them.
 */
function inSerialised(head: Uint8Array, sizeBytes: number): BrowserFormat | undefined {
  if (head[0] !== VERSION) return undefined;
  const isPacked = head[1] === WRAPPER_VERSION && head[2] === PACKED;
  const value = isPacked ? unpackSnappy(head.subarray(3), HEAD_BYTES) : { sizeBytes, bytes: head };
  for (let at = value.bytes.indexOf(ARRAY_BUFFER); at >= 0; at = value.bytes.indexOf(ARRAY_BUFFER, at + 1)) {
    const length = readVarint(value.bytes, at + 1);
    if (!length || length.value < MODEL_BYTES_MIN || length.value > value.sizeBytes) continue;
    const format = strictFormat(value.bytes.subarray(length.end), length.value);
    if (format) return format;
  }
  return undefined;
}

/**
 * Detects the model format from magic bytes. ONNX needs a stricter check, because its magic is only three
 * bytes and browser storage contains many other files. A producer name or a graph must follow the magic.
 */
function strictFormat(head: Uint8Array, sizeBytes: number): WeightFormat | undefined {
  const format = formatOf(head, sizeBytes);
  return format === "onnx" && !isOnnxModel(head, sizeBytes) ? undefined : format;
}

/**
 * True for a ModelProto (onnx.proto). Such a file has `ir_version`, then `producer_name` or a graph larger
 * than half of the file.
 */
function isOnnxModel(head: Uint8Array, sizeBytes: number): boolean {
  const length = readVarint(head, 3);
  if (!length) return false;
  if (head[2] === 0x3a) return length.value <= sizeBytes && length.value > sizeBytes / 2;
  const text = head.subarray(length.end, length.end + length.value);
  const isText = text.length > 0 && text.every((byte) => byte >= 0x20 && byte < 0x7f);
  return head[2] === 0x12 && length.value <= 64 && isText;
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
