import { beforeAll, describe, expect, test } from "bun:test";
import { custodyMatcher, custodyQuery } from "../../../../edge/dashboard/custody/custody-search.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { type AuditItem, CUSTODY_ACTIONS } from "../../../../shared/table/items/custody.ts";
import { auditKey, custodyHeadKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createIds, engineOf, itemsOf } from "../../../browser/seed.ts";
import { linkedLog } from "../../../support/control/build-custody-log.ts";
import { createWorld, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const HOSTILE = '"><img src=x onerror=alert(1)>';
const nextId = createIds(NOW_MS - 1e9);
const [calm, busy] = [nextId(), nextId()];
const ROUNDS = 130;
const HOSTS = new Map([
  [calm, "calm-host"],
  [busy, "busy-host"],
]);

let log: AuditItem[];
let world: World;
beforeAll(async () => {
  log = await linkedLog([
    ...Array.from({ length: ROUNDS }, (_, index) => ({
      tenantId: "org_a",
      assetId: busy,
      at: timestamp(NOW_MS - 1_000_000 + index * 1000),
      action: index % 2 === 0 ? ("isolate" as const) : ("release" as const),
      mode: "network" as const,
      operatorId: index === 7 ? "noor" : "mara",
      sessionId: "sess_1",
      sourceIp: "198.51.100.7",
      requestId: `req-${index}`,
      justification: `drill ${index}`,
    })),
    {
      tenantId: "org_a",
      assetId: calm,
      at: timestamp(NOW_MS - 5000),
      action: "isolate" as const,
      mode: "observe" as const,
      operatorId: "noor",
      sessionId: "sess_2",
      sourceIp: "203.0.113.9",
      requestId: "req-calm",
      justification: HOSTILE,
    },
  ]);
  const { hash } = log.at(-1)!;
  const head = { type: "CustodyHead", tenantId: "org_a", hash, count: log.length, checkpoint: "unsigned" };
  const hosts = [...HOSTS].map(([assetId, hostname]) => ({
    tenantId: "org_a",
    employeeId: "mara",
    os: "Debian",
    enrolledAtMs: NOW_MS,
    lastSeenAtMs: NOW_MS,
    states: [{ atMs: NOW_MS, engines: [engineOf()] }],
    assetId,
    hostname,
  }));
  const stored = log.map((record) =>
    marshalItem({ ...auditKey("org_a", record.assetId!, record.at), ...record }),
  );
  world = await createWorld(
    [...hosts.flatMap(itemsOf), ...stored, marshalItem({ ...custodyHeadKey("org_a"), ...head })],
    NOW_MS,
  );
});

const page = async (query: string) => (await world.get(`/custody${query}`)).text();
/** Returns the record numbers on a page, in the order of the page. */
const numbers = (html: string) =>
  [...html.matchAll(/<p class="custody-head"><span class="muted">#(\d+)/g)].map(([, number]) =>
    Number(number),
  );

describe("the custody page", () => {
  test("shows the newest hundred records, and links to older ones until the end", async () => {
    const first = await page("");
    expect(numbers(first)).toEqual(Array.from({ length: 100 }, (_, index) => ROUNDS + 1 - index));
    expect(first).toContain('href="/custody?before=32"');
    const second = await page("?before=32");
    expect(numbers(second)).toEqual(Array.from({ length: 31 }, (_, index) => 31 - index));
    expect(second).not.toContain("Older records");
  });

  test("searches by host, user, address, reason and id, and always verifies the complete log", async () => {
    for (const [query, found] of [
      ["?q=calm-host", [131]],
      ["?q=noor", [131, 8]],
      ["?q=noor+drill", [8]],
      ["?q=203.0.113.9", [131]],
      ["?q=REQ-12+release", [130, 128, 126, 124, 122]],
      [`?q=${log[3]!.hash}`, [4]],
      ["?q=noor&action=release", [8]],
      [`?asset=${calm}`, [131]],
      ["?action=resolve", []],
    ] as const) {
      const html = await page(query);
      expect([query, numbers(html)]).toEqual([query, [...found]]);
      expect(html).toContain(`All ${ROUNDS + 1} records verified: `);
      expect(html).not.toContain("verified just now");
    }
    expect(await page("?action=resolve")).toContain("No record matches");
    expect(await page("?q=noor")).toContain("2 of 131 records");
  });

  test("reports an unsigned head as a failure, with the time of verification", async () => {
    const html = await page("");
    expect(html).toContain('class="strip critical"');
    expect(html).toContain("The signature of the head is not valid for any control key that this node knows");
    expect(html).toContain(`Verified <time datetime="${timestamp(NOW_MS)}"`);
  });

  test("keeps the search in the link to older records and in the downloads", async () => {
    const html = await page("?q=mara&action=isolate&asset=");
    expect(numbers(html)).toHaveLength(65);
    expect(await page("?q=drill")).toContain('href="/custody?q=drill&amp;before=31"');
    expect(html).toContain('href="/custody.csv?q=mara&amp;action=isolate"');
    const csv = await (await world.get("/custody.csv?q=noor")).text();
    expect(csv.trim().split("\r\n")).toHaveLength(3);
    const whole = (await (await world.get("/custody.json?q=noor")).json()) as { records: unknown[] };
    expect(whole.records).toHaveLength(log.length);
  });

  test("rejects invalid searches, and escapes search text", async () => {
    for (const query of ["?action=rm", "?asset=x", "?before=0", "?before=x", `?q=${"x".repeat(201)}`])
      expect([query, (await world.get(`/custody${query}`)).status]).toEqual([query, 400]);
    const html = await page(`?q=${encodeURIComponent(HOSTILE)}`);
    expect(numbers(html)).toEqual([131]);
    expect(html).not.toContain("<img src=x");
  });
});

describe("custodyMatcher()", () => {
  test.each(CUSTODY_ACTIONS)("matches %s only for that action", (action) => {
    const matches = custodyMatcher(custodyQuery.parse({ action }), HOSTS);
    expect(matches({ ...log[0]!, action })).toBe(true);
    const another = CUSTODY_ACTIONS.find((each) => each !== action)!;
    expect(matches({ ...log[0]!, action: another })).toBe(false);
  });
});
