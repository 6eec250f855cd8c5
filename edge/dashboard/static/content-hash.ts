/**
 * 16 hexadecimal digits that change with the text: two runs of 32-bit FNV-1a. For cache busting only, not for
 * integrity. Synchronous, unlike WebCrypto, so that URLs are known at start.
 */
export function contentHash(text: string): string {
  return fnv1a(text, 0x811c9dc5) + fnv1a(text, 0x9747b28c);
}

function fnv1a(text: string, seed: number): string {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
