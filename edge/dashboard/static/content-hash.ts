/**
 * Hash of a text: 16 hexadecimal digits, from two runs of 32-bit FNV-1a. The hash is for cache busting, not
 * for integrity. It is synchronous, unlike WebCrypto, so that URLs are known when the process starts.
 */
export function contentHash(text: string): string {
  return fnv1a(text, 0x811c9dc5) + fnv1a(text, 0x9747b28c);
}

function fnv1a(text: string, seed: number): string {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
