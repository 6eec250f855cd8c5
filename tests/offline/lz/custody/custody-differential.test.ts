import { expect, test } from "bun:test";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from "jose";
import { readExport, toJsonLines, verifyExport } from "../../../../lz/custody/custody-export.ts";
import { makeDevice } from "../../../../lz/platform/simulated-agents.ts";
import { canonicalJson } from "../../../../shared/encoding/canonical-json.ts";
import type { AuditItem } from "../../../../shared/table/items/custody.ts";
import { linkedLog, type Unlinked } from "../../../support/control/build-custody-log.ts";
import { describeUnless, testUnless } from "../../../support/missing.ts";
import { ROOT } from "../../../support/stack.ts";

/*
 * Edits each member of an export, in both formats. Both verifiers must return the same exit code and name the
 * same record. Both must reject every edit.
 */

const TENANT = "org_test";
const ASSETS = ["01JD0000000000000000000001", "01JD0000000000000000000002"] as const;
const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
const jwk = await exportJWK(publicKey);
const keys: JSONWebKeySet = { keys: [{ ...jwk, kid: "control-1" }] };

/**
 * Test setup: records of two assets, the tenant, an API key and a host's report. Each optional member is
 * present at least once.
 */
async function makeRecords(): Promise<AuditItem[]> {
  const device = await makeDevice();
  const who = { tenantId: TENANT, operatorId: "user_1", sessionId: "sess_1", sourceIp: "192.0.2.1" };
  const report = await device.sign(
    { tenantId: TENANT, assetId: ASSETS[0] },
    { generation: 1, action: "release", mode: "network", outcome: "applied", at: "2026-11-22T11:00:00.000Z" },
  );
  const unlinked: Omit<Unlinked, "at">[] = [
    {
      ...{ ...who, assetId: ASSETS[0], action: "isolate", mode: "network", generation: 1, requestId: "r1" },
      ...{ before: "ACTIVE", after: "ISOLATED", justification: "é 汉字 🚨" },
    },
    { ...who, action: "create-api-key", target: "key_1", requestId: "r2", keyMadeBy: "user_2" },
    { ...who, assetId: ASSETS[1], action: "acknowledge", target: "inc_1", requestId: "r3" },
    {
      ...{ ...who, assetId: ASSETS[0], action: "release-offline", generation: 1, requestId: "r4" },
      report: { ...report, signedBy: device.x },
    },
    { ...who, action: "change-settings", requestId: "r5" },
    { ...who, assetId: ASSETS[1], action: "resolve", target: "inc_1", requestId: "r6" },
  ];
  return linkedLog(
    unlinked.map((one, index) => ({ ...one, at: new Date(1_790_000_000_000 + index * 1000).toISOString() })),
  );
}

async function headOf(records: readonly AuditItem[]) {
  const { hash, at } = records.at(-1)!;
  const own = records.filter(({ assetId }) => assetId === undefined);
  const checkpoint = await new SignJWT({ tenant: TENANT, hash, count: records.length })
    .setProtectedHeader({ alg: "EdDSA", typ: "lz-checkpoint+jwt", kid: "control-1" })
    .setIssuedAt(Math.floor(Date.parse(at) / 1000))
    .sign(privateKey);
  const head = { type: "CustodyHead" as const, tenantId: TENANT, hash, count: records.length, checkpoint };
  return { ...head, at, ownHash: own.at(-1)?.hash ?? "", ownCount: own.length };
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Path = (string | number)[];
const GONE = Symbol("gone");

/** Each path in `value`. The first path is that of the whole value. */
function* placesOf(value: Json, path: Path = []): Generator<[Path, Json]> {
  yield [path, value];
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value))
    yield* placesOf(member, [...path, Array.isArray(value) ? Number(name) : name]);
}

const flipped = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);

/** Replacements for `value`. */
function editsOf(value: Json): (Json | typeof GONE)[] {
  const other: (Json | typeof GONE)[] = [GONE, null, true, {}, "", 7];
  if (typeof value === "number")
    return [...other, value + 1, value - 1, -value, value + 0.5, `${value}`, 2 ** 60];
  if (typeof value === "string") {
    const { length } = value;
    const flips = length === 0 ? [] : [flipped(value, 0), flipped(value, length - 1), value.slice(0, -1)];
    return [...other, ...flips, `${value}x`, `${value}=`, ` ${value}`, value.toUpperCase()];
  }
  if (Array.isArray(value)) return [...other, value.slice(1), value.slice(0, -1), [...value, value[0]!]];
  if (value !== null && typeof value === "object") return [...other, { ...value, zz: 1 }];
  return other;
}

function edited(root: Json, path: Path, edit: Json | typeof GONE): Json {
  const copy = structuredClone(root);
  if (path.length === 0) return edit === GONE ? null : edit;
  const parent = path
    .slice(0, -1)
    .reduce<Json>((at, name) => (at as Record<string, Json>)[name]!, copy) as Record<string, Json>;
  const last = path.at(-1)!;
  if (edit !== GONE) parent[last] = edit;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

type Case = { what: string; text: string };

/**
 * Optional members of a head. A head of an older version lacks them. It claims less, so none of its claims is
 * unproven.
 */
const OPTIONAL = ["at", "ownHash", "ownCount"];

const isOlderHead = (path: Path, edit: Json | typeof GONE): boolean =>
  edit === GONE && path.at(-2) === "head" && OPTIONAL.includes(String(path.at(-1)));

/** All edits that change `root`. `write` converts each edited value to a text. `good`: edits that must still pass. */
function casesOf(form: string, root: Json, write: (value: Json) => string | undefined) {
  const bad: Case[] = [];
  const good: Case[] = [{ what: `${form} unedited`, text: write(root)! }];
  for (const [path, value] of placesOf(root))
    for (const edit of editsOf(value)) {
      const changed = edited(root, path, edit);
      if (canonicalJson(changed) === canonicalJson(root)) continue;
      const text = write(changed);
      const how = edit === GONE ? "taken out" : `made ${JSON.stringify(edit).slice(0, 60)}`;
      const one = { what: `${form} ${path.join(".") || "all"} ${how}`, text: text! };
      if (text !== undefined) (isOlderHead(path, edit) ? good : bad).push(one);
    }
  return { bad, good };
}

const asJson = (value: Json): string => JSON.stringify(value);
/** Writes JSON Lines, where the first line is the manifest. Lines that are not objects are written as well. */
const asLines = (value: Json): string | undefined =>
  Array.isArray(value) && value.length > 0
    ? value.map((line) => `${canonicalJson(line)}\n`).join("")
    : undefined;

async function makeCases() {
  const records = await makeRecords();
  const head = await headOf(records);
  const plain = JSON.parse(JSON.stringify({ records, head })) as { [name: string]: Json };
  const manifest = JSON.parse(toJsonLines({ records, head }).split("\n")[0]!) as Json;
  const json = casesOf("JSON", plain, asJson);
  const lines = casesOf("JSON lines", [manifest, ...(plain.records as Json[])], asLines);
  const reversed = asJson({ ...plain, records: (plain.records as Json[]).toReversed() });
  // Equal numbers in different notations are the same value, because JSON has no integers.
  const sameNumber = asJson(plain)
    .replace('"count":6', '"count":6.0')
    .replace('"tenantNumber":2', '"tenantNumber":2e0');
  const good = [
    ...json.good,
    ...lines.good,
    { what: "JSON with its records in another order", text: reversed },
    { what: "JSON with a number written in another way", text: sameNumber },
    { what: "an empty log", text: toJsonLines({ records: [] }) },
  ];
  const emptyHead = { type: "CustodyHead" as const, tenantId: TENANT, hash: "", count: 0, checkpoint: "" };
  const claims = { at: records[0]!.at, ownCount: 1, ownHash: "0".repeat(64) };
  const bad = Object.entries(claims).map(([name, value]) => ({
    what: `an empty log whose head claims ${name}`,
    text: asJson({ records: [], head: { ...emptyHead, [name]: value } }),
  }));
  return { good, bad: [...json.bad, ...lines.bad, ...bad] };
}

const { good, bad } = await makeCases();

/** Exit code of `lz audit verify`, and the record that its output names. */
async function ours(text: string, trust: { keys?: JSONWebKeySet }): Promise<[number, string | undefined]> {
  const read = readExport(text);
  if (!read) return [2, undefined];
  const { fault } = await verifyExport(read.exported, { ...trust, fault: read.fault });
  return fault ? [1, fault.record] : [0, undefined];
}

const python = process.env.LZ_PYTHON ?? Bun.which("python3");
const words = python?.split(" ") ?? [];
const lacking = python ? [] : ["python3 on the PATH or its path in LZ_PYTHON"];
const hasCryptography = python && Bun.spawnSync([...words, "-c", "import cryptography"]).exitCode === 0;
const lackingForKeys = hasCryptography ? [] : ["Python's package cryptography"];

/**
 * Exit codes and named records of docs/verify_custody.py. All texts are checked in one process, because one
 * process per text would take minutes.
 */
async function theirs(texts: readonly string[], key: string | null) {
  const batch = join(ROOT, "tests/support/control/verify-custody-batch.py");
  const child = Bun.spawn([...words, batch, join(ROOT, "docs/verify_custody.py")], {
    stdin: new Blob([JSON.stringify(texts.map((text) => [text, key]))]),
    stdout: "pipe",
  });
  const answers = (await new Response(child.stdout).json()) as [number | string, string][];
  return answers.map(([code, said]) => [code, /^not ok: (.+?): /.exec(said)?.[1]] as const);
}

async function disagreements(trust: { keys?: JSONWebKeySet }, key: string | null) {
  const all = [
    ...good.map((one) => ({ ...one, isGood: true })),
    ...bad.map((one) => ({ ...one, isGood: false })),
  ];
  const other = await theirs(
    all.map(({ text }) => text),
    key,
  );
  const wrong: string[] = [];
  for (const [index, { what, text, isGood }] of all.entries()) {
    const mine = await ours(text, trust);
    const [code, record] = other[index]!;
    if (mine[0] !== code || mine[1] !== record || (code === 0) !== isGood)
      wrong.push(`${what}: ${JSON.stringify(mine)} and ${JSON.stringify(other[index])}`);
  }
  return wrong;
}

test("every edit of an export is found by lz audit verify, with keys and without", async () => {
  expect(bad.length).toBeGreaterThan(1500);
  for (const trust of [{ keys }, {}]) {
    const missed: string[] = [];
    for (const { what, text } of bad) if ((await ours(text, trust))[0] === 0) missed.push(what);
    // Without keys, the checkpoint's signature cannot be checked, so edits of the checkpoint are not
    // detected.
    expect(missed.filter((what) => trust.keys || !/head\.checkpoint/.test(what))).toEqual([]);
    for (const { what, text } of good)
      expect([what, ...(await ours(text, trust))]).toEqual([what, 0, undefined]);
  }
}, 60_000);

describeUnless(lacking, "docs/verify_custody.py", () => {
  testUnless(
    lackingForKeys,
    "gives the same exit code and names the same record for every edit",
    async () => {
      expect(await disagreements({ keys }, jwk.x!)).toEqual([]);
    },
    120_000,
  );

  test("does so without a key, for everything that needs none", async () => {
    const wrong = await disagreements({}, null);
    // The Python verifier checks a report's signature only with a control key. This project's verifier checks
    // it without one.
    const needsKey = /checkpoint|report/;
    expect(wrong.filter((what) => !needsKey.test(what))).toEqual([]);
  }, 120_000);
});
