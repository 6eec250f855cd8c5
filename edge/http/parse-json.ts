import type { z } from "zod";
import { fromUtf8 } from "../../shared/encoding/bytes.ts";
import { accept, refuse, type Verdict } from "../../shared/verdict.ts";

/** Maximum nesting depth, higher than any of our schemas needs. It prevents deep recursion on hostile input. */
const DEPTH_MAX = 16;

/** Parses a JSON body. Refuses malformed UTF-8, malformed JSON and nesting deeper than {@link DEPTH_MAX}. */
export function parseJson(body: Uint8Array<ArrayBuffer>): Verdict<unknown> {
  const parsed = parseJsonText(body);
  return parsed.ok ? accept(parsed.value.json) : parsed;
}

/** Parses a JSON body and also returns its text. Malformed UTF-8 is refused and never repaired. */
export function parseJsonText(body: Uint8Array<ArrayBuffer>): Verdict<{ text: string; json: unknown }> {
  try {
    const text = fromUtf8(body);
    if (isDeep(body)) return refuse("wire.malformed", `the JSON is nested deeper than ${DEPTH_MAX} levels`);
    return accept({ text, json: JSON.parse(text) });
  } catch {
    return refuse("wire.malformed", "the body is not JSON in UTF-8");
  }
}

/** Path of the first invalid value. Names that are not in the schema are left out, because the caller chose them. */
export const invalidPathOf = (error: z.ZodError): string =>
  (error.issues[0]?.path.map(String).join(".") || "body").slice(0, 100);

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [
  0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d,
];

function isDeep(json: Uint8Array): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (quoted) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > DEPTH_MAX) return true;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
  }
  return false;
}
