import { decodeJwt, type JSONWebKeySet } from "jose";
import { z } from "zod";
import { type CustodyFault, verifyCustody } from "../../shared/containment/custody-chain.ts";
import { isCheckpointSigned, namesHead } from "../../shared/containment/custody-checkpoint.ts";
import { fromBase64url } from "../../shared/encoding/bytes.ts";
import { canonicalJson } from "../../shared/encoding/canonical-json.ts";
import {
  type AuditItem,
  auditItem,
  type CustodyHeadItem,
  custodyHeadItem,
} from "../../shared/table/items/custody.ts";
import { isSignedReport } from "../../shared/wire/report-signature.ts";
import { parseOrUndefined } from "../platform/connect.ts";

/** The response of `GET /v1/custody`. `lz audit export` saves it. */
export const custodyExport = z.object({ records: z.array(z.unknown()), head: custodyHeadItem.optional() });
export type CustodyExport = z.infer<typeof custodyExport>;

/**
 * The head in an export file. The schema is strict, because a member that no check covers would appear to be
 * proven. The values are checked against the records later, so a wrong value counts as a fault of the log.
 */
const exportedHead = z.strictObject({
  type: z.literal("CustodyHead"),
  tenantId: z.string(),
  hash: z.string(),
  count: z.int(),
  at: z.string().optional(),
  ownHash: z.string().optional(),
  ownCount: z.int().optional(),
  checkpoint: z.string(),
});

const exportedJson = z.strictObject({ records: z.array(z.unknown()), head: exportedHead.optional() });

/**
 * First line of an export in the JSON Lines format. Each later line is a record, in the order of the tenant's
 * log.
 */
const manifest = z.strictObject({
  type: z.literal("CustodyManifest"),
  v: z.literal(1),
  records: z.int().min(0),
  head: exportedHead.optional(),
});

function numberOf(each: unknown): number {
  const number = (each as Partial<AuditItem> | null)?.tenantNumber;
  return Number.isSafeInteger(number) ? number! : 0;
}

/**
 * Sorts the records by their number, as {@link verifyExport} expects. The JSON format can contain them in any
 * order.
 */
export const inOrder = ({ records, ...more }: CustodyExport): CustodyExport => ({
  records: records.toSorted((a, b) => numberOf(a) - numberOf(b)),
  ...more,
});

/** True if the line is the canonical JSON of the value. False if the value is nested too deeply to be written. */
function isCanonical(value: unknown, line: string): boolean {
  try {
    return canonicalJson(value) === line;
  } catch {
    return false;
  }
}

/**
 * Writes the export as JSON Lines: a manifest, then the records as canonical JSON, from which their hashes
 * are computed.
 */
export function toJsonLines(exported: CustodyExport): string {
  const { records, head } = inOrder(exported);
  const first = { type: "CustodyManifest", v: 1, records: records.length, head };
  return [first, ...records].map((line) => `${canonicalJson(line)}\n`).join("");
}

/**
 * `fault` is set if a line is in the wrong place, or if the number of lines is wrong. Pass it to {@link
 * verifyExport}.
 */
export type ReadExport = { exported: CustodyExport; fault?: CustodyFault };

/**
 * Reads an export in either format. Undefined if the text has neither format. In JSON Lines, a line in the
 * wrong place is a fault.
 */
export function readExport(text: string): ReadExport | undefined {
  const whole = exportedJson.safeParse(parseOrUndefined(text));
  if (whole.success) return { exported: inOrder(whole.data) };
  const [first = "", ...lines] = text.replace(/\n$/, "").split("\n");
  const parsedManifest = manifest.safeParse(parseOrUndefined(first));
  if (!parsedManifest.success) return undefined;
  const records = lines.map((line) => parseOrUndefined(line) ?? null);
  const exported = { records, ...(parsedManifest.data.head && { head: parsedManifest.data.head }) };
  for (const [index, line] of lines.entries()) {
    const each = records[index] as Partial<AuditItem> | null;
    if (each?.tenantNumber === index + 1 && isCanonical(each, line)) continue;
    const name = nameOf(each, index);
    const fault =
      "is not the expected record: it was edited, moved or repeated, or an earlier record is missing";
    return { exported, fault: { record: name, fault, index } };
  }
  if (lines.length !== parsedManifest.data.records) {
    const fault = `the manifest counts ${parsedManifest.data.records} records, the file holds ${lines.length}`;
    return { exported, fault: { record: "manifest", fault, index: Number.POSITIVE_INFINITY } };
  }
  return { exported };
}

/** Name of a record in messages: its asset and time, or its position if the record has no time. */
function nameOf(record: unknown, index: number): string {
  const { assetId, at } = (record ?? {}) as Partial<Record<string, unknown>>;
  const of = typeof assetId === "string" && assetId !== "" ? assetId : "tenant";
  return typeof at !== "string" ? `#${index + 1}` : `${of} ${at}`;
}

/** The schema is strict, because the hash does not cover unknown members. */
const record = auditItem.strict();

export type Findings = {
  records: number;
  fault?: { record: string; fault: string };
  /** `absent`: the log is empty. `unchecked`: no keys were given. */
  checkpoint: "good" | "absent" | "unchecked";
  /**
   * Number of reports by hosts in the log. Each is signed by the device key that it names. Absent if the log
   * has no reports.
   */
  reports?: number;
};

/**
 * Checks an export offline, with public keys and an earlier export if they are given. Reports the first bad
 * record.
 *
 * Without keys, a log that was rewritten completely, with a new head and checkpoint, looks valid. Without an
 * anchor, an old log with its old signed head looks complete.
 */
export async function verifyExport(
  exported: CustodyExport,
  trust: {
    keys?: JSONWebKeySet | undefined;
    anchor?: CustodyExport | undefined;
    /** The fault that {@link readExport} found in the lines. */
    fault?: CustodyFault | undefined;
  },
): Promise<Findings> {
  const { head } = exported;
  const bad = (record: string, fault: string): Findings => ({
    records: exported.records.length,
    fault: { record, fault },
    checkpoint: "unchecked",
  });
  const { records, faults } = await faultsOf(exported);
  // If two faults have the same position, the misplaced line is reported, because it causes the faults of the
  // records after it.
  const all = trust.fault ? [trust.fault, ...faults] : faults;
  const fault = all.toSorted((a, b) => a.index - b.index)[0] ?? missingSince(records, trust.anchor?.head);
  if (fault) return bad(fault.record, fault.fault);
  const withReport = records.filter(({ report }) => report !== undefined);
  const good = { records: records.length, ...(withReport.length > 0 && { reports: withReport.length }) };
  if (!head) return { ...good, checkpoint: "absent" };
  if (!matchesCheckpoint(head)) return bad("head", "its checkpoint belongs to another log");
  if (!trust.keys) return { ...good, checkpoint: "unchecked" };
  if (!(await isCheckpointSigned(head, trust.keys))) {
    return bad("head", "its checkpoint is not signed by these keys for this log");
  }
  return { ...good, checkpoint: "good" };
}

/** The records up to the first invalid record, and the first fault of each kind. */
async function faultsOf({ records: given, head }: CustodyExport) {
  const faults: CustodyFault[] = [];
  const records: AuditItem[] = [];
  for (const [index, each] of given.entries()) {
    const parsed = record.safeParse(each);
    if (!parsed.success) {
      const where = parsed.error.issues[0]!;
      const fault = `is not a custody record: ${where.path.join(".") || where.message}`;
      faults.push({ record: nameOf(each, index), fault, index });
      break;
    }
    records.push(parsed.data);
  }
  const last = records.at(-1);
  const endsAt = records.length === given.length ? head : last && { hash: last.hash, count: records.length };
  const broken = await verifyCustody(records, endsAt);
  if (broken) faults.push(broken);
  for (const [index, each] of records.entries()) {
    const fault = await contentFaultOf(each, head);
    if (fault === undefined) continue;
    faults.push({ record: nameOf(each, index), fault, index });
    break;
  }
  return { records, faults };
}

async function contentFaultOf(
  each: AuditItem,
  head: CustodyHeadItem | undefined,
): Promise<string | undefined> {
  if (head && each.tenantId !== head.tenantId) return "belongs to a different tenant than the head";
  if (each.report === undefined || (await provesItself(each))) return undefined;
  return "holds a report that is not signed by the device key it names, for this asset and generation";
}

/**
 * True if the report is signed by the key that it names. To check that this key belongs to the host, run
 * `lz-agent status` there.
 */
const provesItself = async ({ tenantId, assetId, generation, report }: AuditItem): Promise<boolean> =>
  report?.signedBy !== undefined &&
  assetId !== undefined &&
  report.generation === generation &&
  (await isSignedReport(report.signedBy, { tenantId, assetId }, report));

/**
 * Returns a fault if the head of an earlier export is not a record of this log. The chain only grows, so the
 * log must contain this head.
 */
function missingSince(records: readonly AuditItem[], earlier: CustodyHeadItem | undefined) {
  if (
    !earlier ||
    records.some(({ hash, tenantNumber }) => hash === earlier.hash && tenantNumber === earlier.count)
  )
    return undefined;
  return {
    record: `record ${earlier.count} of the tenant`,
    fault: `was in the earlier export and is missing or different: the log was truncated or rewritten`,
  };
}

/**
 * True if the head has the values of its checkpoint. The values differ if the head was edited to match a
 * truncated log. This check needs no key. Each part of the checkpoint must be canonical base64url. Otherwise,
 * its last characters could be edited unnoticed.
 */
function matchesCheckpoint(head: CustodyHeadItem): boolean {
  try {
    const isCanonical = head.checkpoint.split(".").every((part) => fromBase64url(part) !== undefined);
    return isCanonical && namesHead(decodeJwt(head.checkpoint), head);
  } catch {
    return false;
  }
}
