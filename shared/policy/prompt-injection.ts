/**
 * Patterns of text that tries to instruct a language model. The list cannot be complete: a match is
 * suspicious, but text without a match is not necessarily safe. plain-name.ts determines whether a language
 * model can lower a score.
 */
const ORDERS: readonly RegExp[] = [
  /\b(ignore|disregard|forget|override|bypass)\b.{0,40}\b(previous|prior|above|all|any|earlier|the|these|those|your|system)\b.{0,40}\b(instructions?|rules?|prompts?|polic(?:y|ies)|context|findings?|directions?)\b/i,
  /(?:^|[\s"'.,;])(?:system|developer|assistant|user)\s*(?:prompt|message|role)?\s*(?::\s|>|\])/i,
  /<\s*\/?\s*(system|assistant|user|im_start|im_end|instructions?|evidence|tool|s)\b|<\||\|>|\[\/?INST\]|<<\s*\/?SYS/i,
  /\b(you are|act as|pretend|from now on|new instructions?|as an ai|respond with|reply with|output|answer|return|print)\b.{0,60}\b(info|benign|safe|approved|low|risk|score|json|harmless|allow(?:ed)?)\b/i,
  /\b(risk|score|severity|verdict)\s*["']?\s*(?:[:=]|is|to)\s*["']?\s*(info|none|low|benign|safe|0)\b/i,
  /\b(mark|classify|treat|rate|consider|lower|downgrade)\b.{0,50}\b(info|benign|safe|low|harmless|approved|zero|trusted|non-?issue)\b/i,
  /\b(do not|don't|never)\b.{0,30}\b(flag|report|alert|escalate|raise|tell|mention)\b/i,
  /\b(this|it|engine|model)\b.{0,20}\b(was|is|has been)\b.{0,20}\b(pre-?approved|whitelisted|allowlisted|exempt|sanctioned)\b/i,
  /(ignor\w*|vergiss|oublie\w*|olvida|ignora)\s.{0,40}(instruc\w*|anweisung\w*|instruktion\w*|consignes)/i,
];

/** Normalises look-alike characters and separators before the patterns are applied. */
const normal = (text: string): string =>
  text.normalize("NFKC").replace(/[\s_\-./\\\u200b-\u200f\u2060\ufeff]+/g, " ");

/** Cache of results. The same names repeat, and matching costs more than all other rules together. */
const seen = new Map<string, boolean>();
const SEEN_MAX = 20_000;

export function looksLikeInstructions(text: string): boolean {
  const known = seen.get(text);
  if (known !== undefined) return known;
  const plain = normal(text);
  const found = ORDERS.some((pattern) => pattern.test(text) || pattern.test(plain));
  if (seen.size >= SEEN_MAX) seen.clear();
  seen.set(text, found);
  return found;
}
