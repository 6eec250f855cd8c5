import { importJWK } from "jose";
import { type Signed, signTable, unsignedItems } from "../../shared/authority/sign-table.ts";
import { AUTHORITY_FAULTS } from "../../shared/authority/types.ts";
import { createVerifier } from "../../shared/authority/verify-authority.ts";
import { tenantId as tenantPattern } from "../../shared/ids.ts";
import { marshalItem } from "../../shared/table/dynamo.ts";
import { custodyHeadItem } from "../../shared/table/items/custody.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import { custodyHeadKey } from "../../shared/table/keys.ts";
import type { Verb } from "../platform/deps.ts";
import { Misuse } from "../platform/faults.ts";
import { type KeyLines, privateKey, publicKeys, readJsonLine, readKeyFile } from "../platform/key-file.ts";
import { openTable } from "../platform/open-table.ts";
import { table as columns, count } from "../platform/text-table.ts";

const WHY: Record<Signed["reason"], string> = {
  ...AUTHORITY_FAULTS,
  "old-key": "signed by a key that is being replaced",
};

/**
 * Signs the items of a tenant. It is needed once, for the upgrade to signed authority, and again after each
 * promotion of a control key.
 */
export const run: Verb = async (args, deps) => {
  const tenant = tenantPattern.safeParse(args.operands[0]);
  if (!tenant.success) throw new Misuse("table sign: TENANT must be the id of a tenant");
  const keys = await readKeys(readKeyFile(args.texts.env!));
  const { dynamo, table, close } = openTable(deps);
  try {
    const where = { dynamo, table };
    const signing = {
      tenantId: tenant.data,
      version: await versionOf(where, tenant.data),
      nowMs: deps.clock(),
      ...keys,
    };
    const isWriting = args.flags.has("write");
    const items = isWriting ? await signTable(where, signing) : await listUnsigned(where, signing);
    const rows = items.map(({ item, reason }) => [item, WHY[reason]]);
    const done = isWriting
      ? `${count(items.length, "item")} signed`
      : `${count(items.length, "item")} to sign`;
    const next =
      isWriting || items.length === 0 ? "" : ". Read the list, then run the command again with --write";
    const lines = [...(rows.length > 0 ? [...columns(["ITEM", "WHY"], rows), ""] : []), `${done}${next}`];
    return { json: { [isWriting ? "signed" : "unsigned"]: items }, lines };
  } finally {
    close();
  }
};

async function readKeys(lines: KeyLines) {
  const control = readJsonLine(lines, "LZ_CONTROL_KEY", privateKey, "a private control key");
  const controlJwks = readJsonLine(lines, "LZ_CONTROL_JWKS", publicKeys, "a set of public control keys");
  const enrolJwks = lines.LZ_ENROL_JWKS
    ? readJsonLine(lines, "LZ_ENROL_JWKS", publicKeys, "a set of public enrol keys")
    : { keys: [] };
  return {
    control: { kid: control.kid, key: (await importJWK(control, "EdDSA")) as CryptoKey },
    enrolKids: enrolJwks.keys.map(({ kid }) => kid),
    verifier: createVerifier(controlJwks, enrolJwks),
  };
}

type Where = Pick<ReturnType<typeof openTable>, "dynamo" | "table">;

/**
 * Number of the tenant's newest custody record. It is the version of the new signatures. Later changes get a
 * higher version.
 */
async function versionOf({ dynamo, table }: Where, tenantId: string): Promise<number> {
  const Key = marshalItem(custodyHeadKey(tenantId));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  return Item ? decodeItem(custodyHeadItem, Item).count : 0;
}

async function listUnsigned(
  where: Where,
  { tenantId, control, enrolKids, verifier }: Parameters<typeof signTable>[1],
): Promise<Signed[]> {
  const found: Signed[] = [];
  const kids = { control: control.kid, enrol: enrolKids ?? [] };
  for await (const { item, reason } of unsignedItems(where, tenantId, verifier, kids))
    found.push({ item: item.SK!.S!, reason });
  return found;
}
