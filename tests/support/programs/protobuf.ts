/**
 * Encodes text fields by number as a Protocol Buffers message, in hexadecimal
 * (https://protobuf.dev/programming-guides/encoding/).
 */
export function messageOf(...fields: [field: number, value: string | Buffer][]): string {
  return encode(fields).toString("hex");
}

export function encode(fields: [field: number, value: string | Buffer][]): Buffer {
  return Buffer.concat(
    fields.map(([field, value]) => {
      const bytes = Buffer.from(value as string);
      return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
    }),
  );
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
