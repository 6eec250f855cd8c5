import { REPORT_REFUSED } from "../containment/containment-state.ts";
import type { Log } from "../observability/log.ts";
import { type AttributeMap, type Dynamo, marshalItem } from "../table/dynamo.ts";
import type { AssetItem } from "../table/items/asset/asset.ts";
import type { AuthorityClaims } from "../table/items/authority.ts";
import { ASSET_PREFIX, authorityKey, deviceRecordKey, type Key } from "../table/keys.ts";
import { type CheckedAsset, checkReports, createReportVerifier } from "./check-reports.ts";
import { needsAuthority } from "./covered-members.ts";
import { AuthorityFault } from "./types.ts";
import { checkCovered, checkNewDevice, type Verifier } from "./verify-authority.ts";

/**
 * Maximum number of reads before an item is refused. A read can happen between the writes of an item and its
 * record.
 */
const READS_MAX = 3;
const PAUSE_MS = 20;

/**
 * `enforce`: items without a valid signature are refused. `observe`: they are used and logged. `observe` is
 * for tables that are not signed yet.
 */
type AuthorityMode = "enforce" | "observe";

/** Reads the signed items of a tenant and verifies their signatures. */
export type Authority = {
  /**
   * Reads an item together with its records, with strongly consistent reads. One request reads two items
   * (three for an asset).
   *
   * @returns undefined if neither the item nor a record exists
   * @throws {@link AuthorityFault} if the item does not match the signature of the control key (or, for a new
   * device, of the enrol key)
   */
  read: (key: Key) => Promise<AttributeMap | undefined>;
  /** Like `read`, but also returns the item's record that the control key signed. */
  readSigned: (key: Key) => Promise<{ item: AttributeMap | undefined; record: AttributeMap | undefined }>;
  /**
   * Reads several items of one tenant and returns them in the order of the keys. For a refused item, it
   * returns the fault.
   */
  readMany: (keys: readonly Key[]) => Promise<(AttributeMap | undefined | AuthorityFault)[]>;
  /**
   * Returns the asset with only the reports that its device signed. The device key must have been verified
   * first, as in `read`.
   */
  checkReports: (asset: AssetItem) => Promise<CheckedAsset>;
  verifier: Verifier;
  mode: AuthorityMode;
};

type Needs = {
  dynamo: Dynamo;
  table: string;
  verifier: Verifier;
  mode: AuthorityMode;
  pause: (ms: number) => Promise<void>;
  log: Log;
  /** Called for each refused item. */
  onRefused?: () => void;
};

export function createAuthority(needs: Needs): Authority {
  const { verifier, mode, pause, log, onRefused } = needs;

  async function once(keys: readonly Key[]): Promise<Outcome[]> {
    const found = await readConsistently(needs, keys.flatMap(keysOf));
    return Promise.all(
      keys.map(async (key) => {
        const item = found(key);
        const records = recordsOf(key, found);
        try {
          await checkAuthority(verifier, tenantOf(key), key.SK, { item, ...records });
          return { item, record: records.record };
        } catch (error) {
          if (!(error instanceof AuthorityFault)) throw error;
          return { item, record: records.record, fault: error };
        }
      }),
    );
  }

  async function outcomesOf(keys: readonly Key[]): Promise<Outcome[]> {
    const outcomes = await once(keys);
    for (let reads = 1; reads < READS_MAX; reads++) {
      const again = keys.flatMap((key, index) => (outcomes[index]!.fault ? [{ key, index }] : []));
      if (again.length === 0) break;
      await pause(PAUSE_MS * reads);
      const reread = await once(again.map(({ key }) => key));
      for (const [i, { index }] of again.entries()) outcomes[index] = reread[i]!;
    }
    for (const { fault } of outcomes) {
      if (!fault) continue;
      onRefused?.();
      const { tenantId, item: name, code } = fault;
      log("error", "security.authority-refused", { tenantId, item: name, reason: code, mode });
    }
    return outcomes;
  }

  const readMany = async (keys: readonly Key[]) =>
    (await outcomesOf(keys)).map(({ item, fault }) => (fault && mode === "enforce" ? fault : item));

  async function readSigned(key: Key) {
    const { item, record, fault } = (await outcomesOf([key]))[0]!;
    if (fault && mode === "enforce") throw fault;
    return { item, record };
  }

  const read = async (key: Key): Promise<AttributeMap | undefined> => (await readSigned(key)).item;

  const verify = createReportVerifier();
  async function checkedReports(asset: AssetItem): Promise<CheckedAsset> {
    const checked = await checkReports(asset, verify);
    const { refused } = checked;
    if (refused?.reason !== REPORT_REFUSED.unsigned) return checked;
    onRefused?.();
    const { tenantId, assetId } = asset;
    const generation = (refused.proof ?? refused.freedByCode)?.generation;
    log("error", "security.proof-refused", { tenantId, assetId, generation, reason: refused.reason });
    return checked;
  }

  return { read, readSigned, readMany, checkReports: checkedReports, verifier, mode };
}

type Outcome = {
  item: AttributeMap | undefined;
  record: AttributeMap | undefined;
  fault?: AuthorityFault;
};

/** Stored authority records of an item. `device` is the record of an asset that the enrol key signed. */
export type StoredRecords = { record: AttributeMap | undefined; device: AttributeMap | undefined };

/**
 * Checks an item against its records. A record of the control key takes precedence over a record of the enrol
 * key, because it is newer.
 *
 * @returns the claims of the control key's record, or undefined if there is no such record
 * @throws {@link AuthorityFault}
 */
export async function checkAuthority(
  verifier: Verifier,
  tenantId: string,
  name: string,
  { item, record, device }: StoredRecords & { item: AttributeMap | undefined },
): Promise<AuthorityClaims | undefined> {
  if (record) {
    const claims = await verifier.record(record, tenantId, name);
    if (!item) throw new AuthorityFault(tenantId, name, "removed");
    await checkCovered(item, claims);
    return claims;
  }
  if (!item) {
    if (device) throw new AuthorityFault(tenantId, name, "removed");
    return undefined;
  }
  if (!device) {
    if (needsAuthority(item)) throw new AuthorityFault(tenantId, name, "unsigned");
    return undefined;
  }
  const claims = await verifier.device(device, tenantId, name);
  await checkNewDevice(item, claims);
  await checkCovered(item, claims);
  return undefined;
}

const assetOf = ({ SK }: Key): string | undefined =>
  SK.startsWith(ASSET_PREFIX) ? SK.slice(ASSET_PREFIX.length) : undefined;
const deviceKeyOf = (key: Key): Key | undefined => {
  const asset = assetOf(key);
  return asset === undefined ? undefined : deviceRecordKey(tenantOf(key), asset);
};

/** Table keys of an item and of its records. */
export function keysOf(key: Key): Key[] {
  const device = deviceKeyOf(key);
  return [key, authorityKey(tenantOf(key), key.SK), ...(device ? [device] : [])];
}

export function recordsOf(key: Key, found: Found): StoredRecords {
  const device = deviceKeyOf(key);
  return { record: found(authorityKey(tenantOf(key), key.SK)), device: device && found(device) };
}

/** Tenant of a table key. The partition key of signed items is `TENANT#<tenant>`. */
const tenantOf = ({ PK }: Key): string => PK.slice("TENANT#".length);

export type Found = (key: Key) => AttributeMap | undefined;

/** Maximum number of keys per BatchGetItem request (AWS API reference, BatchGetItem). */
const KEYS_MAX = 100;
/** Maximum number of additional calls for keys that DynamoDB returned as unprocessed. */
const ROUNDS_MAX = 8;

/** Reads the items with these keys with strongly consistent reads. Items that do not exist are left out. */
export async function readConsistently(
  { dynamo, table }: Pick<Needs, "dynamo" | "table">,
  keys: readonly Key[],
): Promise<Found> {
  const items = new Map<string, AttributeMap>();
  let unread: AttributeMap[] = keys.map((key) => marshalItem(key));
  for (let round = 0; unread.length > 0; round++) {
    if (round === ROUNDS_MAX + Math.ceil(keys.length / KEYS_MAX))
      throw new Error(
        `Could not read ${unread.length} items: DynamoDB returned them as unprocessed in every attempt.`,
      );
    const answer = await dynamo("BatchGetItem", {
      RequestItems: { [table]: { Keys: unread.slice(0, KEYS_MAX), ConsistentRead: true } },
    });
    for (const item of answer.Responses?.[table] ?? []) items.set(`${item.PK?.S} ${item.SK?.S}`, item);
    unread = [
      ...((answer.UnprocessedKeys?.[table]?.Keys ?? []) as AttributeMap[]),
      ...unread.slice(KEYS_MAX),
    ];
  }
  return ({ PK, SK }) => items.get(`${PK} ${SK}`);
}
