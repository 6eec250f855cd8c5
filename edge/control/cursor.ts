import { base64url, fromBase64url, fromUtf8, utf8 } from "../../shared/encoding/bytes.ts";
import { type AttributeMap, marshalItem, unmarshalItem } from "../../shared/table/dynamo.ts";

/** Something came as a cursor that this node did not make for this very list. */
export class CursorFault extends Error {
  override name = "CursorFault";
}

/** What a cursor is good for: the tenant, the list, its order and its filters. */
export type Scope = readonly (string | number | boolean | undefined)[];

export const CURSOR_FORM = /^([A-Za-z0-9_-]{1,1900})\.([A-Za-z0-9_-]{43})$/;
export const CURSOR_CHARACTERS_MAX = 2000;

const signed = (scope: Scope, body: string) => utf8(JSON.stringify(["cursor", scope, body]));

/** `<position>.<HMAC-SHA256 over scope and position>`: opaque to the caller, and of use for one list only. */
export async function sealCursor(
  keys: readonly CryptoKey[],
  scope: Scope,
  position: AttributeMap,
): Promise<string> {
  const body = base64url(utf8(JSON.stringify(unmarshalItem(position))));
  const mac = await crypto.subtle.sign("HMAC", keys[0]!, signed(scope, body));
  return `${body}.${base64url(new Uint8Array(mac))}`;
}

/** Position of a cursor that was made for this scope. Throws {@link CursorFault} for any other text. */
export async function openCursor(
  keys: readonly CryptoKey[],
  scope: Scope,
  cursor: string,
): Promise<AttributeMap> {
  const [, body, mac] = CURSOR_FORM.exec(cursor) ?? [];
  const bytes = mac === undefined ? undefined : fromBase64url(mac);
  if (!body || !bytes) throw new CursorFault();
  for (const key of keys) {
    if (!(await crypto.subtle.verify("HMAC", key, bytes, signed(scope, body)))) continue;
    return marshalItem(JSON.parse(fromUtf8(fromBase64url(body)!)) as object);
  }
  throw new CursorFault();
}
