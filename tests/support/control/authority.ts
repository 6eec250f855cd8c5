import { importJWK } from "jose";
import type { Deps } from "../../../edge/deps.ts";
import type { CheckedAsset } from "../../../shared/authority/check-reports.ts";
import type { Authority } from "../../../shared/authority/read-authority.ts";
import { signTable } from "../../../shared/authority/sign-table.ts";
import { createVerifier, type Verifier } from "../../../shared/authority/verify-authority.ts";
import { signCheckpoint } from "../../../shared/containment/custody-checkpoint.ts";
import { newControlKey, publicHalf } from "../../../shared/key-generation.ts";
import { type Dynamo, marshalItem } from "../../../shared/table/dynamo.ts";
import { authorityKey, custodyHeadKey, type Key } from "../../../shared/table/keys.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";

/** Creates a signing key pair, as used by the control plane and the enrol nodes. */
export async function makeSigningKey(kid: string) {
  const jwk = await newControlKey(kid);
  const key: ControlKey = { kid, key: (await importJWK(jwk, "EdDSA")) as CryptoKey };
  return { key, jwks: { keys: [publicHalf(jwk)] } };
}

/**
 * Returns the signed head item of a custody log with `count` records. `more`: members that an attacker adds
 * to the item after it was signed.
 */
export async function custodyEnd(tenantId: string, count: number, control: ControlKey, more: object = {}) {
  const head = { tenantId, hash: "a".repeat(64), count };
  const checkpoint = await signCheckpoint(head, Date.parse("2026-11-22T12:00:00.000Z"), control);
  return marshalItem({ ...custodyHeadKey(tenantId), type: "CustodyHead", ...head, checkpoint, ...more });
}

/**
 * An authority that accepts unsigned items, for tests that do not check signatures. Admin changes are still
 * signed.
 */
export const believing = (
  dynamo: Dynamo,
  verifier: Verifier = createVerifier({ keys: [] }),
  table = "t",
): Authority => {
  const read = async (key: Key) =>
    (await dynamo("GetItem", { TableName: table, Key: marshalItem(key), ConsistentRead: true })).Item;
  const checkReports: Authority["checkReports"] = async (asset) => asset as CheckedAsset;
  const readSigned = async (key: Key) => {
    const tenantId = key.PK.slice("TENANT#".length);
    const [item, record] = await Promise.all([read(key), read(authorityKey(tenantId, key.SK))]);
    return { item, record };
  };
  return {
    read,
    readSigned,
    readMany: (keys) => Promise.all(keys.map(read)),
    checkReports,
    verifier,
    mode: "observe",
  };
};

/** Signs every unsigned item of a tenant in a real table, as `lz table sign` does. */
export async function signStored(
  { dynamo, table, authority, controlKey }: Pick<Deps, "dynamo" | "table" | "authority" | "controlKey">,
  tenantId: string,
): Promise<void> {
  await signTable(
    { dynamo, table },
    { tenantId, version: 0, nowMs: Date.now(), control: controlKey!, verifier: authority.verifier },
  );
}
