import { base64url, fromBase64url, fromUtf8, utf8 } from "../../shared/encoding/bytes.ts";
import { type AttributeMap, marshalItem, unmarshalItem } from "../../shared/table/dynamo.ts";

/** The cursor is invalid, or was created for another list. */
export class CursorFault extends Error {
  override name = "CursorFault";
}

/**
 * Scope of a cursor: tenant, list, order and filters. A cursor is only valid for the scope that it was
 * created with.
 */
export type Scope = readonly (string | number | boolean | undefined)[];

export const CURSOR_FORM = /^([A-Za-z0-9_-]{1,1900})\.([A-Za-z0-9_-]{43})$/;
export const CURSOR_CHARACTERS_MAX = 2000;

const signed = (scope: Scope, body: string) => utf8(JSON.stringify(["cursor", scope, body]));

/** Creates a cursor: `<position>.<HMAC-SHA256 over scope and position>`. It is valid for this scope only. */
export async function sealCursor(
  keys: readonly CryptoKey[],
  scope: Scope,
  position: AttributeMap,
): Promise<string> {
  const body = base64url(utf8(JSON.stringify(unmarshalItem(position))));
  const mac = await crypto.subtle.sign("HMAC", keys[0]!, signed(scope, body));
  return `${body}.${base64url(new Uint8Array(mac))}`;
}

/**
 * Verifies a cursor and returns its position. Throws {@link CursorFault} if the cursor was not created for
 * this scope.
 */
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
