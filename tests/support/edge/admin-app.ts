import { importJWK, type CryptoKey as JoseKey, SignJWT } from "jose";
import type { Deps } from "../../../edge/deps.ts";
import { ISSUER } from "../../../local/issuer.ts";
import type { Dynamo } from "../../../shared/table/dynamo.ts";
import { EDGE_URL, makeEdgeApp, TENANT_ID } from "./edge-app.ts";

/** Claims that replace those of a valid session token. A claim with the value `undefined` is removed. */
export type Claims = Record<string, unknown>;

export type SignWith = { alg?: string; kid?: string; key?: JoseKey | Uint8Array };

/** Creates the app with a test issuer of session tokens and a table that counts requests. */
export async function makeAdminApp(more: Partial<Deps> = {}) {
  const asked: string[] = [];
  const dynamo = (async (operation: string) => {
    asked.push(operation);
    return {};
  }) as unknown as Dynamo;
  const edge = await makeEdgeApp({ dynamo, ...more });
  const { secrets, state } = edge;
  const issuerKey = (await importJWK(secrets.issuerKey, "RS256")) as JoseKey;
  const session = (
    claims: Claims = {},
    { alg = "RS256", kid = "issuer-1", key = issuerKey }: SignWith = {},
  ) => {
    const nowSeconds = Math.floor(state.nowMs / 1000);
    const good: Claims = {
      iss: ISSUER,
      sub: "user_mara",
      sid: "sess_1",
      azp: EDGE_URL,
      sts: "active",
      iat: nowSeconds,
      nbf: nowSeconds - 5,
      exp: nowSeconds + 60,
      o: { id: TENANT_ID, rol: "admin" },
      ...claims,
    };
    const kept = Object.fromEntries(Object.entries(good).filter(([, value]) => value !== undefined));
    return new SignJWT(kept).setProtectedHeader({ alg, kid, typ: "JWT" }).sign(key);
  };
  const ask = (path: string, token: string, init: RequestInit = {}) =>
    edge.app.request(`${EDGE_URL}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) },
    });
  return { ...edge, asked, issuerKey, session, ask };
}
