import { parse } from "@babel/parser";

/** A piece of text that people read, with the line where it starts. */
export type Prose = { line: number; text: string };

/** Words and phrases that hide the meaning of a sentence, with the plain form. CONTRIBUTING has the glossary of terms. */
const MARKERS: readonly { pattern: RegExp; instead: string }[] = [
  { pattern: /\bwhoever\b/gi, instead: "name the subject: the caller, the user, the agent" },
  { pattern: /\bwh(?:ich|at)ever\b/gi, instead: "any, every" },
  { pattern: /\banew\b/gi, instead: "again" },
  { pattern: /\btold\b/gi, instead: "reported, sent, notified, logged" },
  { pattern: /\b(?:is|are|was|were) none\b/gi, instead: "there is no …, does not exist" },
  {
    pattern: /(?<!\bthere )\b(?:is|are) no (?!longer\b|more than\b|less than\b|fewer than\b)/gi,
    instead: "is not a …",
  },
  { pattern: /\bof (?:ours|theirs)\b/gi, instead: "our …, their …" },
  { pattern: /(?<!`)\b(?:no|some)body(?:'s)?\b(?!`)/gi, instead: "no one, a user, a person" },
  { pattern: /\bbut for\b/gi, instead: "except" },
  { pattern: /\bfor want of\b/gi, instead: "because there is no …" },
  { pattern: /\bin vain\b/gi, instead: "without success, failed" },
  { pattern: /\bby way of\b/gi, instead: "through" },
  { pattern: /\bto be had\b/gi, instead: "available" },
  { pattern: /\bdear(?:er|est)?\b/gi, instead: "expensive" },
  { pattern: /\b(?:besides|lest|hence|thereof|ere)\b/gi, instead: "also, so that … not, so" },
  { pattern: /\bit (?:is|was) so\b/gi, instead: "state the fact" },
  { pattern: /\bthose who\b/gi, instead: "users who, readers that" },
  { pattern: /\blooked at\b/gi, instead: "read, scanned, checked" },
  { pattern: /\bat once\b/gi, instead: "immediately, or: at the same time" },
  {
    pattern: /\b(?:lies|lie|lay) (?:in|at|on|below|under|beside|there|elsewhere)\b/gi,
    instead: "is stored in",
  },
  { pattern: /(?:^|[.:;] )What (?![^.]*\?)/gm, instead: "start with the subject" },
  { pattern: /(?:^|[.:;] )Who (?![^.]*\?)/gm, instead: "start with the subject" },
  {
    pattern: /(?:^|[.:;] )Of (?:the|a|an|all|those|what|several|two)\b/gm,
    instead: "start with the subject",
  },
  // Synonyms of terms in the glossary.
  { pattern: /\blost (?:rounds?|races?)\b/gi, instead: "optimistic-lock conflict" },
  { pattern: /\bheld (?:questions?|polls?|requests?)\b/gi, instead: "long poll" },
  { pattern: /\badjudicat\w*/gi, instead: "LLM review" },
  { pattern: /\bglances?\b/gi, instead: "assess, evaluate" },
  { pattern: /\bpasts\b/gi, instead: "history, late heartbeats" },
];

const plugins = (path: string): ("typescript" | "jsx")[] =>
  path.endsWith(".ts") ? ["typescript"] : ["typescript", "jsx"];

/** Comments of a TypeScript or JavaScript file. Line comments on consecutive lines are one comment. */
export function commentsOf(path: string, source: string): Prose[] {
  const found: (Prose & { end: number; block: boolean })[] = [];
  for (const { type, value, loc } of parse(source, { sourceType: "module", plugins: plugins(path) })
    .comments ?? []) {
    if (!loc || /^\s*(?:biome-ignore|@ts-|deno-lint|#!|\/ <reference)/.test(value)) continue;
    const text = value.replace(/^\s*\* ?/gm, "").trim();
    const last = found.at(-1);
    if (type === "CommentLine" && last && !last.block && last.end === loc.start.line - 1) {
      last.text += ` ${text}`;
      last.end = loc.end.line;
    } else if (text !== "") {
      found.push({ line: loc.start.line, end: loc.end.line, block: type === "CommentBlock", text });
    }
  }
  return found.map(({ line, text }) => ({ line, text }));
}

/** String literals, template literals and JSX text of at least three words. Template expressions become `…`. */
export function textsOf(path: string, source: string): Prose[] {
  const found: Prose[] = [];
  const add = (text: string, line: number): void => {
    const flat = text.replace(/\s+/g, " ").trim();
    if ((flat.match(/[A-Za-z][a-z']+/g) ?? []).length >= 3 && flat.includes(" "))
      found.push({ line, text: flat });
  };
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) {
      for (const inner of node) visit(inner);
      return;
    }
    if (typeof node !== "object" || node === null) return;
    const { type, loc } = node as { type?: string; loc?: { start: { line: number } } };
    const line = loc?.start.line ?? 0;
    if (type === "StringLiteral" || type === "JSXText")
      add((node as unknown as { value: string }).value, line);
    if (type === "TemplateLiteral") {
      const { quasis } = node as unknown as { quasis: { value: { cooked: string | null; raw: string } }[] };
      add(quasis.map(({ value }) => value.cooked ?? value.raw).join("…"), line);
    }
    for (const [key, value] of Object.entries(node)) {
      if (key !== "loc" && key !== "comments" && !key.endsWith("Comments")) visit(value);
    }
  };
  visit(parse(source, { sourceType: "module", plugins: plugins(path) }).program);
  return found;
}

/** Paragraphs of a Markdown page, without code. */
export function paragraphsOf(source: string): Prose[] {
  let code = false;
  return source.split("\n").flatMap((text, index) => {
    if (text.startsWith("```")) code = !code;
    const plain = text.replace(/`[^`]*`/g, "`code`");
    return code || text.startsWith("    ") || text.startsWith("```") || plain.trim() === ""
      ? []
      : [{ line: index + 1, text: plain }];
  });
}

export const words = (text: string): number =>
  text.split(/\s+/).filter((word) => /[A-Za-z]/.test(word)).length;

/** Markers in a text: what was found and the plain form. */
export const markersIn = (text: string): { found: string; instead: string }[] =>
  MARKERS.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map(([found]) => ({ found, instead })),
  );
