import { beforeAll, describe, expect, test } from "bun:test";
import { csvRecord } from "../../../../edge/dashboard/exports/csv.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../browser/seed.ts";
import { interceptDynamo } from "../../../support/dynamo/intercept-dynamo.ts";
import { createWorld, ORIGIN, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const FORMULA = '=HYPERLINK("https://evil.test","open, me")';
const nextId = createIds(NOW_MS - 1e9);

const host = (more: Partial<Host>): Host => ({
  tenantId: "org_a",
  assetId: nextId(),
  hostname: "calm",
  employeeId: "mara",
  os: "Debian",
  enrolledAtMs: NOW_MS - 86_400_000,
  lastSeenAtMs: NOW_MS - 3000,
  states: [
    {
      atMs: NOW_MS - 3_600_000,
      engines: [engineOf({ models: [{ name: "=llama", loaded: false, licence: "MIT", sizeBytes: 7 }] })],
    },
  ],
  ...more,
});
const finding = {
  rule: "exposed-engine",
  engine: "ollama",
  engineName: "Ollama",
  risk: "CRITICAL" as const,
  points: 80,
  explanation: FORMULA,
};
const HOSTS = [
  host({ hostname: FORMULA, findings: [{ finding, openedAtMs: NOW_MS - 3_600_000 }] }),
  host({ employeeId: "noor", os: "@SUM(1)", states: [{ atMs: NOW_MS - 3_600_000, engines: [] }] }),
  host({ tenantId: "org_b", hostname: "foreign-host", employeeId: "foreign-person" }),
];
const LISTS = ["assets", "incidents", "inventory", "models", "employees", "custody", "approvals"];

let world: World;
beforeAll(async () => {
  world = await createWorld(HOSTS.flatMap(itemsOf), NOW_MS);
});

describe("csvRecord()", () => {
  const cases: [string, Parameters<typeof csvRecord>[0], string][] = [
    ["plain text and numbers unchanged", ["a b", 7, true], "a b,7,true\r\n"],
    ["a missing cell as empty", [undefined, ""], ",\r\n"],
    [
      "commas, quotes and line breaks in quotes",
      ["a,b", 'say "hi"', "x\r\ny"],
      '"a,b","say ""hi""","x\r\ny"\r\n',
    ],
    ["a number below zero as a number", [-1], "-1\r\n"],
    [
      "an operator inside a text unchanged",
      ["mara@example.com", "a=b", "1-2"],
      "mara@example.com,a=b,1-2\r\n",
    ],
  ];
  test.each(cases)("writes %s", (_name, cells, expected) => expect(csvRecord(cells)).toBe(expected));

  test.each(["=", "+", "-", "@", "\t", "\r", "\n"])("makes a text that begins with %p inert", (start) => {
    const quoted = /[\r\n]/.test(start);
    const inert = `'${start}1+1`;
    expect(csvRecord([`${start}1+1`])).toBe(`${quoted ? `"${inert}"` : inert}\r\n`);
  });

  const BEFORE = {
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
    "thin space": "\u2009",
    "line separator": "\u2028",
    "zero-width space": "\u200b",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "right-to-left override": "\u202e",
    "hangul filler": "\u3164",
    "variation selector": "\ufe0f",
    "blank braille pattern": "\u2800",
    "vertical tab": "\v",
    null: "\0",
    spaces: "   ",
    "tab after space": " \t",
    "carriage return after no-break space": "\u00a0\r",
  };
  const STARTS = ["=", "+", "-", "@", "＝", "＋", "－", "＠", "−", "﹦", "﹢", "﹣", "﹫"];
  for (const [name, before] of Object.entries(BEFORE))
    test(`makes a formula inert that begins after ${name}`, () => {
      for (const formula of STARTS.map((start) => `${before}${start}1+1`)) {
        expect(csvRecord([formula]).replace(/^"/, "")[0]).toBe("'");
        for (const separator of [";", "\t", "\n", "\r\n"])
          for (const cell of csvRecord([`a${separator}${formula}`]).split(/[;\t\r\n]/))
            expect(STARTS).not.toContain(cell.replaceAll(before, "").replace(/^"/, "")[0] ?? "");
      }
    });

  test("leaves white space before other texts unchanged", () =>
    expect(csvRecord([" a", "\u00a0b", "-", "a - b"])).toBe(" a,\u00a0b,'-,a - b\r\n"));

  test.each([";=1+1", "; =1+1", ';"=1+1', ";@SUM(A1)", "llama3; -2+3"])(
    "makes a formula after a semicolon inert: %p",
    (text) => {
      for (const cell of csvRecord([`a${text}`, "b"])
        .trim()
        .split(";")
        .slice(1))
        expect(cell[0]).toBe("'");
    },
  );

  test("leaves a list of words unchanged", () =>
    expect(csvRecord(["llama3; qwen3", "a;b=c"])).toBe("llama3; qwen3,a;b=c\r\n"));
});

describe("a download", () => {
  for (const list of LISTS) {
    for (const [format, type] of [
      ["csv", "text/csv; charset=utf-8; header=present"],
      ["json", "application/json"],
    ]) {
      test(`/${list}.${format} is a file with a safe name that is not cached and cannot run scripts`, async () => {
        const answer = await world.get(`/${list}.${format}`, {}, { role: "viewer" });
        expect(answer.status).toBe(200);
        expect(answer.headers.get("content-type")).toBe(type!);
        expect(answer.headers.get("content-disposition")).toBe(
          `attachment; filename="lifecyclezero-${list}-20261121T230405Z.${format}"`,
        );
        expect(answer.headers.get("content-security-policy")).toContain("sandbox");
        expect(answer.headers.get("cache-control")).toBe("no-store");
        expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
        const text = await answer.text();
        expect(text).not.toContain("foreign");
        if (format === "json") JSON.parse(text);
        else expect(text).not.toMatch(/(^|,|\n)"?[=+@\t-]/);
      });

      test(`/${list}.${format} without a session leads to sign-in and back`, async () => {
        const answer = await world.app.request(`${ORIGIN}/${list}.${format}`);
        expect(answer.headers.get("location")).toBe(`/sign-in?return=%2F${list}.${format}`);
      });
    }
  }

  test("contains the rows of the list with its filters", async () => {
    const rows = async (path: string) => (await (await world.get(path)).json()) as Record<string, unknown>[];
    expect((await rows("/assets.json")).length).toBe(2);
    expect((await rows("/assets.json?employee=noor")).map((row) => row.os)).toEqual(["@SUM(1)"]);
    expect((await rows("/assets.json?state=ai")).map((row) => row.hostname)).toEqual([FORMULA]);
    expect((await rows("/incidents.json?risk=WARNING")).length).toBe(0);
    expect((await rows("/incidents.json?q=evil"))[0]).toMatchObject({
      rule: "exposed-engine",
      title: "AI engine open to the network",
      explanation: FORMULA,
    });
    expect(await rows("/inventory.json")).toMatchObject([
      { what: "engine", id: "ollama", employee_id: "mara" },
    ]);
  });

  test("contains the details of each model on each host, and all changes of one host", async () => {
    const rows = async (path: string) => (await (await world.get(path)).json()) as Record<string, unknown>[];
    const model = { model: "=llama", in_memory: false, licence: "MIT", size_bytes: 7, employee_id: "mara" };
    expect(await rows("/models.json?name=%3Dllama")).toMatchObject([model]);
    expect(await rows("/models.json?name=llama")).toEqual([]);
    const [{ assetId }] = HOSTS as [Host];
    expect(await rows(`/timeline.json?asset=${assetId}`)).toMatchObject([
      { engines: "Ollama", risk: "INFO" },
    ]);
    expect(await rows(`/timeline.json?asset=${HOSTS[2]!.assetId}`)).toEqual([]);
    for (const path of ["/timeline.json", "/timeline.csv?asset=x", "/deliveries.csv?webhook=%20"])
      expect((await world.get(path)).status).toBe(400);
  });

  test("of tokens and deliveries is for administrators only", async () => {
    for (const path of ["/enrolment-tokens.csv", "/deliveries.json?webhook=a"]) {
      expect((await world.get(path)).status).toBe(200);
      for (const role of ["viewer", "analyst", "responder"])
        expect((await world.get(path, {}, { role })).status).toBe(403);
    }
  });

  test("makes a formula from an agent inert in CSV and leaves it unchanged in JSON", async () => {
    const text = await (await world.get("/assets.csv")).text();
    expect(text).toContain(`"'=HYPERLINK(""https://evil.test"",""open, me"")"`);
    expect(text.split("\r\n").length).toBe(4);
    expect(await (await world.get("/assets.json")).text()).toContain(JSON.stringify(FORMULA));
  });

  test("is 503 and not an empty file if the table is unavailable", async () => {
    const other = await createWorld([], NOW_MS);
    other.table.broken = true;
    const answer = await other.get("/assets.csv");
    expect(answer.status).toBe(503);
    expect(answer.headers.get("content-disposition")).toBeNull();
  });

  test("is aborted if a read fails in the middle, so that it never looks complete", async () => {
    const many = Array.from({ length: 450 }, () => host({}));
    const other = await createWorld(many.flatMap(itemsOf), NOW_MS);
    const dynamo = other.deps.dynamo;
    let queries = 0;
    other.deps.dynamo = interceptDynamo(dynamo, async ({ operation, input }, send) => {
      // Queries without a limit read the fleet count, so the test does not count them.
      const isPage = operation === "Query" && input.Limit !== undefined;
      if (isPage && ++queries === 2) throw new Error("away");
      const answer = await send();
      return isPage ? { ...answer, LastEvaluatedKey: { PK: { S: "x" }, SK: { S: "y" } } } : answer;
    });
    const answer = await other.get("/assets.csv");
    expect(answer.status).toBe(200);
    expect(
      await answer.text().then(
        () => "whole",
        () => "broken",
      ),
    ).toBe("broken");
  });
});
