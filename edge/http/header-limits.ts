/**
 * Maximum number of characters in `Signature-Input`. Sufficient for a keyid of 256 characters and the
 * parameters of our signature profile.
 */
const SIGNATURE_INPUT_CHARACTERS_MAX = 512;
/**
 * Maximum number of characters in `Signature`. An Ed25519 signature has 88 characters in base64, and its
 * label has five more.
 */
const SIGNATURE_CHARACTERS_MAX = 128;
/**
 * Maximum total number of characters in header names and values. The limit is lower than Bun's own limit, so
 * that all runtimes refuse the same requests.
 */
const HEADERS_CHARACTERS_MAX = 12 * 1024;

/** Whether a signature header is longer than any valid signature header. Checked before the headers are parsed. */
export const isSignatureLong = (headers: Headers): boolean =>
  (headers.get("signature-input")?.length ?? 0) > SIGNATURE_INPUT_CHARACTERS_MAX ||
  (headers.get("signature")?.length ?? 0) > SIGNATURE_CHARACTERS_MAX;

/** Whether all headers together exceed {@link HEADERS_CHARACTERS_MAX}. */
export function areHeadersLong(headers: Headers): boolean {
  let characters = 0;
  for (const [name, value] of headers) characters += name.length + value.length;
  return characters > HEADERS_CHARACTERS_MAX;
}
