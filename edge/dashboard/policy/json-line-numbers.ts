/** Line numbers of the values in a JSON text. `fault`: line number of the first syntax error. */
export type JsonLines = { lineOf(path: readonly PropertyKey[]): number | undefined; fault?: number };

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const PLAIN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const DEPTH_MAX = 32;

const nameOf = (path: readonly PropertyKey[]): string => JSON.stringify(path.map(String));

/**
 * Parses a text with the grammar of RFC 8259 to find line numbers, counted from 1. `JSON.parse` cannot be
 * used: its syntax errors state the position in a different way in each JavaScript engine, and it never
 * reports the positions of values.
 */
export function jsonLines(text: string): JsonLines {
  const lines = new Map<string, number>();
  let at = 0;
  const lineHere = () => text.slice(0, at).split("\n").length;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return undefined;
    at += found.length;
    return found;
  };
  const takes = (sign: string): boolean => {
    take(SPACE);
    if (text[at] !== sign) return false;
    at++;
    return true;
  };

  function value(path: PropertyKey[]): boolean {
    take(SPACE);
    if (!lines.has(nameOf(path))) lines.set(nameOf(path), lineHere());
    if (path.length > DEPTH_MAX) return false;
    if (text[at] === "{") return members(path);
    if (text[at] === "[") return elements(path);
    return (take(STRING) ?? take(PLAIN)) !== undefined;
  }

  function members(path: PropertyKey[]): boolean {
    at++;
    if (takes("}")) return true;
    do {
      take(SPACE);
      const line = lineHere();
      const name = take(STRING);
      if (name === undefined || !takes(":")) return false;
      const own = [...path, JSON.parse(name) as string];
      lines.set(nameOf(own), line);
      if (!value(own)) return false;
    } while (takes(","));
    return takes("}");
  }

  function elements(path: PropertyKey[]): boolean {
    at++;
    if (takes("]")) return true;
    let index = 0;
    do if (!value([...path, index++])) return false;
    while (takes(","));
    return takes("]");
  }

  const isWhole = value([]);
  take(SPACE);
  const fault = isWhole && at === text.length ? undefined : lineHere();
  return { lineOf: (path) => lines.get(nameOf(path)), ...(fault !== undefined && { fault }) };
}
