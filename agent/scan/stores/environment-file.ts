/*
 * Parses environment variables by the rules of systemd and PAM. Sources: `Environment=` and
 * `EnvironmentFile=` (systemd.exec(5)), `environment.d` (environment.d(5)) and `/etc/environment`
 * (pam_env(8)).
 */

/** Maximum length of a value in characters. Values are paths (PATH_MAX of linux/limits.h). */
const VALUE_CHARS_MAX = 4096;
const ASSIGNMENTS_MAX = 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", s: " " };

/** Joins each line that ends with a backslash with the next line. Skips comment lines (systemd.syntax(7)). */
export function logicalLines(text: string): string[] {
  const lines: string[] = [];
  let open: string | undefined;
  for (const line of text.split("\n")) {
    const isComment = /^\s*[#;]/.test(line);
    if (isComment) continue;
    const whole = open === undefined ? line : `${open} ${line.trimStart()}`;
    open = whole.endsWith("\\") ? whole.slice(0, -1) : undefined;
    if (open === undefined) lines.push(whole.trim());
  }
  if (open !== undefined) lines.push(open.trim());
  return lines;
}

/** Splits a value into words, without quotes and escapes. An unclosed quote ends at the end of the line. */
export function wordsOf(value: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < value.length; at += 1) {
    const char = value[at]!;
    if (char === "\\" && quote !== "'" && at + 1 < value.length) {
      at += 1;
      word = (word ?? "") + (ESCAPES[value[at]!] ?? value[at]!);
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Splits `NAME=value`. Returns undefined if the word is not an assignment. */
export function assignmentOf(word: string): [name: string, value: string] | undefined {
  const at = word.indexOf("=");
  const name = word.slice(0, Math.max(at, 0));
  const value = word.slice(at + 1);
  return NAME.test(name) && value.length <= VALUE_CHARS_MAX ? [name, value] : undefined;
}

/** Parses a file with one assignment per line. `export` may precede the name, and the value may be quoted. */
export function assignmentsInFile(text: string): [name: string, value: string][] {
  return logicalLines(text)
    .slice(0, ASSIGNMENTS_MAX)
    .flatMap((line) => {
      const [, name, raw] = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line) ?? [];
      if (name === undefined || raw === undefined) return [];
      // An unquoted value extends to the end of the line, including spaces.
      const value = /^["']/.test(raw) ? (wordsOf(raw)[0] ?? "") : raw;
      const found = assignmentOf(`${name}=${value}`);
      return found ? [found] : [];
    });
}

/** Parses `/proc/PID/environ`: assignments separated by null bytes (proc_pid_environ(5)). */
export const assignmentsInProcess = (text: string): [name: string, value: string][] =>
  text.split("\0").flatMap((word) => {
    const found = assignmentOf(word);
    return found ? [found] : [];
  });
