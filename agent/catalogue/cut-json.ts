/**
 * Parses JSON text that may be truncated, because a probe reads a limited number of bytes. Incomplete members
 * and elements are dropped: `{"a":1,"b":[2,3` becomes `{"a":1,"b":[2]}`. Returns undefined if nothing can be
 * parsed.
 */
export function parseCutJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const whole = wholePart(text);
    return whole === undefined ? undefined : attempt(whole);
  }
}

function attempt(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const CLOSERS: Readonly<Record<string, string>> = { "{": "}", "[": "]" };

/** The text up to the last complete member or element, followed by the missing closing brackets. */
function wholePart(text: string): string | undefined {
  const open: string[] = [];
  let end = 0;
  /** Nesting depth at `end`. */
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at]!;
    if (inString) {
      if (sign === "\\") at += 1;
      else if (sign === '"') inString = false;
      continue;
    }
    if (sign === '"') inString = true;
    else if (sign in CLOSERS) open.push(CLOSERS[sign]!);
    else if (sign === "," || sign === open.at(-1)) {
      if (sign !== ",") open.pop();
      end = sign === "," ? at : at + 1;
      depth = open.length;
    }
  }
  return end === 0 ? undefined : text.slice(0, end) + open.slice(0, depth).toReversed().join("");
}
