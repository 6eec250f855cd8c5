import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { base64url } from "../shared/encoding/bytes.ts";
import { newControlKey, newSecret } from "../shared/key-generation.ts";

const jwk = z.record(z.string(), z.unknown());
const schema = z.object({
  edgeSecrets: z.string(),
  queueKeys: z.string(),
  controlKey: jwk,
  issuerKey: jwk,
  signInCode: z.string(),
});

/** Secrets of the local stack. In production, each secret comes from a secret store: see docs/production.md. */
export type Secrets = z.infer<typeof schema>;

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Reads the secrets of an earlier start, or creates them. With the same secrets, agents and sessions stay valid. */
export async function openSecrets(file: string): Promise<Secrets> {
  if (existsSync(file)) {
    const parsed = schema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (!parsed.success) throw new Error(`${file} is damaged: delete its folder to start with new data`);
    return parsed.data;
  }
  const secrets = await makeSecrets();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, JSON.stringify(secrets, undefined, 2), { mode: 0o600 });
  chmodSync(file, 0o600);
  return secrets;
}

export async function makeSecrets(): Promise<Secrets> {
  const issuer = await generate({
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  });
  return {
    edgeSecrets: newSecret("v1", random),
    queueKeys: newSecret("q1", random),
    controlKey: await newControlKey("control-1"),
    issuerKey: { ...issuer, kid: "issuer-1" },
    signInCode: base64url(random(18)),
  };
}

async function generate(algorithm: string | RsaHashedKeyGenParams): Promise<JsonWebKey> {
  const pair = (await crypto.subtle.generateKey(algorithm as RsaHashedKeyGenParams, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  return crypto.subtle.exportKey("jwk", pair.privateKey);
}

/** The public half of a private JWK. */
export function publicJwk(key: Record<string, unknown>): Record<string, unknown> {
  const { kty, crv, kid, x, n, e } = key;
  return kty === "OKP" ? { kty, crv, kid, x } : { kty, kid, n, e, alg: "RS256", use: "sig" };
}
