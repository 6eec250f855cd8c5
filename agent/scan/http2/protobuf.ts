/**
 * Values of a message by field number. Strings, bytes and nested messages are raw bytes. Numeric values are
 * left out.
 */
export type Fields = ReadonlyMap<number, readonly Uint8Array[]>;

const FIELDS_MAX = 4096;

/**
 * Parses a protobuf message without its schema (https://protobuf.dev/programming-guides/encoding/). Returns
 * undefined if the message is invalid.
 */
export function readFields(bytes: Uint8Array): Fields | undefined {
  const fields = new Map<number, Uint8Array[]>();
  let position = 0;
  let count = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[position];
      if (byte === undefined) return Number.NaN;
      position += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (position < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    count += 1;
    if (Number.isNaN(tag) || field === 0 || count > FIELDS_MAX) return undefined;
    const type = tag % 8;
    if (type === 0) {
      if (Number.isNaN(varint())) return undefined;
    } else if (type === 1) position += 8;
    else if (type === 5) position += 4;
    else if (type === 2) {
      const length = varint();
      if (!(position + length <= bytes.length)) return undefined;
      fields.set(field, [...(fields.get(field) ?? []), bytes.subarray(position, position + length)]);
      position += length;
    } else return undefined;
    if (position > bytes.length) return undefined;
  }
  return fields;
}

/** The last value of a field as text. Undefined if the field is absent or not valid UTF-8. */
export function textOf(fields: Fields, field: number): string | undefined {
  const value = fields.get(field)?.at(-1);
  if (value === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch {
    return undefined;
  }
}
