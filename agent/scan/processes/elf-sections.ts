import { type Files, latin1Of } from "../system/files.ts";

/** A section of an ELF file (elf(5)). `link` is the index of the section that it refers to. */
export type Section = { name: string; type: number; offset: number; size: number; link: number };

const HEADER_BYTES = 64;
const SECTIONS_MAX = 256;
const NAMES_BYTES_MAX = 65_536;

/**
 * Reads the section table of an ELF file. Undefined if the file is not an ELF file. Throws the system's error
 * if the file is not readable.
 */
export function readSections(files: Files, path: string): Section[] | undefined {
  const header = view(files.bytes(path, 0, HEADER_BYTES));
  if (header.byteLength < HEADER_BYTES || header.getUint32(0) !== 0x7f454c46) return undefined;
  // 64-bit and little-endian, as on all processors that the agent is built for.
  if (header.getUint16(4) !== 0x0201) return undefined;
  const tableAt = Number(header.getBigUint64(0x28, true));
  const entryBytes = header.getUint16(0x3a, true);
  const count = header.getUint16(0x3c, true);
  if (entryBytes < 64 || count > SECTIONS_MAX) return undefined;
  const table = view(files.bytes(path, tableAt, entryBytes * count));
  const raw = Array.from({ length: Math.floor(table.byteLength / entryBytes) }, (_, index) => {
    const start = index * entryBytes;
    return {
      nameAt: table.getUint32(start, true),
      type: table.getUint32(start + 4, true),
      offset: Number(table.getBigUint64(start + 0x18, true)),
      size: Number(table.getBigUint64(start + 0x20, true)),
      link: table.getUint32(start + 0x28, true),
    };
  });
  const strings = raw[header.getUint16(0x3e, true)];
  const names = strings
    ? latin1Of(files.bytes(path, strings.offset, Math.min(strings.size, NAMES_BYTES_MAX)))
    : "";
  return raw.map(({ nameAt, ...section }) => ({
    ...section,
    name: names.slice(nameAt).split("\0", 1)[0]!,
  }));
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
