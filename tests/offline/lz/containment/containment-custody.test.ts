import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from "jose";
import {
  type CustodyExport,
  readExport,
  toJsonLines,
  verifyExport,
} from "../../../../lz/custody/custody-export.ts";
import { makeDevice } from "../../../../lz/platform/simulated-agents.ts";
import { custodyHash } from "../../../../shared/containment/custody-chain.ts";
import { canonicalJson } from "../../../../shared/encoding/canonical-json.ts";
import type { ProvenReport } from "../../../../shared/table/items/asset/asset.ts";
import type { AuditItem } from "../../../../shared/table/items/custody.ts";
import { linkedLog } from "../../../support/control/build-custody-log.ts";
import { describeUnless, testUnless } from "../../../support/missing.ts";
import { ROOT } from "../../../support/stack.ts";

const TENANT = "org_test";
const ASSETS = ["01JD0000000000000000000001", "01JD0000000000000000000002", undefined];
const folder = mkdtempSync(join(tmpdir(), "lz-custody-"));
afterAll(() => rmSync(folder, { recursive: true }));

const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
const publicJwk = await exportJWK(publicKey);
const keys: JSONWebKeySet = { keys: [{ ...publicJwk, kid: "control-1" }] };

async function seal(record: Omit<AuditItem, "hash">): Promise<AuditItem> {
  return { ...record, hash: await custodyHash(record) };
}

/**
 * Test setup: a log with records of two assets and the tenant in turn. Its texts are difficult for canonical
 * JSON.
 */
async function makeLog(length: number): Promise<CustodyExport & { records: AuditItem[] }> {
  const records = await linkedLog(
    Array.from({ length }, (_, index) => {
      const assetId = ASSETS[index % 3];
      return {
        tenantId: TENANT,
        ...(assetId !== undefined && { assetId }),
        at: new Date(1_790_000_000_000 + index * 1000).toISOString(),
        action: assetId === undefined ? ("change-settings" as const) : ("isolate" as const),
        operatorId: "user_1",
        sessionId: "sess_1",
        sourceIp: "192.0.2.1",
        requestId: `req-${index}`,
        justification: `"quoted" \\ back/slash, é ü 汉字 🚨 </script>, reason ${index}`,
      };
    }),
  );
  return { records, ...(length > 0 && { head: await headOf(records) }) };
}

async function headOf(records: readonly AuditItem[], key = privateKey) {
  const { hash } = records.at(-1)!;
  const count = records.length;
  const checkpoint = await new SignJWT({ tenant: TENANT, hash, count })
    .setProtectedHeader({ alg: "EdDSA", typ: "lz-checkpoint+jwt", kid: "control-1" })
    .sign(key);
  return { type: "CustodyHead" as const, tenantId: TENANT, hash, count, checkpoint };
}

/** The first bad record according to this project's verifier. Undefined for a valid log. */
async function ours(text: string, trust: { keys?: JSONWebKeySet } = {}): Promise<string | undefined> {
  const { exported, fault } = readExport(text)!;
  return (await verifyExport(exported, { ...trust, fault })).fault?.record;
}

const python = process.env.LZ_PYTHON ?? Bun.which("python3");
const lacking = python ? [] : ["python3 on the PATH or its path in LZ_PYTHON"];
const hasCryptography = python && Bun.spawnSync([python, "-c", "import cryptography"]).exitCode === 0;
const lackingForCheckpoints = hasCryptography ? [] : ["Python's package cryptography"];

function runTheirs(text: string, more: string[]) {
  const file = join(folder, "export.jsonl");
  writeFileSync(file, text);
  return Bun.spawnSync([python!, join(ROOT, "docs/verify_custody.py"), file, ...more]);
}

/** Output of the Python verifier. */
const said = (text: string, ...more: string[]) => runTheirs(text, more).stdout.toString().trim();

/** The first bad record according to the Python verifier. Undefined for a valid log. */
function theirs(text: string, ...more: string[]): string | undefined {
  const { exitCode, stdout, stderr } = runTheirs(text, more);
  const said = stdout.toString().trim();
  if (exitCode === 0 && said.startsWith("ok:")) return undefined;
  const [, record] = /^not ok: (.+?): /.exec(said) ?? [];
  if (exitCode !== 1 || !record) throw new Error(`${exitCode} ${said} ${stderr}`);
  return record;
}

const device = await makeDevice();
/** Changes to a report before it enters a log. The boolean says whether the device's signature is still valid. */
const REPORTS: [string, (report: ProvenReport) => ProvenReport, boolean][] = [
  ["as the device signed it", (report) => report, true],
  ["of another outcome", (report) => ({ ...report, outcome: "failed" }), false],
  ["of another generation", (report) => ({ ...report, generation: 2 }), false],
  ["with another reason", (report) => ({ ...report, reason: "released at the host with code B" }), false],
  ["without its signature", ({ signature: _, ...report }) => report, false],
  ["without its key", ({ signedBy: _, ...report }) => report, false],
  ["with another key", (report) => ({ ...report, signedBy: publicJwk.x! }), false],
];
const asItIs = (report: ProvenReport): ProvenReport => report;

/**
 * Test setup: a log whose second record is the use of a release code, with a report that the device signed
 * for the asset `signedFor`.
 */
async function makeFreed(change: (report: ProvenReport) => ProvenReport, signedFor = ASSETS[0]!) {
  const report = await device.sign(
    { tenantId: TENANT, assetId: signedFor },
    {
      ...{ generation: 1, action: "release", mode: "network", outcome: "applied" },
      at: "2026-11-22T11:00:00.000Z",
      reason: "released at the host with code \u00c4",
      probes: { controlPlaneReachable: true, forbiddenBlocked: null },
    },
  );
  const who = { operatorId: "asset", sessionId: "asset", sourceIp: "none", requestId: "req" };
  const base = { tenantId: TENANT, assetId: ASSETS[0]!, generation: 1, ...who };
  const records = await linkedLog([
    { ...base, at: "2026-11-22T10:00:00.000Z", action: "isolate" },
    {
      ...{ ...base, at: "2026-11-22T11:00:01.000Z", action: "release-offline" },
      report: change({ ...report, signedBy: device.x }),
    },
  ]);
  return toJsonLines({ records, head: await headOf(records) });
}
const FREED = `${ASSETS[0]} 2026-11-22T11:00:01.000Z`;

type Lines = string[];
const edit = (change: (lines: Lines) => Lines | Promise<Lines>) => change;
const nameOf = (line: string, index: number) => {
  if (!line.includes('"at":')) return `#${index}`;
  const { assetId = "tenant", at } = JSON.parse(line) as Partial<AuditItem>;
  return `${assetId} ${at}`;
};
/**
 * Changes line `at` and recomputes all later links and seals. After that, only the asset's own chain can
 * reveal the change.
 */
async function rewrite(lines: Lines, at: number, change: (record: AuditItem) => object): Promise<Lines> {
  const out = lines.slice(0, at);
  let previous = (JSON.parse(lines[at - 1]!) as AuditItem).hash ?? "";
  for (const [index, line] of lines.slice(at).entries()) {
    const { hash: _, ...record } = JSON.parse(line) as AuditItem;
    const changed = index === 0 ? change(record as AuditItem) : {};
    const sealed = await seal({ ...record, ...changed, tenantPreviousHash: previous });
    previous = sealed.hash;
    out.push(canonicalJson(sealed));
  }
  return out;
}
const swap = (lines: Lines, a: number, b: number) => lines.with(a, lines[b]!).with(b, lines[a]!);

/**
 * Changes to an export. Line 0 is the manifest. The last member is the line of the result whose record the
 * verifier must name, or the head.
 */
const TAMPERED: [string, (lines: Lines) => Lines | Promise<Lines>, number | "head" | "manifest"][] = [
  ["an edit", edit((lines) => lines.with(4, lines[4]!.replace("reason 3", "reason 9"))), 4],
  ["an edit of a number", edit((lines) => lines.with(4, lines[4]!.replace('"number":2', '"number":3'))), 4],
  ["a member that no hash covers", edit((lines) => lines.with(4, lines[4]!.replace(/}$/, ',"zz":1}'))), 4],
  ["white space", edit((lines) => lines.with(4, lines[4]!.replace(",", ", "))), 4],
  [
    "an edit with its hash made to match",
    edit(async (lines) => {
      const { hash: _, ...record } = JSON.parse(lines[4]!) as AuditItem;
      return lines.with(4, canonicalJson(await seal({ ...record, justification: "nothing to see" })));
    }),
    5,
  ],
  ["a deletion of the first", edit((lines) => lines.toSpliced(1, 1)), 1],
  ["a deletion in the middle", edit((lines) => lines.toSpliced(4, 1)), 4],
  ["a truncation", edit((lines) => lines.slice(0, -2)), "head"],
  ["a reorder of neighbours", edit((lines) => swap(lines, 3, 4)), 3],
  ["a reorder far apart", edit((lines) => swap(lines, 2, 8)), 2],
  ["a record told twice", edit((lines) => lines.toSpliced(4, 0, lines[3]!)), 4],
  [
    "a fork",
    edit(async (lines) => {
      const { hash: _, ...record } = JSON.parse(lines[4]!) as AuditItem;
      return lines.toSpliced(
        5,
        0,
        canonicalJson(await seal({ ...record, justification: "another history" })),
      );
    }),
    5,
  ],
  // Lines 1, 4 and 7 belong to one asset.
  [
    "a fork of one asset's chain, told nowhere else",
    edit((lines) => rewrite(lines, 7, ({ number }) => ({ number: number - 1 }))),
    7,
  ],
  [
    "a record taken out of one asset's chain, told nowhere else",
    edit((lines) => rewrite(lines, 7, () => ({ previousHash: JSON.parse(lines[1]!).hash }))),
    7,
  ],
  [
    "a record of another tenant, sealed into the chain",
    edit((lines) => rewrite(lines, 6, () => ({ tenantId: "org_other" }))),
    6,
  ],
  ["a record without its hash", edit((lines) => lines.with(4, lines[4]!.replace(/"hash":"\w+",/, ""))), 4],
  ["a line that is no record", edit((lines) => lines.with(4, "[]")), 4],
  ["a line that is no JSON", edit((lines) => lines.with(4, "-")), 4],
  [
    "a number too many in the manifest",
    edit((l) => l.with(0, l[0]!.replace('records":9', 'records":10'))),
    "manifest",
  ],
  [
    "a truncation, with manifest and head made to match",
    edit((lines) => {
      const manifest = JSON.parse(lines[0]!);
      Object.assign(manifest, { records: 7 });
      Object.assign(manifest.head, { count: 7, hash: JSON.parse(lines[7]!).hash });
      return [canonicalJson(manifest), ...lines.slice(1, 8)];
    }),
    "head",
  ],
  [
    "a checkpoint of no form",
    edit((l) => l.with(0, l[0]!.replace(/"checkpoint":"[^"]+"/, '"checkpoint":"a.b"'))),
    "head",
  ],
  ["a head of another record", edit((l) => l.with(0, l[0]!.replace(/"hash":"./, '"hash":"g'))), "head"],
];

const DEEP = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
/** Changes of one line, for exports with two faults. The verifier must name the first fault, of either kind. */
const ONE_LINE: [string, (line: string) => string][] = [
  ["an edit", (line) => line.replace("reason", "season")],
  ["white space", (line) => line.replace(",", ", ")],
  ["a line that is no JSON", () => "-"],
  ["a member that no hash covers", (line) => line.replace(/}$/, ',"zz":1}')],
  ["another tenant", (line) => line.replace(TENANT, "org_other")],
  ["a line nested without end", () => DEEP],
  ["a member nested without end", (line) => line.replace(/}$/, `,"zz":${DEEP}}`)],
  ["a number that is none", (line) => line.replace(/}$/, ',"zz":NaN}')],
];
const PAIRS = ONE_LINE.flatMap(([first, one]) =>
  ONE_LINE.map(([second, other]): [string, string, (lines: Lines) => Lines] => [
    first,
    second,
    (lines) => lines.with(4, one(lines[4]!)).with(7, other(lines[7]!)),
  ]),
);
/** The verifier can name a record only if the record's line can be parsed. */
const isNamed = (what: string): boolean => !/^a line that is no|without end$|is none$/.test(what);

const NO_EXPORTS: [string, string][] = [
  ["records that are no list", '{"records":{}}'],
  ["a manifest of a version that is true", '{"type":"CustodyManifest","v":true,"records":0}\n'],
  ["a manifest whose head is null", '{"type":"CustodyManifest","v":1,"records":0,"head":null}\n'],

  ["nothing", ""],
  ["an object", "{}"],
  ["an array", "[]"],
  ["null", "null"],
  ["a text nested without end", "[".repeat(50_000)],
  ["a manifest of another version", '{"type":"CustodyManifest","v":2,"records":0}\n'],
  ["a manifest with a member too many", '{"type":"CustodyManifest","v":1,"records":0,"more":1}\n'],
  ["a manifest whose head is none", '{"type":"CustodyManifest","v":1,"records":0,"head":[]}\n'],
  [
    "a manifest whose head has no checkpoint",
    '{"type":"CustodyManifest","v":1,"records":0,"head":{"count":0,"hash":"","tenantId":"org_test"}}\n',
  ],
];

describe("a custody export as JSON lines", () => {
  test.each([0, 1, 2, 9])("of %d records is valid", async (length) => {
    const text = toJsonLines(await makeLog(length));
    expect(text.split("\n")).toHaveLength(length + 2);
    expect(await ours(text, { keys })).toBeUndefined();
  });

  test.each(TAMPERED)("%s is found, and the first bad record is named", async (_what, tamper, bad) => {
    const lines = await tamper(
      toJsonLines(await makeLog(9))
        .trimEnd()
        .split("\n"),
    );
    expect(await ours(`${lines.join("\n")}\n`)).toBe(
      typeof bad === "string" ? bad : nameOf(lines[bad]!, bad),
    );
  });

  test.each(PAIRS)("%s before %s: the first is named", async (what, _second, tamper) => {
    const lines = tamper(
      toJsonLines(await makeLog(9))
        .trimEnd()
        .split("\n"),
    );
    const name = await ours(`${lines.join("\n")}\n`);
    if (isNamed(what)) expect(name).toBe(nameOf(lines[4]!, 4));
    else expect(name).toMatch(/^#4$|:23.000Z$/);
  });

  test.each(REPORTS)("with a host's report %s", async (_what, change, isGood) => {
    expect(await ours(await makeFreed(change), { keys })).toBe(isGood ? undefined : FREED);
  });

  test("with a report for another host is bad, and a valid report is counted", async () => {
    expect(await ours(await makeFreed(asItIs, ASSETS[1]!), { keys })).toBe(FREED);
    const verify = async (text: string) => verifyExport(readExport(text)!.exported, { keys });
    const good = { records: 2, checkpoint: "good" as const };
    expect(await verify(await makeFreed(asItIs))).toEqual({ ...good, reports: 1 });
    expect(await verify(toJsonLines(await makeLog(2)))).toEqual(good);
  });

  test("readExport() also reads the JSON form, and rejects any other text", async () => {
    const log = await makeLog(3);
    expect(readExport(JSON.stringify(log))?.exported.records).toHaveLength(3);
    for (const [what, text] of NO_EXPORTS) expect(readExport(text), what).toBeUndefined();
  });
});

// An independent verifier in Python, written from the documentation.
describeUnless(lacking, "docs/verify_custody.py", () => {
  test("accepts valid exports", async () => {
    for (const length of [0, 1, 9]) expect(theirs(toJsonLines(await makeLog(length)))).toBeUndefined();
  });

  test.each(TAMPERED)("agrees on %s", async (_what, tamper, bad) => {
    const lines = await tamper(
      toJsonLines(await makeLog(9))
        .trimEnd()
        .split("\n"),
    );
    expect(theirs(`${lines.join("\n")}\n`)).toBe(typeof bad === "string" ? bad : nameOf(lines[bad]!, bad));
  });

  test.each(PAIRS.filter(([, second]) => second === "an edit"))(
    "agrees on %s before %s",
    async (what, _second, tamper) => {
      const lines = tamper(
        toJsonLines(await makeLog(9))
          .trimEnd()
          .split("\n"),
      );
      const name = theirs(`${lines.join("\n")}\n`);
      if (isNamed(what)) expect(name).toBe(nameOf(lines[4]!, 4));
      else expect(name).toMatch(/^#4$|:23.000Z$/);
    },
  );

  test.each(NO_EXPORTS)("agrees that %s is not an export", (_what, text) => {
    const { exitCode, stdout } = runTheirs(text, []);
    expect([exitCode, stdout.toString().trim()]).toEqual([2, "this is not a custody export"]);
  });

  test("reports that it did not check the checkpoint without a key", async () => {
    expect(said(toJsonLines(await makeLog(9)))).toBe(
      "ok: 9 custody records, unbroken; the checkpoint was not checked: no key was given",
    );
    expect(said(toJsonLines(await makeLog(0)))).toBe(
      "ok: 0 custody records, unbroken; there is no checkpoint",
    );
  });

  testUnless(
    lackingForCheckpoints,
    "agrees on the reports of hosts, or says that it did not check",
    async () => {
      for (const [, change, isGood] of REPORTS)
        expect(theirs(await makeFreed(change), publicJwk.x!)).toBe(isGood ? undefined : FREED);
      expect(theirs(await makeFreed(asItIs, ASSETS[1]!), publicJwk.x!)).toBe(FREED);
      const freed = await makeFreed(asItIs);
      expect(said(freed, publicJwk.x!)).toEndWith(
        "hosts' reports in it: 1, each signed by the device key that it names",
      );
      expect(said(freed)).toEndWith("hosts' reports in it: 1, not checked");
    },
  );

  testUnless(lackingForCheckpoints, "checks the signed checkpoint", async () => {
    const log = await makeLog(9);
    expect(said(toJsonLines(log), publicJwk.x!)).toBe(
      "ok: 9 custody records, unbroken; the checkpoint is signed by this key",
    );
    expect(theirs(toJsonLines(log), publicJwk.x!)).toBeUndefined();
    const cut = (log.records as AuditItem[]).slice(0, 5);
    const stranger = (await generateKeyPair("EdDSA")).privateKey;
    const forged = await headOf(cut, stranger);
    expect(theirs(toJsonLines({ records: cut, head: forged }))).toBeUndefined();
    expect(theirs(toJsonLines({ records: cut, head: forged }), publicJwk.x!)).toBe("head");
  });
});
