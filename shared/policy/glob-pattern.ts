/** A pattern made ready: its parts between the stars, in lower case. */
type Parts = readonly string[];

const partsOf = (pattern: string): Parts => pattern.toLowerCase().split("*");

function matchesParts(parts: Parts, text: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return text === first;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  for (let i = 1; i < parts.length - 1; i++) {
    const found = text.indexOf(parts[i]!, from);
    if (found < 0) return false;
    from = found + parts[i]!.length;
  }
  const last = parts[parts.length - 1]!;
  return text.length - from >= last.length && text.endsWith(last);
}

/** True when the pattern matches the whole name: `*` stands for any run of characters, case does not matter. */
export const matchesPattern = (pattern: string, name: string): boolean =>
  matchesParts(partsOf(pattern), name.toLowerCase());

/**
 * Lists of a policy, made ready once: a host may tell thousands of names and a policy hold hundreds of patterns, and
 * one such heartbeat must not hold up everybody else's.
 */
const ready = new WeakMap<readonly string[], { exact: ReadonlySet<string>; others: readonly Parts[] }>();

function readyOf(patterns: readonly string[]) {
  const known = ready.get(patterns);
  if (known) return known;
  const all = patterns.map(partsOf);
  const exact = new Set(all.filter(({ length }) => length === 1).map(([text]) => text!));
  const made = { exact, others: all.filter(({ length }) => length > 1) };
  ready.set(patterns, made);
  return made;
}

/** True when a pattern matches: `*` stands for any run of characters, case does not matter. No list may be altered after. */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  if (patterns.length === 0) return false;
  const { exact, others } = readyOf(patterns);
  const text = name.toLowerCase();
  if (exact.has(text)) return true;
  for (const parts of others) if (matchesParts(parts, text)) return true;
  return false;
}
