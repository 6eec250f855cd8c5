import { createLocalJWKSet, type JSONWebKeySet, jwtVerify, SignJWT } from "jose";
import { z } from "zod";
import { base64url, utf8 } from "../encoding/bytes.ts";
import { type ControlKey, ISSUER } from "./sign-statement.ts";

/*
 * The signed catalogue is one text file. The first line is a compact JWS over version and digest. The rest is
 * the catalogue as JSON. The signature covers the bytes of the JSON, so no canonical form is needed.
 */

/** Maximum size of the whole document in bytes. 125 products with their fixtures need 140 kB. */
export const CATALOGUE_BYTES_MAX = 4 * 1024 * 1024;
export const CATALOGUE_PATH = "/v1/catalog";

/** Version of a catalogue. It is a date, followed by a number if several versions have the same date. */
export const catalogueVersion = z.string().regex(/^2\d{3}\.\d{2}\.\d{2}(?:\.\d{1,4})?$/);

const claims = z.object({ version: catalogueVersion, sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/) });

const TYPE = "lz-catalogue+jwt";
/** Maximum length of the first line in characters. It contains a signature and two short claims. */
const JWS_CHARACTERS_MAX = 4096;

export const sha256Of = async (text: string): Promise<string> =>
  base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(text))));

/** Builds the document that an edge serves. Signs `json` unchanged, with the version that it contains. */
export async function signCatalogue(
  control: ControlKey,
  json: string,
  issuedAtSeconds: number,
): Promise<string> {
  const { version } = z.object({ version: catalogueVersion }).parse(JSON.parse(json));
  const jws = await new SignJWT({ version, sha256: await sha256Of(json), iss: ISSUER })
    .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid: control.kid })
    .setIssuedAt(issuedAtSeconds)
    .sign(control.key);
  return `${jws}\n${json}`;
}

/**
 * Returns the version and JSON text of a document that was signed with one of the keys. Throws otherwise.
 * Does not validate the content.
 */
export async function verifyCatalogue(
  document: string,
  pinned: JSONWebKeySet,
  nowMs: number,
): Promise<{ version: string; json: string }> {
  const end = document.indexOf("\n");
  if (end < 0 || end > JWS_CHARACTERS_MAX) throw new Error("not a signed catalogue");
  const { payload } = await jwtVerify(document.slice(0, end), createLocalJWKSet(pinned), {
    algorithms: ["EdDSA"],
    typ: TYPE,
    issuer: ISSUER,
    currentDate: new Date(nowMs),
    requiredClaims: ["iat"],
  });
  const { version, sha256 } = claims.parse(payload);
  const json = document.slice(end + 1);
  if ((await sha256Of(json)) !== sha256) throw new Error("the catalogue is not the one that was signed");
  return { version, json };
}

/**
 * Compares two catalogue versions. Negative if `a` is older than `b`, 0 if they are equal, and positive if
 * `a` is newer.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number)) as [number[], number[]];
  for (let at = 0; at < 4; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
