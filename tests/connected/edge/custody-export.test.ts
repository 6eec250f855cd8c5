import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JSONWebKeySet } from "jose";
import { changeContainment } from "../../../edge/control/containment/isolate-or-release.ts";
import { run as exportAudit } from "../../../lz/custody/audit-export.ts";
import { run as verifyAudit } from "../../../lz/custody/audit-verify.ts";
import { custodyExport, readExport, verifyExport } from "../../../lz/custody/custody-export.ts";
import type { Deps as OperatorDeps, Outcome } from "../../../lz/platform/deps.ts";
import { Misuse } from "../../../lz/platform/faults.ts";
import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import { type Dynamo, marshalItem, unmarshalItem, values } from "../../../shared/table/dynamo.ts";
import type { AuditItem } from "../../../shared/table/items/custody.ts";
import { auditPrefix, custodyHeadKey, tenantAuditKey, tenantKey } from "../../../shared/table/keys.ts";
import { type Edge, startEdge, TENANT } from "../../browser/edge.ts";
import { askerOf } from "../../browser/scenarios.ts";
import { createIds, engineOf, putHosts, putItems } from "../../browser/seed.ts";
import { ROOT } from "../../support/stack.ts";

/** Number of custody records. These records do not fit into one query page of 1 MB. */
const RECORDS = 1200;
const python = Bun.which("python3");
if (!python && process.env.CI === "true") throw new Error("python3 is needed: the second verifier must run");
const folder = mkdtempSync(join(tmpdir(), "lz-custody-long-"));

let edge: Edge;
let session: string;
let assetId: string;
/** Runs before each table request of the edge, so that a test can change the table between two requests. */
let between: (operation: string, query: number) => Promise<void> = async () => {};
let queries = 0;

/** Stores a long custody log of the tenant as the edge writes it: linked, sealed, and with a signed head. */
async function putLog(): Promise<void> {
  const records: AuditItem[] = [];
  for (let number = 1; number <= RECORDS; number++) {
    const previous = records.at(-1)?.hash ?? "";
    const record = {
      type: "Audit" as const,
      tenantId: TENANT,
      at: new Date(1_790_000_000_000 + number * 1000).toISOString(),
      number,
      action: "change-settings" as const,
      operatorId: "mara",
      sessionId: "sess_1",
      sourceIp: "192.0.2.1",
      requestId: `req-${number}`,
      justification: `${"é 汉字 🚨 ".repeat(60)}${number}`,
      before: "x".repeat(600),
      previousHash: previous,
      tenantPreviousHash: previous,
      tenantNumber: number,
    };
    records.push({ ...record, hash: await custodyHash(record) });
  }
  await putItems(
    edge.deps,
    records.map((record) => marshalItem({ ...tenantAuditKey(TENANT, record.at), ...record })),
  );
  const { hash, at } = records.at(-1)!;
  const head = { type: "CustodyHead", tenantId: TENANT, hash, count: RECORDS, at, ownHash: hash };
  const item = { ...custodyHeadKey(TENANT), ...head, ownCount: RECORDS, checkpoint: "" };
  await putItems(edge.deps, [marshalItem(item)]);
  // The head is not signed yet. The transaction of the next request signs the head.
  await isolate("the newest record of a long log");
}

async function isolate(justification: string, action: "isolate" | "release" = "isolate"): Promise<void> {
  const { admin, ...origin } = await askerOf(edge.deps, session);
  const change = { assetId, action, justification, ...origin };
  const done = await changeContainment(admin, change, edge.deps);
  if (!done.ok) throw new Error(`refused: ${done.code}`);
}

beforeAll(async () => {
  edge = await startEdge({}, (dynamo) => {
    const watched = async (operation: never, input: never) => {
      if (operation === "Query") await between(operation, ++queries);
      return (dynamo as (operation: never, input: never) => unknown)(operation, input);
    };
    return watched as unknown as Dynamo;
  });
  session = await edge.session();
  assetId = createIds(Date.now())();
  const host = { tenantId: TENANT, assetId, hostname: "last", employeeId: "tom", os: "Debian 13" };
  const now = Date.now();
  const states = [{ atMs: now, engines: [engineOf()] }];
  await putHosts(edge.deps, [{ ...host, enrolledAtMs: now, lastSeenAtMs: now, states }]);
  await putLog();
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await edge?.stop();
});

const remove = (Key: ReturnType<typeof marshalItem>) =>
  edge.deps.dynamo("TransactWriteItems", {
    TransactItems: [{ Delete: { TableName: edge.deps.table, Key } }],
  });

const whileReading = async <T>(meddle: typeof between, read: () => Promise<T>): Promise<T> => {
  queries = 0;
  between = meddle;
  try {
    return await read();
  } finally {
    between = async () => {};
  }
};

const keys = (): JSONWebKeySet => edge.deps.controlJwks as JSONWebKeySet;
const operator = (more: Partial<OperatorDeps> = {}): OperatorDeps => ({
  clock: Date.now,
  random: (length) => crypto.getRandomValues(new Uint8Array(length)),
  env: { LZ_URL: edge.origin, LZ_TOKEN: session },
  root: ROOT,
  fetch: (request) => fetch(request),
  note: () => {},
  stop: new AbortController().signal,
  ...more,
});
const lz = (verb: typeof exportAudit, texts: Record<string, string>, deps = operator()): Promise<Outcome> =>
  verb({ name: "audit export", operands: [], flags: new Set(), texts, integers: {} }, deps);
const fileOf = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** Verifies an exported file with `lz` and with docs/verify_custody.py. Returns both results. */
async function verdicts(path: string): Promise<{ ours: boolean | "no export"; theirs: number }> {
  const jwks = fileOf("keys.json", JSON.stringify(keys()));
  const ours = await lz(verifyAudit, { file: path, keys: jwks }).then(
    ({ json }) => (json as { ok: boolean }).ok,
    (fault: unknown) => {
      if (fault instanceof Misuse && fault.message.includes("is not a custody export")) return "no export";
      throw fault;
    },
  );
  const { exitCode } = Bun.spawnSync([python!, join(ROOT, "docs/verify_custody.py"), path]);
  return { ours: ours as boolean | "no export", theirs: exitCode };
}
const GOOD = { ours: true, theirs: 0 } as const;

const asked = (path: string) =>
  fetch(edge.origin + path, {
    headers: path.startsWith("/v1/")
      ? { authorization: `Bearer ${session}` }
      : { cookie: `__session=${session}`, accept: "text/html" },
  });

describe("a custody log longer than one query page", () => {
  test("the custody log of this test spans several query pages", async () => {
    const { LastEvaluatedKey } = await edge.deps.dynamo("Query", {
      TableName: edge.deps.table,
      KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
      ExpressionAttributeValues: values({ pk: tenantKey(TENANT).PK, prefix: auditPrefix() }),
    });
    expect(LastEvaluatedKey).toBeDefined();
  });

  test("lz audit export saves all records, and both verifiers accept the file", async () => {
    const out = join(folder, "whole.jsonl");
    const { json, code } = await lz(exportAudit, { out });
    expect(json).toEqual({ file: out, records: RECORDS + 1 });
    expect(code).toBeUndefined();
    expect(await verdicts(out)).toEqual(GOOD);
  });

  test("the dashboard's JSON download contains all records, and both verifiers accept it", async () => {
    const text = await (await asked("/custody.json")).text();
    expect(custodyExport.parse(JSON.parse(text)).records).toHaveLength(RECORDS + 1);
    expect(await verdicts(fileOf("whole.json", text))).toEqual(GOOD);
  });

  test("both verifiers detect a file that is truncated at any point", async () => {
    const out = join(folder, "to-cut.jsonl");
    await lz(exportAudit, { out });
    const lines = await Bun.file(out).text();
    const json = await (await asked("/v1/custody")).text();
    const whole = custodyExport.parse(JSON.parse(json));
    const cuts: [name: string, text: string][] = [
      ["the last line", `${lines.trimEnd().split("\n").slice(0, -1).join("\n")}\n`],
      ["half of the lines", `${lines.split("\n").slice(0, 600).join("\n")}\n`],
      ["the middle of a line", lines.slice(0, lines.length - 100)],
      ["the middle of a JSON text", json.slice(0, json.length / 2)],
      ["the end of a JSON text", json.slice(0, -3)],
      ["the last record of a JSON text", JSON.stringify({ ...whole, records: whole.records.slice(0, -1) })],
      ["a record within a JSON text", JSON.stringify({ ...whole, records: whole.records.toSpliced(7, 1) })],
    ];
    for (const [name, text] of cuts) {
      const { ours, theirs } = await verdicts(fileOf("cut", text));
      expect(ours, name).not.toBe(true);
      expect(theirs, name).not.toBe(0);
    }
  });

  test("records added during an export do not damage it: the export ends at the head from its start", async () => {
    let done = false;
    const meddle = async (_operation: string, query: number) => {
      if (query < 2 || done) return;
      done = true;
      await isolate("meanwhile", "release");
      await isolate("meanwhile again");
    };
    const text = await whileReading(meddle, async () => (await asked("/v1/custody")).text());
    expect(done).toBe(true);
    const { exported } = readExport(text)!;
    expect(await verifyExport(exported, { keys: keys() })).toEqual({
      records: exported.head!.count,
      checkpoint: "good",
    });
  });

  test("a record that no head has counted is exported, so that verification detects it", async () => {
    const at = "2100-01-01T00:00:00.000Z";
    const key = tenantAuditKey(TENANT, at);
    const { Items } = await edge.deps.dynamo("Query", {
      TableName: edge.deps.table,
      KeyConditionExpression: "PK = :pk AND begins_with(SK, :prefix)",
      ExpressionAttributeValues: values({ pk: key.PK, prefix: "AUDIT#TENANT#" }),
      ScanIndexForward: false,
      Limit: 1,
    });
    const newest = unmarshalItem(Items![0]!);
    await putItems(edge.deps, [marshalItem({ ...newest, ...key, at, tenantNumber: RECORDS + 900 })]);
    try {
      const { exported } = readExport(await (await asked("/v1/custody")).text())!;
      expect((await verifyExport(exported, {})).fault?.record).toContain(at);
    } finally {
      await remove(marshalItem(key));
    }
  });

  test("a table failure aborts every export, and lz audit export saves no file", async () => {
    const fail = async (_operation: string, query: number) => {
      if (query >= 2) throw new Error("the table is away");
    };
    for (const path of ["/v1/custody", "/custody.json"]) {
      const told = whileReading(fail, async () => JSON.parse(await (await asked(path)).text()) as unknown);
      expect(told, path).rejects.toThrow();
      await told.catch(() => {});
    }
    const out = join(folder, "never.jsonl");
    const saved = whileReading(fail, () => lz(exportAudit, { out }));
    expect(saved).rejects.toThrow("was truncated");
    await saved.catch(() => {});
    expect(existsSync(out)).toBe(false);
  });

  test("lz audit export reports a record count that differs from the head, with exit code 1", async () => {
    const key = marshalItem(tenantAuditKey(TENANT, new Date(1_790_000_000_000 + 5000).toISOString()));
    const { Item } = await edge.deps.dynamo("GetItem", { TableName: edge.deps.table, Key: key });
    await remove(key);
    try {
      const out = join(folder, "short.jsonl");
      const { code, lines } = await lz(exportAudit, { out });
      expect(code).toBe(1);
      expect(lines.join("\n")).toContain("its head counts");
      expect((await verdicts(out)).ours).toBe(false);
    } finally {
      await putItems(edge.deps, [Item!]);
    }
  });

  test("if a log is too long for memory, the page and the report say so, there is no CSV, and the JSON is still complete", async () => {
    const Key = marshalItem(custodyHeadKey(TENANT));
    const { Item } = await edge.deps.dynamo("GetItem", { TableName: edge.deps.table, Key });
    await putItems(edge.deps, [{ ...Item!, count: { N: "20001" } }]);
    try {
      const page = await (await asked("/custody")).text();
      expect(page).toContain("The log has 20,001 records, so it was not verified here");
      expect(page).not.toContain("records verified");
      expect(page).not.toContain("No custody records");
      const report = await (await asked("/report")).text();
      expect(report).toContain("The log was not verified here");
      expect(report).not.toContain("records verified:");
      const csv = await asked("/custody.csv");
      expect(csv.status).toBe(413);
      expect(await csv.text()).toContain("lz audit export");
      const json = custodyExport.parse(await (await asked("/custody.json")).json());
      expect(json.records.length).toBeGreaterThan(RECORDS);
    } finally {
      await putItems(edge.deps, [Item!]);
    }
  });
});
