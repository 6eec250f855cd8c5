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

/** `GET /v1/custody`, and what `lz audit export` saves. */
export const custodyExport = z.object({ records: z.array(z.unknown()), head: custodyHeadItem.optional() });
export type CustodyExport = z.infer<typeof custodyExport>;

/**
 * The form of a head in a file. Strict, for a member that no check covers would look proven. The values are compared
 * with the records, so a text that cannot be right is a fault of the log and not another form.
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

/** First line of the JSON lines form; each line after it is a record, in the order of the tenant. */
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

/** As {@link verifyExport} takes it: the JSON form may have its records in any order. */
export const inOrder = ({ records, ...more }: CustodyExport): CustodyExport => ({
  records: records.toSorted((a, b) => numberOf(a) - numberOf(b)),
  ...more,
});

/** False too for what is nested too deep to be written. */
function isCanonical(value: unknown, line: string): boolean {
  try {
    return canonicalJson(value) === line;
  } catch {
    return false;
  }
}

/** As JSON lines: a manifest, then the records as canonical JSON, which is what their hashes are of. */
export function toJsonLines(exported: CustodyExport): string {
  const { records, head } = inOrder(exported);
  const first = { type: "CustodyManifest", v: 1, records: records.length, head };
  return [first, ...records].map((line) => `${canonicalJson(line)}\n`).join("");
}

/** `fault`: a line that is not in its place, or that the manifest does not count, for {@link verifyExport}. */
export type ReadExport = { exported: CustodyExport; fault?: CustodyFault };

/** Reads either form. In JSON lines the order counts: a line that moved is a fault, told with the record. */
export function readExport(text: string): ReadExport | undefined {
  const whole = exportedJson.safeParse(parseOrUndefined(text));
  if (whole.success) return { exported: inOrder(whole.data) };
  const [first = "", ...lines] = text.replace(/\n$/, "").split("\n");
  const told = manifest.safeParse(parseOrUndefined(first));
  if (!told.success) return undefined;
  const records = lines.map((line) => parseOrUndefined(line) ?? null);
  const exported = { records, ...(told.data.head && { head: told.data.head }) };
  for (const [index, line] of lines.entries()) {
    const each = records[index] as Partial<AuditItem> | null;
    if (each?.tenantNumber === index + 1 && isCanonical(each, line)) continue;
    const name = nameOf(each, index);
    const fault = "is not the record that belongs there: edited, moved, missing before it or twice";
    return { exported, fault: { record: name, fault, index } };
  }
  if (lines.length !== told.data.records) {
    const fault = `the manifest names ${told.data.records} records, the file holds ${lines.length}`;
    return { exported, fault: { record: "manifest", fault, index: Number.POSITIVE_INFINITY } };
  }
  return { exported };
}

/** A record by asset and time as everywhere, and by its place when it has no time. */
function nameOf(record: unknown, index: number): string {
  const { assetId, at } = (record ?? {}) as Partial<Record<string, unknown>>;
  const of = typeof assetId === "string" && assetId !== "" ? assetId : "tenant";
  return typeof at !== "string" ? `#${index + 1}` : `${of} ${at}`;
}

/** Strict: a member that no hash covers is not part of a record. */
const record = auditItem.strict();

export type Findings = {
  records: number;
  fault?: { record: string; fault: string };
  /** `absent`: the log is empty. `unchecked`: no keys were given. */
  checkpoint: "good" | "absent" | "unchecked";
  /** Reports of hosts in the log, each signed by the device key that it names; absent where there is none. */
  reports?: number;
};

/**
 * Checks an export offline, against nothing but public keys and, if there is one, an earlier export. Names the
 * first bad record.
 *
 * Without keys whoever rewrote the whole log could have made its head and checkpoint anew; without an anchor, an old log
 * with its old, signed head looks complete.
 */
export async function verifyExport(
  exported: CustodyExport,
  trust: {
    keys?: JSONWebKeySet | undefined;
    anchor?: CustodyExport | undefined;
    /** What {@link readExport} found of the lines. */
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
  // Of two at one place the line out of place comes first: the records behind it only follow from it.
  const all = trust.fault ? [trust.fault, ...faults] : faults;
  const fault = all.toSorted((a, b) => a.index - b.index)[0] ?? missingSince(records, trust.anchor?.head);
  if (fault) return bad(fault.record, fault.fault);
  const told = records.filter(({ report }) => report !== undefined);
  const good = { records: records.length, ...(told.length > 0 && { reports: told.length }) };
  if (!head) return { ...good, checkpoint: "absent" };
  if (!speaksOf(head)) return bad("head", "its checkpoint is of another log");
  if (!trust.keys) return { ...good, checkpoint: "unchecked" };
  if (!(await isCheckpointSigned(head, trust.keys))) {
    return bad("head", "its checkpoint is not signed by these keys for this very log");
  }
  return { ...good, checkpoint: "good" };
}

/** The records up to the first that is none, and the first fault of each kind. */
async function faultsOf({ records: given, head }: CustodyExport) {
  const faults: CustodyFault[] = [];
  const records: AuditItem[] = [];
  for (const [index, each] of given.entries()) {
    const parsed = record.safeParse(each);
    if (!parsed.success) {
      const where = parsed.error.issues[0]!;
      const fault = `is no custody record: ${where.path.join(".") || where.message}`;
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
    const fault = await strangenessOf(each, head);
    if (fault === undefined) continue;
    faults.push({ record: nameOf(each, index), fault, index });
    break;
  }
  return { records, faults };
}

async function strangenessOf(
  each: AuditItem,
  head: CustodyHeadItem | undefined,
): Promise<string | undefined> {
  if (head && each.tenantId !== head.tenantId) return "is of another tenant than the head";
  if (each.report === undefined || (await provesItself(each))) return undefined;
  return "holds a report that is not signed by the device key it names, for this very asset and generation";
}

/** Whether the key is the host's own is for who holds the host: `lz-agent status` names it there. */
const provesItself = async ({ tenantId, assetId, generation, report }: AuditItem): Promise<boolean> =>
  report?.signedBy !== undefined &&
  assetId !== undefined &&
  report.generation === generation &&
  (await isSignedReport(report.signedBy, { tenantId, assetId }, report));

/** The chain only grows: the head of an earlier export is a record of every later one. */
function missingSince(records: readonly AuditItem[], earlier: CustodyHeadItem | undefined) {
  if (
    !earlier ||
    records.some(({ hash, tenantNumber }) => hash === earlier.hash && tenantNumber === earlier.count)
  )
    return undefined;
  return {
    record: `record ${earlier.count} of the tenant`,
    fault: `was in the earlier export and is gone or another: the log was cut or rewritten`,
  };
}

/**
 * Needs no key: a head that was made to match a cut log no longer says what its own checkpoint says. Each part of the
 * checkpoint has to be canonical base64url, or its last characters could be edited without another meaning.
 */
function speaksOf(head: CustodyHeadItem): boolean {
  try {
    const isCanonical = head.checkpoint.split(".").every((part) => fromBase64url(part) !== undefined);
    return isCanonical && namesHead(decodeJwt(head.checkpoint), head);
  } catch {
    return false;
  }
}
