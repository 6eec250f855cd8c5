/**
 * The value of a JSON text, or of as much of it as arrived: a probe stops reading after some bytes, and what a
 * document says of itself stands at its beginning. What was cut off is left out whole: of `{"a":1,"b":[2,3` stays
 * `{"a":1,"b":[2]}`. Undefined when nothing of it can be read.
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

/** The text up to the last member or element that is complete, with what is open closed. */
function wholePart(text: string): string | undefined {
  const open: string[] = [];
  let end = 0;
  /** How many of `open` are open at `end`: what is closed behind it moves `end` itself. */
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
