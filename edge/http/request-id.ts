const ID_BYTES = 8;
/** Number of ids per call to the random source. A call for 8 bytes costs as much as a call for all these ids. */
const IDS_DRAWN = 128;

/** Generates unpredictable request ids of 16 hex digits. */
export function createRequestIds(random: (length: number) => Uint8Array): () => string {
  let drawn = "";
  let used = 0;
  return () => {
    if (used === drawn.length) {
      drawn = hex(random(ID_BYTES * IDS_DRAWN));
      used = 0;
    }
    used += 2 * ID_BYTES;
    return drawn.slice(used - 2 * ID_BYTES, used);
  };
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}
