import { writeFileSync } from "node:fs";
import { importJWK } from "jose";
import { z } from "zod";
import { signCatalogue, verifyCatalogue } from "../../shared/wire/catalog.ts";
import { parseOrUndefined } from "../platform/connect.ts";
import type { Verb } from "../platform/deps.ts";
import { Failure, Misuse } from "../platform/faults.ts";
import { readFile } from "../platform/read-file.ts";

/** A private control key, in the format of the edge's `LZ_CONTROL_KEY`. */
const controlKey = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  kid: z.string().min(1),
  x: z.string(),
  d: z.string(),
});

/** Signs a catalogue offline. The resulting file must be served at the URL in `LZ_CATALOGUE_URL`. */
export const run: Verb = async (args, deps) => {
  const { in: from, key: keyFile, out } = args.texts as { in: string; key?: string; out: string };
  const keyText = keyFile === undefined ? deps.env.LZ_CONTROL_KEY : readFile(keyFile);
  if (keyText === undefined)
    throw new Misuse("catalog sign: give the private control key with --key, or in LZ_CONTROL_KEY");
  const parsed = controlKey.safeParse(parseOrUndefined(keyText));
  if (!parsed.success)
    throw new Misuse("catalog sign: the control key must be an Ed25519 private JWK with a kid");
  const { d: _, ...publicKey } = parsed.data;
  const control = { kid: parsed.data.kid, key: (await importJWK(parsed.data, "EdDSA")) as CryptoKey };
  const document = await signCatalogue(
    control,
    readFile(from).trimEnd(),
    Math.floor(deps.clock() / 1000),
  ).catch((cause) => {
    throw new Misuse(`${from} is not a catalogue with a version: give dist/catalogue.json`, { cause });
  });
  const { version } = await verifyCatalogue(document, { keys: [publicKey] }, deps.clock());
  try {
    writeFileSync(out, document);
  } catch (cause) {
    throw new Failure(`cannot write ${out}`, { cause });
  }
  const json = { version, kid: control.kid, bytes: document.length, out };
  return { json, lines: [`signed catalogue ${version} with ${control.kid}: ${out}`] };
};
