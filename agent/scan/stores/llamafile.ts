import type { ReadAt } from "../models/gguf.ts";

/*
 * A llamafile is an Actually Portable Executable: a program and a zip archive in one file. The archive stores
 * the weights without compression, so that they can be mapped into memory (mozilla-ai/llamafile, docs/;
 * PKWARE APPNOTE 6.3.10).
 */

/** Magic bytes of an APE program on Windows and on Unix (ape/specification.md of jart/cosmopolitan). */
const APE_MAGIC = /^(?:MZqFpD='|jartsr='|APEDBG=')/;

/** Maximum size of the end record in bytes: 22 bytes and a comment of maximum length. */
const END_BYTES_MAX = 22 + 65_535;
const DIRECTORY_BYTES_MAX = 1024 * 1024;
const ENTRIES_MAX = 8192;
const STORED = 0;
const GGUF_NAME = /\.gguf$/i;
const IN_ZIP64 = 0xffff_ffff;

/** True if the first bytes of a file are those of an Actually Portable Executable. */
export const isPortableExecutable = (head: Uint8Array): boolean =>
  APE_MAGIC.test(latin1(head.subarray(0, 8)));

/** Offset of the first GGUF file in the archive. Undefined if the archive contains no GGUF file. */
export function weightsOffset(readAt: ReadAt, sizeBytes: number): number | undefined {
  const directory = directoryOf(readAt, sizeBytes);
  if (!directory) return undefined;
  const bytes = view(readAt(directory.offset, Math.min(directory.size, DIRECTORY_BYTES_MAX)));
  let at = 0;
  for (let entry = 0; entry < ENTRIES_MAX && at + 46 <= bytes.byteLength; entry += 1) {
    if (bytes.getUint32(at, true) !== 0x02014b50) return undefined;
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      bytes.getUint16(at + field, true),
    );
    const next = at + 46 + nameLength! + extraLength! + commentLength!;
    if (next > bytes.byteLength) return undefined;
    const name = latin1(slice(bytes, at + 46, nameLength!));
    if (bytes.getUint16(at + 10, true) === STORED && GGUF_NAME.test(name)) {
      const header = localHeader(bytes, at, at + 46 + nameLength!, extraLength!);
      return header === undefined ? undefined : dataOffset(readAt, header);
    }
    at = next;
  }
  return undefined;
}

/**
 * Offset of the file data after the local header. The extra field of the local header may be longer than that
 * of the central directory, to align the weights.
 */
function dataOffset(readAt: ReadAt, header: number): number | undefined {
  const bytes = view(readAt(header, 30));
  if (bytes.byteLength < 30 || bytes.getUint32(0, true) !== 0x04034b50) return undefined;
  return header + 30 + bytes.getUint16(26, true) + bytes.getUint16(28, true);
}

/**
 * Offset of the local header. For an archive larger than 4 GiB, the offset is in extra field 1 (Zip64), after
 * the sizes.
 */
function localHeader(bytes: DataView, entry: number, extra: number, length: number): number | undefined {
  const offset = bytes.getUint32(entry + 42, true);
  if (offset !== IN_ZIP64) return offset;
  const before = [24, 20].filter((field) => bytes.getUint32(entry + field, true) === IN_ZIP64).length * 8;
  for (let at = extra; at + 4 <= extra + length; at += 4 + bytes.getUint16(at + 2, true)) {
    if (bytes.getUint16(at, true) !== 1) continue;
    return at + 4 + before + 8 <= extra + length ? bigNumber(bytes, at + 4 + before) : undefined;
  }
  return undefined;
}

function directoryOf(readAt: ReadAt, sizeBytes: number): { offset: number; size: number } | undefined {
  const start = Math.max(0, sizeBytes - END_BYTES_MAX);
  const tail = readAt(start, sizeBytes - start);
  const at = latin1(tail).lastIndexOf("PK\x05\x06");
  if (at < 0 || at + 22 > tail.length) return undefined;
  const bytes = view(tail);
  const [size, offset] = [bytes.getUint32(at + 12, true), bytes.getUint32(at + 16, true)];
  if (size !== IN_ZIP64 && offset !== IN_ZIP64) return { offset, size };
  // In Zip64 archives, the end record follows the locator of the 64-bit end record.
  if (at < 20 || bytes.getUint32(at - 20, true) !== 0x07064b50) return undefined;
  const end = bigNumber(bytes, at - 20 + 8);
  const record = end === undefined ? undefined : view(readAt(end, 56));
  if (!record || record.byteLength < 56 || record.getUint32(0, true) !== 0x06064b50) return undefined;
  const [wideSize, wideOffset] = [bigNumber(record, 40), bigNumber(record, 48)];
  return wideSize === undefined || wideOffset === undefined
    ? undefined
    : { offset: wideOffset, size: wideSize };
}

const bigNumber = (bytes: DataView, at: number): number | undefined => {
  const value = Number(bytes.getBigUint64(at, true));
  return Number.isSafeInteger(value) ? value : undefined;
};

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const slice = (bytes: DataView, at: number, length: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
