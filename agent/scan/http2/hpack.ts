import { decodeHuffman } from "./hpack-huffman.ts";

/** Static table of RFC 7541 Appendix A, from index 1. */
const STATIC =
  ":authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate"
    .split("|")
    .map((field): Field => {
      const [name, value = ""] = field.split("=");
      return [name!, value];
    });

export type Field = [name: string, value: string];

/** Default size of the dynamic table in bytes (SETTINGS_HEADER_TABLE_SIZE, RFC 9113 section 6.5.2). */
const TABLE_BYTES_MAX = 4096;
const FIELDS_MAX = 256;
/**
 * Overhead of a table entry in bytes. It is added to the lengths of the name and the value (RFC 7541 section
 * 4.1).
 */
const ENTRY_BYTES = 32;

/** Thrown for a header block that does not follow RFC 7541. */
export class MalformedHeaders extends Error {}

/** Encodes fields as literals without indexing (RFC 7541 section 6.2.2). Names and values must be ASCII. */
export function encodeHeaders(fields: readonly Field[]): Uint8Array {
  const parts = fields.flatMap(([name, value]) => [Buffer.from([0]), ...literal(name), ...literal(value)]);
  return new Uint8Array(Buffer.concat(parts));
}

function literal(text: string): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return [Buffer.from([bytes.length]), bytes];
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return [Buffer.from([...length, rest]), bytes];
}

/**
 * Creates a decoder for the header blocks of one connection. Call it for each block in order. It throws
 * {@link MalformedHeaders}.
 */
export function createHeaderDecoder(): (block: Uint8Array) => Field[] {
  const table: Field[] = [];
  let limit = TABLE_BYTES_MAX;

  return (block) => {
    const cursor = createCursor(block);
    const fields: Field[] = [];
    while (!cursor.isAtEnd()) {
      if (fields.length >= FIELDS_MAX) throw new MalformedHeaders("too many field lines");
      const first = cursor.peek();
      if (first & 0x80) fields.push(at(cursor.number(7)));
      else if (first & 0x40) {
        const field = readLiteral(cursor, 6);
        remember(field);
        fields.push(field);
      } else if (first & 0x20) resize(cursor.number(5));
      else fields.push(readLiteral(cursor, 4));
    }
    return fields;
  };

  function readLiteral(cursor: Cursor, prefix: number): Field {
    const index = cursor.number(prefix);
    const name = index === 0 ? cursor.text() : at(index)[0];
    return [name, cursor.text()];
  }

  function at(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : table[index - STATIC.length - 1];
    if (!field) throw new MalformedHeaders("no such entry");
    return field;
  }

  function resize(bytes: number): void {
    if (bytes > TABLE_BYTES_MAX) throw new MalformedHeaders("the table is too large");
    limit = bytes;
    evict();
  }

  function remember(field: Field): void {
    table.unshift(field);
    evict();
  }

  function evict(): void {
    let bytes = table.reduce((sum, field) => sum + bytesOf(field), 0);
    while (bytes > limit) bytes -= bytesOf(table.pop()!);
  }
}

const bytesOf = ([name, value]: Field): number => name.length + value.length + ENTRY_BYTES;

type Cursor = ReturnType<typeof createCursor>;

function createCursor(bytes: Uint8Array) {
  let position = 0;
  const next = (): number => {
    const byte = bytes[position];
    if (byte === undefined) throw new MalformedHeaders("the block ends early");
    position += 1;
    return byte;
  };
  /** Decodes an integer whose prefix has `prefix` bits (RFC 7541 section 5.1). */
  const number = (prefix: number): number => {
    const max = 2 ** prefix - 1;
    let value = next() & max;
    if (value < max) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = next();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new MalformedHeaders("a number is too large");
  };
  return {
    isAtEnd: () => position >= bytes.length,
    peek: () => bytes[position]!,
    number,
    /** Decodes a string literal as latin1 (RFC 7541 section 5.2). */
    text: (): string => {
      const isHuffman = ((bytes[position] ?? 0) & 0x80) !== 0;
      const length = number(7);
      if (position + length > bytes.length) throw new MalformedHeaders("a text ends early");
      const part = bytes.subarray(position, position + length);
      position += length;
      const text = isHuffman
        ? decodeHuffman(part)
        : Buffer.from(part.buffer, part.byteOffset, part.length).toString("latin1");
      if (text === undefined) throw new MalformedHeaders("not a Huffman code");
      return text;
    },
  };
}
