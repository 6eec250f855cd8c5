import { REPORT_REFUSED } from "../containment/containment-state.ts";
import { type AttributeMap, type Dynamo, unmarshalItem } from "../table/dynamo.ts";
import { assetItem } from "../table/items/asset/asset.ts";
import type { AuthorityClaims, AuthorityHeadClaims } from "../table/items/authority.ts";
import { custodyHeadItem } from "../table/items/custody.ts";
import {
  authorityHeadKey,
  custodyHeadKey,
  deviceRecordKey,
  ENROLLED_PREFIX,
  ENROLMENT_PREFIX,
  enrolmentKey,
  type Key,
  tenantKey,
} from "../table/keys.ts";
import { checkReports, createReportVerifier, type ReportVerifier } from "./check-reports.ts";
import { addToDigest, EMPTY_DIGEST } from "./digest.ts";
import { checkAuthority, keysOf, readConsistently, recordsOf } from "./read-authority.ts";
import { grantingItems, kidOf, queryAll } from "./sign-table.ts";
import { AuthorityFault, type AuthorityFaultCode } from "./types.ts";
import { checkAgentSettings, checkCovered, type Verifier } from "./verify-authority.ts";

type Table = { dynamo: Dynamo; table: string };
type Audited = {
  tenantId: string;
  verifier: Verifier;
  /** Highest version that was seen before. A lower version means that the table was restored from a backup. */
  versionMin?: number;
  /**
   * Current time in seconds. DynamoDB may already have deleted items that expired before this time. Their
   * authority records remain.
   */
  nowSeconds: number;
};

export type AuthorityAudit = {
  /** Version of the signed head. 0 if no administrator has changed anything yet. */
  version: number;
  /** Number of items that were checked. */
  items: number;
  /** Number of records per key that signed them. A key without records can be removed. */
  byKid: Record<string, number>;
  faults: { item: string; code: AuthorityFaultCode }[];
};

/**
 * Maximum number of reads before a fault is reported. A change by an administrator during the audit looks
 * like a fault at first.
 */
const READS_MAX = 3;

/**
 * Audits all signed items of a tenant. It checks every item against its record, every record against its
 * item, and all records against the signed head. It detects items and records that were edited, added,
 * removed or restored. With `versionMin` it also detects a table that was restored completely.
 *
 * It also verifies the stored report of each host, the use counts of enrolment tokens, and the signature of
 * the end of the custody log.
 *
 * Cost: one strongly consistent read of the tenant's signed items, authority records, device records and
 * enrolled devices.
 */
export async function auditAuthority(where: Table, audited: Audited): Promise<AuthorityAudit> {
  const { tenantId, verifier, nowSeconds } = audited;
  const partition = tenantKey(tenantId).PK;
  const { claims, head, byKid, faults } = await readRecords(where, audited);
  const suspects = new Set<string>();
  const present = new Set<string>();
  const devices = await readDevices(where, tenantId);
  const uses: TokenUses = {
    counted: new Map(),
    devices: await countEnrolled(where, tenantId),
    assets: new Map(),
  };
  const verifyReport = createReportVerifier();
  for (const [name, device] of devices) if (!claims.has(name)) countKid(byKid, device);
  for await (const item of grantingItems(where, tenantId)) {
    const name = item.SK!.S!;
    present.add(name);
    countUse(uses, item);
    const isGood = await holds(verifier, tenantId, item, devices.get(name), claims.get(name));
    // Check the settings again together with their record, because the record contains the signed agent
    // settings.
    if (!isGood || item.type?.S === "Tenant" || (await hasForgedReport(item, verifyReport)))
      suspects.add(name);
  }
  for (const [name, { until }] of claims)
    if (!present.has(name) && !(until !== undefined && until <= nowSeconds)) suspects.add(name);
  for (const name of devices.keys()) if (!present.has(name)) suspects.add(name);
  for (const name of suspects) {
    const key: Key = { PK: partition, SK: name };
    const code = await faultOf(where, key, audited);
    if (code !== undefined && !faults.some((fault) => fault.item === name)) faults.push({ item: name, code });
  }
  if (await isCustodyAltered(where, audited, head?.version ?? 0, byKid))
    faults.push({ item: custodyHeadKey(tenantId).SK, code: "custody" });
  for (const jti of await overusedTokens(where, tenantId, uses))
    faults.push({ item: `${ENROLMENT_PREFIX}${jti}`, code: "uses" });
  return { version: head?.version ?? 0, items: present.size, byKid, faults };
}

type Records = {
  claims: Map<string, AuthorityClaims>;
  head: AuthorityHeadClaims | undefined;
  byKid: Record<string, number>;
  faults: AuthorityAudit["faults"];
};

/** Reads all authority records of the tenant and checks them against the signed head. */
async function readRecords(where: Table, { tenantId, verifier, versionMin = 0 }: Audited): Promise<Records> {
  for (let reads = 1; ; reads++) {
    const records = await readOnce(where, tenantId, verifier);
    const code = await headFault(records, versionMin);
    if (code === undefined) return records;
    if (reads < READS_MAX && code === "count") continue;
    return { ...records, faults: [...records.faults, { item: "HEAD", code }] };
  }
}

async function readOnce(where: Table, tenantId: string, verifier: Verifier): Promise<Records> {
  const { PK, SK: headSort } = authorityHeadKey(tenantId);
  const records: Records = { claims: new Map(), head: undefined, byKid: {}, faults: [] };
  for await (const stored of queryAll(where, PK, undefined)) {
    const item = stored.SK!.S!;
    try {
      if (item === headSort) {
        records.head = await verifier.head(stored, tenantId);
        continue;
      }
      countKid(records.byKid, stored);
      records.claims.set(item, await verifier.record(stored, tenantId, item));
    } catch (error) {
      if (!(error instanceof AuthorityFault)) throw error;
      records.faults.push({ item, code: error.code });
    }
  }
  return records;
}

async function headFault(
  { claims, head, faults }: Records,
  versionMin: number,
): Promise<AuthorityFaultCode | undefined> {
  if (faults.some(({ item }) => item === "HEAD")) return undefined; // The fault of the head was already reported.
  if (!head) return claims.size > 0 || versionMin > 0 ? "head" : undefined;
  if (head.version < versionMin) return "rolledBack";
  const digest = await addToDigest(EMPTY_DIGEST, [...claims.values()]);
  return head.count === claims.size && head.digest === digest ? undefined : "count";
}

function countKid(byKid: Record<string, number>, record: AttributeMap): void {
  const kid = kidOf(record) ?? "unreadable";
  byKid[kid] = (byKid[kid] ?? 0) + 1;
}

/** Device records by the sort key of their asset. */
async function readDevices(where: Table, tenantId: string): Promise<Map<string, AttributeMap>> {
  const devices = new Map<string, AttributeMap>();
  const { PK } = deviceRecordKey(tenantId, "");
  for await (const record of queryAll(where, PK, undefined)) devices.set(record.SK!.S!, record);
  return devices;
}

/**
 * Whether the end of the custody log was modified. Each change by an administrator signs two items: the head
 * of the authority records, which contains the number of the newest custody record, and the end of the
 * custody log. An end without a valid signature was not written by the control plane. An end with a lower
 * number was restored. The end is read after the head, so a concurrent change can only make it newer.
 *
 * @param version version of the signed head
 */
async function isCustodyAltered(
  where: Table,
  { tenantId, verifier }: Audited,
  version: number,
  byKid: Record<string, number>,
): Promise<boolean> {
  const key = custodyHeadKey(tenantId);
  const stored = (await readConsistently(where, [key]))(key);
  if (!stored) return version > 0;
  const head = custodyHeadItem.safeParse(unmarshalItem(stored));
  if (!head.success) return true;
  countKid(byKid, { signature: { S: head.data.checkpoint } });
  return head.data.count < version || !(await verifier.custody(head.data, tenantId));
}

/**
 * Uses of enrolment tokens by token id, from three sources: the count in the token's item, the enrolled
 * devices, and the assets. An old token that was never recorded has an unsigned item, which is only read if
 * needed.
 */
type TokenUses = Record<"counted" | "devices" | "assets", Map<string, number>>;

const addOne = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);

/** Counts the enrolled devices per token. An enrol node writes one device item for each use of a token. */
async function countEnrolled(where: Table, tenantId: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const { SK } of queryAll(where, tenantKey(tenantId).PK, ENROLLED_PREFIX))
    addOne(counts, SK!.S!.slice(ENROLLED_PREFIX.length).split("#")[0]!);
  return counts;
}

function countUse({ counted, assets }: TokenUses, item: AttributeMap): void {
  if (item.type?.S === "Enrolment")
    counted.set(item.SK!.S!.slice(ENROLMENT_PREFIX.length), Number(item.uses?.N ?? 0));
  if (item.type?.S === "Asset" && item.enrolledWith?.S) addOne(assets, item.enrolledWith.S);
}

/**
 * Tokens with more enrolled devices than their use count. `uses` is not signed, so this detects a count that
 * was reset. Assets are signed and contain the id of their token, so deleting the items of enrolled devices
 * hides nothing. A token is read again before it is reported, because devices may have enrolled in the
 * meantime.
 */
async function overusedTokens(where: Table, tenantId: string, uses: TokenUses): Promise<string[]> {
  const overused: string[] = [];
  for (const jti of new Set([...uses.devices.keys(), ...uses.assets.keys()])) {
    const devices = Math.max(uses.devices.get(jti) ?? 0, uses.assets.get(jti) ?? 0);
    if ((uses.counted.get(jti) ?? 0) >= devices) continue;
    const key = enrolmentKey(tenantId, jti);
    const item = (await readConsistently(where, [key]))(key);
    if (item && Number(item.uses?.N ?? 0) < devices) overused.push(jti);
  }
  return overused;
}

async function holds(
  verifier: Verifier,
  tenantId: string,
  item: AttributeMap,
  device: AttributeMap | undefined,
  claims: AuthorityClaims | undefined,
): Promise<boolean> {
  const name = item.SK!.S!;
  try {
    if (claims) await checkCovered(item, claims);
    else await checkAuthority(verifier, tenantId, name, { item, record: undefined, device });
    return true;
  } catch (error) {
    if (!(error instanceof AuthorityFault)) throw error;
    return false;
  }
}

/** True for an asset with a forged report: a proof, or a release by code, that its device did not sign. */
async function hasForgedReport(item: AttributeMap, verify: ReportVerifier): Promise<boolean> {
  if (item.type?.S !== "Asset" || !(item.proof ?? item.freedByCode)) return false;
  const parsed = assetItem.safeParse(unmarshalItem(item));
  if (!parsed.success) return true;
  const { refused } = await checkReports(parsed.data, verify);
  return refused?.reason === REPORT_REFUSED.unsigned;
}

/**
 * The fault of an item after it was read again with its records. Undefined if a concurrent change caused the
 * fault.
 */
async function faultOf(
  where: Table,
  key: Key,
  { tenantId, verifier, nowSeconds }: Audited,
): Promise<AuthorityFaultCode | undefined> {
  const found = await readConsistently(where, keysOf(key));
  const records = recordsOf(key, found);
  try {
    const item = found(key);
    await checkAuthority(verifier, tenantId, key.SK, { item, ...records });
    await checkAgentSettings(verifier, tenantId, { item, record: records.record });
    return item && (await hasForgedReport(item, createReportVerifier())) ? "proof" : undefined;
  } catch (error) {
    if (!(error instanceof AuthorityFault)) throw error;
    const isExpired =
      error.code === "removed" && (await untilOf(records.record, tenantId, key, verifier)) <= nowSeconds;
    return isExpired ? undefined : error.code;
  }
}

const untilOf = async (record: AttributeMap | undefined, tenantId: string, { SK }: Key, verifier: Verifier) =>
  (record && (await verifier.record(record, tenantId, SK)).until) ?? Number.POSITIVE_INFINITY;
