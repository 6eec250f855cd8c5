/** One archive entry. It is stored without compression. */
type Entry = { name: string; content: Uint8Array; method?: number; localExtra?: number };

const bytesOf = (...fields: [size: 2 | 4 | 8, value: number][]): Uint8Array => {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else if (size === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += size;
  }
  return bytes;
};
const joined = (parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts as Uint8Array[]));

const WIDE = 0xffff_ffff;

/**
 * Creates a file like a llamafile: the start of an Actually Portable Executable, then a zip archive whose
 * offsets count from the start of the file (PKWARE APPNOTE). If `isWide` is true, the archive has the records
 * that archives larger than 4 GiB need (Zip64).
 */
export function llamafile(
  entries: readonly Entry[],
  { head = "MZqFpD='\n", isWide = false } = {},
): Uint8Array<ArrayBuffer> {
  const start = new Uint8Array(4096);
  start.set(new TextEncoder().encode(head));
  const parts: Uint8Array[] = [start];
  const directory: Uint8Array[] = [];
  let at = start.length;
  const add = (part: Uint8Array) => {
    parts.push(part);
    at += part.length;
  };
  for (const { name, content, method = 0, localExtra = 20 } of entries) {
    const label = new TextEncoder().encode(name);
    const size = content.length;
    const offset = at;
    const extra = isWide ? joined([bytesOf([2, 1], [2, 8], [8, offset])]) : new Uint8Array();
    add(
      bytesOf(
        [4, 0x04034b50],
        [2, 20],
        [2, 0],
        [2, method],
        [4, 0],
        [4, 0],
        [4, size],
        [4, size],
        [2, label.length],
        [2, localExtra],
      ),
    );
    add(label);
    add(new Uint8Array(localExtra));
    add(content);
    directory.push(
      bytesOf(
        [4, 0x02014b50],
        [2, 20],
        [2, 20],
        [2, 0],
        [2, method],
        [4, 0],
        [4, 0],
        [4, size],
        [4, size],
        [2, label.length],
        [2, extra.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, 0],
        [4, isWide ? WIDE : offset],
      ),
      label,
      extra,
    );
  }
  const offset = at;
  add(joined(directory));
  const size = at - offset;
  const count = entries.length;
  if (isWide) {
    const end = at;
    add(
      bytesOf(
        [4, 0x06064b50],
        [8, 44],
        [2, 20],
        [2, 20],
        [4, 0],
        [4, 0],
        [8, count],
        [8, count],
        [8, size],
        [8, offset],
      ),
    );
    add(bytesOf([4, 0x07064b50], [4, 0], [8, end], [4, 1]));
  }
  add(
    bytesOf(
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, count],
      [2, count],
      [4, isWide ? WIDE : size],
      [4, isWide ? WIDE : offset],
      [2, 0],
    ),
  );
  return joined(parts);
}
