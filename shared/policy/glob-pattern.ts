/** A parsed pattern in lower case: the texts between its stars. */
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

/** True if the pattern matches the whole name. `*` matches any characters. The comparison ignores case. */
export const matchesPattern = (pattern: string, name: string): boolean =>
  matchesParts(partsOf(pattern), name.toLowerCase());

/**
 * Cache of parsed pattern lists. A heartbeat can contain thousands of names, and a policy hundreds of
 * patterns. Without this cache, one such heartbeat would delay all others.
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

/**
 * True if one of the patterns matches the whole name. `*` matches any characters, and the comparison ignores
 * case. The list is cached, so it must not be changed afterwards.
 */
export function matchesAny(patterns: readonly string[], name: string): boolean {
  if (patterns.length === 0) return false;
  const { exact, others } = readyOf(patterns);
  const text = name.toLowerCase();
  if (exact.has(text)) return true;
  for (const parts of others) if (matchesParts(parts, text)) return true;
  return false;
}
