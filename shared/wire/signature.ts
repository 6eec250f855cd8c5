import { base64, fromBase64, utf8 } from "../encoding/bytes.ts";
import { accept, type Refusal, refuse, type Verdict } from "../verdict.ts";

/*
 * A profile of HTTP Message Signatures (RFC 9421) and Content-Digest (RFC 9530). The components, their order
 * and the parameters are fixed, so two regular expressions replace a structured-field parser. Differences
 * that the RFC allows between serialisers, such as the parameter order, are accepted. Differences in meaning
 * are rejected.
 */
const COMPONENTS = '("@method" "@path" "content-digest")';
const LABEL = "lz";

export type Algorithm = "hmac-sha256" | "ed25519";

/**
 * A request as client and server see it before the body is trusted. `path` has no query. `digest` is the
 * header value.
 */
export type Signable = { method: string; path: string; digest: string };

export type SignatureInput = {
  keyid: string;
  createdSeconds: number;
  algorithm: Algorithm;
  /** Everything after `lz=`. The signature covers this text unchanged (RFC 9421 §2.3). */
  parameters: string;
  signature: Uint8Array<ArrayBuffer>;
};

/** Signature base (RFC 9421 §2.5). */
export function signatureBase(request: Signable, parameters: string): string {
  return (
    `"@method": ${request.method}\n"@path": ${request.path}\n"content-digest": ${request.digest}\n` +
    `"@signature-params": ${parameters}`
  );
}

/** Content-Digest of the exact bytes, `sha-256=:…:` (RFC 9530 §2). */
export async function contentDigest(body: BufferSource): Promise<string> {
  return `sha-256=:${base64(new Uint8Array(await crypto.subtle.digest("SHA-256", body)))}:`;
}

export type Signer = { keyid: string; algorithm: Algorithm; key: CryptoKey };

/** Returns the headers with a signature for `body`, which is sent to `path` with `method`. */
export async function signRequest(
  signer: Signer,
  request: { method: string; path: string; body: BufferSource },
  createdSeconds: number,
): Promise<{ "content-digest": string; "signature-input": string; signature: string }> {
  const digest = await contentDigest(request.body);
  const parameters = `${COMPONENTS};created=${createdSeconds};keyid="${signer.keyid}";alg="${signer.algorithm}"`;
  const base = utf8(signatureBase({ method: request.method, path: request.path, digest }, parameters));
  const signature = new Uint8Array(
    await crypto.subtle.sign(webCryptoName(signer.algorithm), signer.key, base),
  );
  return {
    "content-digest": digest,
    "signature-input": `${LABEL}=${parameters}`,
    signature: `${LABEL}=:${base64(signature)}:`,
  };
}

/**
 * Parses the signature headers without verifying the signature. Refuses a missing header, another label, a
 * second signature, other components, a repeated or unknown parameter, and any algorithm other than
 * `algorithm`.
 */
export function parseSignature(headers: Headers, algorithm: Algorithm): Verdict<SignatureInput> {
  const input = headers.get("signature-input");
  const signature = headers.get("signature");
  if (!input || !signature) return refuse("wire.unsigned", "signature-input and signature are required");
  if (!input.startsWith(`${LABEL}=${COMPONENTS};`)) return unsignedBy("signature-input");
  const parameters = input.slice(LABEL.length + 1);
  const found = parseParameters(parameters.slice(COMPONENTS.length));
  if (!found) return unsignedBy("signature-input");
  if (found.alg !== undefined && found.alg !== algorithm)
    return refuse("wire.unsigned", `alg must be ${algorithm}`);
  if (!signature.startsWith(`${LABEL}=:`) || !signature.endsWith(":")) return unsignedBy("signature");
  const bytes = fromBase64(signature.slice(LABEL.length + 2, -1));
  if (!bytes || bytes.length !== (algorithm === "ed25519" ? 64 : 32)) return unsignedBy("signature");
  return accept({
    keyid: found.keyid,
    createdSeconds: found.created,
    algorithm,
    parameters,
    signature: bytes,
  });
}

const unsignedBy = (header: string): Refusal =>
  refuse("wire.unsigned", `${header} does not match the required profile`);

/** The parameters in the format that our own agents write. */
const USUAL = /^;created=(\d{1,12});keyid="([\x21\x23-\x5b\x5d-\x7e]{1,256})";alg="(hmac-sha256|ed25519)"$/;
const PARAMETER = /;([a-z]+)=(?:(\d{1,12})|"([\x21\x23-\x5b\x5d-\x7e]{1,256})")/y;

/**
 * Parses `;created=…;keyid="…"` and optionally `;alg="…"`, in any order. Returns undefined if a parameter is
 * repeated or unknown.
 */
function parseParameters(text: string): { created: number; keyid: string; alg?: string } | undefined {
  const usual = USUAL.exec(text);
  if (usual) return { created: Number(usual[1]), keyid: usual[2]!, alg: usual[3]! };
  let created: number | undefined;
  let keyid: string | undefined;
  let alg: string | undefined;
  PARAMETER.lastIndex = 0;
  let end = 0;
  for (let match = PARAMETER.exec(text); match; match = PARAMETER.exec(text)) {
    const [, name, integer, string] = match;
    end = PARAMETER.lastIndex;
    if (name === "created" && integer !== undefined && created === undefined) created = Number(integer);
    else if (name === "keyid" && string !== undefined && keyid === undefined) keyid = string;
    else if (name === "alg" && string !== undefined && alg === undefined) alg = string;
    else return undefined;
  }
  if (end !== text.length || created === undefined || keyid === undefined) return undefined;
  return alg === undefined ? { created, keyid } : { created, keyid, alg };
}

/** True if `created` differs from the current time by at most `skewSeconds`, in either direction. */
export function isFresh(createdSeconds: number, nowMs: number, skewSeconds: number): boolean {
  return Math.abs(nowMs / 1000 - createdSeconds) <= skewSeconds;
}

/** Verifies the signature in constant time (WebCrypto). The caller must compare the digest with the body first. */
export async function verifySignature(
  key: CryptoKey,
  input: SignatureInput,
  request: Signable,
): Promise<boolean> {
  const base = utf8(signatureBase(request, input.parameters));
  return await crypto.subtle.verify(webCryptoName(input.algorithm), key, input.signature, base);
}

const webCryptoName = (algorithm: Algorithm): string => (algorithm === "ed25519" ? "Ed25519" : "HMAC");

export const importHmacKey = (key: Uint8Array<ArrayBuffer>, usages: KeyUsage[]): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, usages);

/** Imports the public device key from its base64url x coordinate. Rejects if it is not a point on the curve. */
export const importDeviceKey = (x: string): Promise<CryptoKey> =>
  crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", x }, { name: "Ed25519" }, false, ["verify"]);
