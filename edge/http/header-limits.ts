/** A keyid of 256 characters, and what the profile has around it. */
export const SIGNATURE_INPUT_CHARACTERS_MAX = 512;
/** Ed25519 in base64 has 88, and the label around it five. */
export const SIGNATURE_CHARACTERS_MAX = 128;
/** Names and values together: below what Bun takes by itself, so that every runtime answers alike. */
export const HEADERS_CHARACTERS_MAX = 12 * 1024;

/** Whether the headers of the signature are longer than any good one, before they are parsed. */
export const isSignatureLong = (headers: Headers): boolean =>
  (headers.get("signature-input")?.length ?? 0) > SIGNATURE_INPUT_CHARACTERS_MAX ||
  (headers.get("signature")?.length ?? 0) > SIGNATURE_CHARACTERS_MAX;

/** Whether all headers together are longer than anybody's need to be. */
export function areHeadersLong(headers: Headers): boolean {
  let characters = 0;
  for (const [name, value] of headers) characters += name.length + value.length;
  return characters > HEADERS_CHARACTERS_MAX;
}
