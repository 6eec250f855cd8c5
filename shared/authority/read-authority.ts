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

/** A read may fall between two items of one transaction: what does not fit is read again this often. */
const READS_MAX = 3;
const PAUSE_MS = 20;

/** `enforce`: what is not signed does not count. `observe`: it counts and is logged, until the table is signed. */
export type AuthorityMode = "enforce" | "observe";

/** Reads a tenant's items that grant or decide, and knows who may sign them. */
export type Authority = {
  /**
   * Reads such an item consistently with its records, in one call of two items (three for an asset).
   *
   * @returns undefined when neither the item nor a record exists
   * @throws {@link AuthorityFault} when the item is not what the control key (or, for a new device, the enrol key)
   *   signed
   */
  read: (key: Key) => Promise<AttributeMap | undefined>;
  /** As `read`, with the item's record by the control key. */
  readSigned: (key: Key) => Promise<{ item: AttributeMap | undefined; record: AttributeMap | undefined }>;
  /** Reads several of one tenant, in the order of the keys. A refused one is its fault. */
  readMany: (keys: readonly Key[]) => Promise<(AttributeMap | undefined | AuthorityFault)[]>;
  /** The asset with only such reports as its device signed. Its device key must be checked before, as `read` does. */
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
      const anew = await once(again.map(({ key }) => key));
      for (const [i, { index }] of again.entries()) outcomes[index] = anew[i]!;
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

/** An item's records as they are stored. `device`: of an asset, what the enrol key signed. */
export type StoredRecords = { record: AttributeMap | undefined; device: AttributeMap | undefined };

/**
 * Checks an item against its records. A record by the control key goes before one by the enrol key, because it is
 * the later one.
 *
 * @returns the claims of the control key's record; undefined without one
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

/** Keys of an item and its records. */
export function keysOf(key: Key): Key[] {
  const device = deviceKeyOf(key);
  return [key, authorityKey(tenantOf(key), key.SK), ...(device ? [device] : [])];
}

export function recordsOf(key: Key, found: Found): StoredRecords {
  const device = deviceKeyOf(key);
  return { record: found(authorityKey(tenantOf(key), key.SK)), device: device && found(device) };
}

/** `TENANT#t` names the tenant; keys of items that grant or decide have no more in their partition. */
const tenantOf = ({ PK }: Key): string => PK.slice("TENANT#".length);

export type Found = (key: Key) => AttributeMap | undefined;

/** BatchGetItem takes 100 keys a call (API_BatchGetItem). */
const KEYS_MAX = 100;
/** A table that leaves keys unread is too busy. */
const ROUNDS_MAX = 8;

/** Those items of these keys that exist, read consistently. */
export async function readConsistently(
  { dynamo, table }: Pick<Needs, "dynamo" | "table">,
  keys: readonly Key[],
): Promise<Found> {
  const items = new Map<string, AttributeMap>();
  let unread: AttributeMap[] = keys.map((key) => marshalItem(key));
  for (let round = 0; unread.length > 0; round++) {
    if (round === ROUNDS_MAX + Math.ceil(keys.length / KEYS_MAX))
      throw new Error(`${unread.length} items were not read: the table is too busy`);
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
