import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { CountNotices } from "../../../../edge/dashboard/components/count-notices.tsx";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { approvalItem } from "../../../../shared/table/items/approval.ts";
import type { Finding } from "../../../../shared/table/items/asset/telemetry.ts";
import { approvalKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../browser/seed.ts";
import { createWorld } from "./dashboard-world.ts";

// Generous timeout for busy machines: the in-memory table sorts thousands of items for every query.
setDefaultTimeout(30_000);
const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const nextId = createIds(NOW_MS - 1e9);

const finding = (more: Partial<Finding> = {}): Finding => ({
  rule: "exposed-engine",
  engine: "ollama",
  engineName: "Ollama",
  risk: "CRITICAL",
  points: 80,
  explanation: "Ollama listens on 0.0.0.0.",
  ...more,
});

const hostOf = (more: Partial<Host> = {}): Host => ({
  tenantId: "org_a",
  assetId: nextId(),
  hostname: "calm",
  employeeId: "mara",
  os: "Debian",
  enrolledAtMs: NOW_MS - 86_400_000,
  lastSeenAtMs: NOW_MS - 3000,
  states: [{ atMs: NOW_MS - 3_600_000, engines: [engineOf()] }],
  ...more,
});

const worldOf = (hosts: readonly Host[]) => createWorld(hosts.flatMap(itemsOf), NOW_MS);
/** Returns the visible text of a page. */
const wordsOf = (markup: string) => markup.replace(/<[^>]*>/g, "").replace(/\s+/g, " ");
const rowsOf = (markup: string) =>
  [...markup.matchAll(/<li data-key="([^"]+)" class="incident/g)].map(([, id]) => id!);

describe("a host with many incidents", () => {
  /** Creates a host with this number of resolved incidents, and one open incident that is last in key order. */
  const crowded = (resolved: number): Host =>
    hostOf({
      findings: [
        ...Array.from({ length: resolved }, (_, index) => ({
          finding: finding({ rule: `a-${String(index).padStart(4, "0")}` }),
          openedAtMs: NOW_MS - 9_000_000,
          resolvedAtMs: NOW_MS - 8_000_000 + index,
        })),
        { finding: finding({ rule: "z-last" }), openedAtMs: NOW_MS - 5 * MINUTE_MS },
      ],
    });

  test("has a page for each of them", async () => {
    const host = crowded(250);
    const world = await worldOf([host]);
    expect((await world.get(`/incidents/${host.assetId}.z-last.ollama`)).status).toBe(200);
    expect((await world.get(`/incidents/${host.assetId}.a-0000.ollama`)).status).toBe(200);
    expect((await world.get(`/incidents/${host.assetId}.z-lost.ollama`)).status).toBe(404);
    expect((await world.get(`/incidents/${host.assetId}.Z.ollama`)).status).toBe(404);
  });

  test("shows open incidents first, and counts resolved ones", async () => {
    const host = crowded(250);
    const markup = await (await (await worldOf([host])).get(`/assets/${host.assetId}`)).text();
    expect(rowsOf(markup)[0]).toBe(`${host.assetId}.z-last.ollama`);
    expect(markup).toContain("250 resolved incidents");
    expect(rowsOf(markup)).toHaveLength(101);
    expect(wordsOf(markup)).toContain("Showing the newest 100.");
    expect(markup).not.toContain("There may be more open ones");
  });

  test("says if there are more incidents than it reads", async () => {
    const host = crowded(2000);
    const markup = await (await (await worldOf([host])).get(`/assets/${host.assetId}`)).text();
    expect(wordsOf(markup)).toContain("Only 2,000 incidents of this host were read");
  });
});

describe("an isolation that waits behind many newer requests", () => {
  const waitingBehind = (answered: number, host: Host) => {
    const approvals = createIds(NOW_MS - 50 * MINUTE_MS);
    const requestOf = (index: number) => {
      const atMs = NOW_MS - 50 * MINUTE_MS + index * 1000;
      const approvalId = approvals();
      return marshalItem({
        ...approvalKey("org_a", approvalId),
        ...approvalItem.parse({
          ...{ type: "Approval", tenantId: "org_a", approvalId, assetId: host.assetId, mode: "observe" },
          ...{ justification: "INC-1", requestedBy: index === 0 ? "user_first" : "user_later" },
          ...{ requestedAt: timestamp(atMs), validUntil: timestamp(atMs + 60 * MINUTE_MS), expiresAt: 1 },
          ...(index > 0 && { deniedAt: timestamp(atMs + 1), deniedBy: "user_jo" }),
        }),
      });
    };
    return Array.from({ length: answered + 1 }, (_, index) => requestOf(index));
  };

  test("is shown on the overview, on the page of its host and under approvals", async () => {
    const host = hostOf();
    const world = await createWorld([...itemsOf(host), ...waitingBehind(320, host)], NOW_MS);
    const read = async (path: string) => wordsOf(await (await world.get(path)).text());
    expect(await read("/")).toContain("1 isolation waits for approval by a second person");
    expect(await read(`/assets/${host.assetId}`)).toContain("user_first requested to isolate this host");
    expect(await read("/approvals")).toContain("Requested by user_first");
    world.clock.nowMs += 10 * MINUTE_MS;
    expect(await read("/")).not.toContain("by a second person");
  });

  test("says if there are more requests than it reads", async () => {
    const host = hostOf();
    const world = await createWorld([...itemsOf(host), ...waitingBehind(1000, host)], NOW_MS);
    expect(wordsOf(await (await world.get("/")).text())).toContain(
      "Only the 1,000 newest requests were read",
    );
  });
});

describe("other incidents of the same rule", () => {
  const openOf = (rule: string, agoMs: number, more: Partial<Finding> = {}): Host =>
    hostOf({ findings: [{ finding: finding({ rule, ...more }), openedAtMs: NOW_MS - agoMs }] });
  const busy = (others: number) =>
    Array.from({ length: others }, (_, index) => openOf("unapproved-engine", 1000 + index * 1000));
  const elsewhere = async (host: Host, others: readonly Host[]) => {
    const world = await worldOf([host, ...others]);
    const answer = await world.get(`/incidents/${host.assetId}.exposed-engine.ollama`);
    return (await answer.text()).split('id="incident-elsewhere"')[1]!;
  };

  test("are found behind many newer incidents of other rules, with both risks", async () => {
    const host = openOf("exposed-engine", 1000);
    const old = openOf("exposed-engine", 86_400_000);
    const lesser = openOf("exposed-engine", 1000, { risk: "WARNING", points: 40 });
    const markup = await elsewhere(host, [...busy(400), old, lesser]);
    expect(rowsOf(markup).map((id) => id.split(".")[0])).toEqual([old.assetId, lesser.assetId]);
    expect(wordsOf(markup)).toContain("2 open incidents");
    expect(markup).not.toContain("searched");
  });

  test("are not ruled out if not all incidents were searched", async () => {
    const host = openOf("exposed-engine", 1000);
    const markup = await elsewhere(host, [...busy(1000), openOf("exposed-engine", 86_400_000)]);
    expect(markup).not.toContain("No other open incidents");
    expect(wordsOf(markup)).toContain("No match among 1,000 open incidents");
    expect(markup).toContain('href="/incidents?rule=exposed-engine"');
  });

  test("are ruled out if all incidents were searched", async () => {
    expect(await elsewhere(openOf("exposed-engine", 1000), busy(3))).toContain(
      "This rule has no other open incidents",
    );
  });
});

describe("the incidents of the fleet", () => {
  const of = (hostname: string, agoMs: number, more: Partial<Finding> = {}, host: Partial<Host> = {}) =>
    hostOf({ hostname, findings: [{ finding: finding(more), openedAtMs: NOW_MS - agoMs }], ...host });
  const HOUR_MS = 60 * MINUTE_MS;
  const resolvedOf = (hostname: string, agoMs: number) =>
    hostOf({
      hostname,
      findings: [{ finding: finding(), openedAtMs: NOW_MS - 90 * HOUR_MS, resolvedAtMs: NOW_MS - agoMs }],
    });
  const HOSTS = [
    of("minutes", 59 * MINUTE_MS),
    of("one-hour", HOUR_MS),
    of("day", 24 * HOUR_MS, { engine: "vllm", engineName: "vLLM" }),
    of("week", 7 * 24 * HOUR_MS, { risk: "WARNING", points: 40 }),
    of("ahead", -1000, {}, { employeeId: "noor" }),
    of("rule", 2 * MINUTE_MS, { rule: "exposed-engine-too", risk: "WARNING", points: 40 }),
    resolvedOf("closed-first", 3 * HOUR_MS),
    resolvedOf("closed-last", HOUR_MS),
  ];
  const acknowledged = (items: ReturnType<typeof itemsOf>) =>
    items.map((item) =>
      item.type?.S === "Incident"
        ? { ...item, acknowledgedAt: { S: timestamp(NOW_MS) }, acknowledgedBy: { S: "user_jo" } }
        : item,
    );
  const make = () =>
    createWorld([...HOSTS.flatMap(itemsOf), ...acknowledged(itemsOf(of("seen", 5 * HOUR_MS)))], NOW_MS);

  const cases: [query: string, hosts: string[]][] = [
    ["", ["ahead", "minutes", "one-hour", "seen", "day", "rule", "week"]],
    ["age=hour", ["ahead", "minutes", "rule"]],
    ["age=day", ["one-hour", "seen"]],
    ["age=week", ["day"]],
    ["age=older&risk=WARNING", ["week"]],
    ["age=older&risk=CRITICAL", []],
    ["answered=yes", ["seen"]],
    ["answered=no&age=day", ["one-hour"]],
    ["engine=vllm", ["day"]],
    ["engine=vllm&age=hour", []],
    ["rule=exposed-engine-too", ["rule"]],
    ["q=noor", ["ahead"]],
    ["q=noor+0.0.0.0&risk=&engine=&age=&answered=&status=", ["ahead"]],
    ["q=nobody", []],
    ["status=resolved", ["closed-last", "closed-first"]],
    ["status=resolved&q=first+quiet", ["closed-first"]],
    ["status=resolved&risk=WARNING", []],
    ["status=open&q=closed", []],
  ];
  test.each(cases)("/incidents?%s, its CSV and its JSON contain the same incidents", async (query, hosts) => {
    const world = await make();
    const markup = await (await world.get(`/incidents?${query}`)).text();
    const names = new Map(HOSTS.map(({ assetId, hostname }) => [assetId, hostname]));
    expect(rowsOf(markup).map((id) => names.get(id.split(".")[0]!) ?? "seen")).toEqual(hosts);
    const rows = (await (await world.get(`/incidents.json?${query}`)).json()) as { hostname: string }[];
    expect(rows.map(({ hostname }) => hostname).sort()).toEqual([...hosts].sort());
    const csv = (await (await world.get(`/incidents.csv?${query}`)).text()).trim().split("\r\n");
    expect(csv).toHaveLength(hosts.length + 1);
  });

  test("are filtered by a form without script, which rejects unknown values", async () => {
    const world = await make();
    const markup = await (
      await world.get("/incidents?engine=vllm&age=week&answered=no&status=resolved")
    ).text();
    expect(markup).toContain('<option value="vllm" selected="">vllm</option>');
    expect(markup).toContain('<option value="week" selected="">');
    expect(markup).toContain('<option value="no" selected="">');
    expect(markup).toContain('href="/incidents?status=resolved"');
    for (const query of [
      "status=none",
      "age=month",
      "answered=maybe",
      "engine=%3Cb%3E",
      `rule=${"a".repeat(201)}`,
      "risk=INFO",
    ])
      expect((await world.get(`/incidents?${query}`)).status).toBe(400);
    // An incomplete rule name must not be an error, because the list updates while the user types.
    expect(await (await world.get("/incidents?rule=Not+a%20rule!")).text()).toContain(
      "No open incident matches",
    );
  });

  test("of an age group are found behind any number of newer ones, and continue with a cursor", async () => {
    const newer = Array.from({ length: 1100 }, (_, index) => of("newer", MINUTE_MS + index));
    const old = Array.from({ length: 130 }, (_, index) => of("old", 25 * HOUR_MS + index * 1000));
    const world = await worldOf([...newer, ...old, of("oldest", 8 * 24 * HOUR_MS)]);
    const first = await (await world.get("/incidents?age=week")).text();
    expect(rowsOf(first)).toHaveLength(100);
    expect(first).not.toContain("newer");
    const next = /href="(\/incidents\?age=week&amp;risk=CRITICAL&amp;cursor=[^"]+)"/.exec(first)![1]!;
    world.clock.nowMs += 10 * MINUTE_MS;
    const second = await (await world.get(next.replaceAll("&amp;", "&"))).text();
    expect(rowsOf(second)).toHaveLength(30);
    expect(second).not.toContain("oldest");
    expect(second).not.toContain("Older critical incidents");
    const cut = wordsOf(await (await world.get("/incidents?q=oldest")).text());
    expect(cut).toContain("No match among the open incidents searched so far");
    expect(cut).toContain("Searched 1,000 critical incidents.");
  });

  test("that are resolved are shown page by page, and the page says if some are left out", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => resolvedOf("closed", index));
    const world = await worldOf(many(230));
    const first = await (await world.get("/incidents?status=resolved")).text();
    expect(wordsOf(first)).toContain("230 resolved incidents, 100 shown");
    expect(first).not.toContain("searches and shows");
    expect(first).not.toContain("Acknowledge selected");
    const seen = new Set(rowsOf(first));
    let next = /rel="next" href="([^"]+)"/.exec(first)?.[1];
    while (next !== undefined) {
      const page = await (await world.get(next.replaceAll("&amp;", "&"))).text();
      for (const id of rowsOf(page)) seen.add(id);
      next = /rel="next" href="([^"]+)"/.exec(page)?.[1];
    }
    expect(seen.size).toBe(230);
    const more = await worldOf(many(2001));
    expect(wordsOf(await (await more.get("/incidents?status=resolved")).text())).toContain(
      "There are 2,001 resolved incidents. This page searches and shows the newest 2,000.",
    );
  });
});

describe("numbers of the overview", () => {
  const HOSTS = [
    hostOf({
      findings: [
        { finding: finding(), openedAtMs: NOW_MS - 5 * MINUTE_MS },
        { finding: finding({ rule: "unapproved-engine", risk: "WARNING" }), openedAtMs: NOW_MS - 9e8 },
      ],
    }),
    hostOf({ hostname: "silent", lastSeenAtMs: NOW_MS - 9e6 }),
    hostOf({
      hostname: "blind",
      states: [{ atMs: NOW_MS - 9e6, engines: [], collectors: [{ name: "http", status: "failed" }] }],
    }),
  ];

  test("link to lists with the same number of rows", async () => {
    const world = await worldOf(HOSTS);
    const markup = await (await world.get("/")).text();
    const linked = (href: string, words: string) =>
      expect(markup).toContain(`<a href="${href.replaceAll("&", "&amp;")}">${words}</a>`);
    const rows = async (href: string) =>
      [...(await (await world.get(href)).text()).matchAll(/<(li|tr) data-key=/g)].length;
    for (const risk of ["CRITICAL", "WARNING"])
      for (const age of ["hour", "day", "week", "older"]) {
        const href = `/incidents?risk=${risk}&age=${age}`;
        const count = `${risk} ${age}` === "CRITICAL hour" || `${risk} ${age}` === "WARNING older" ? 1 : 0;
        linked(href, String(count));
        expect(await rows(href)).toBe(count);
      }
    linked("/incidents?risk=CRITICAL", "1 host");
    linked("/incidents?risk=WARNING", "1 warning");
    linked("/assets?state=reporting", "2");
    linked("/assets", "3 hosts");
    linked("/assets?state=unseen", "1");
    linked("/assets?state=collectors", "1 host");
    linked("/assets?engine=ollama", "2");
    expect(await rows("/assets?state=unseen")).toBe(1);
    expect(markup).toMatch(/<a href="\/assets\?state=silent">Silent <span class="number">1<\/span><\/a>/);
  });

  test("hosts are filtered by employee, and an unknown employee matches none", async () => {
    const world = await worldOf([...HOSTS, hostOf({ hostname: "other", employeeId: "noor" })]);
    const read = async (path: string) => (await world.get(path)).text();
    expect(await read("/assets")).toContain('<input id="employee"');
    expect(wordsOf(await read("/assets?employee=noor"))).toContain("1 host match");
    for (const employee of ["no", "%3Cb%3E", "a%23b"])
      expect(await read(`/assets?employee=${employee}`)).toContain("No host matches");
    expect(await (await world.get("/assets.json?employee=%3Cb%3E")).json()).toEqual([]);
  });
});

describe("lists in memory", () => {
  const people = Array.from({ length: 230 }, (_, index) => {
    const name = `n-${String(index).padStart(3, "0")}`;
    const models = [{ name: `model-${name}`, loaded: true, licence: index < 5 ? "MIT" : "Apache-2.0" }];
    const clients = [{ name: `client-${name}`, directory: "/", connections: 1 }];
    // A custom engine that is not in the catalogue.
    const evidence = [{ signal: "http" as const, detail: "GET / answered", weight: 60 }];
    const engine = engineOf({ id: `engine-${name}`, name: `Engine ${name}`, evidence, models, clients });
    return hostOf({ employeeId: name, states: [{ atMs: NOW_MS - 1000, engines: [engine] }] });
  });
  const keysIn = (markup: string, section: string) =>
    [
      ...markup
        .split(`id="${section}"`)[1]!
        .split("</section>")[0]!
        .matchAll(/<tr data-key="([^"]+)"/g),
    ].map(([, key]) => key!);

  const lists: [path: string, section: string, after: string][] = [
    ["/inventory", "inventory-models", "afterModel"],
    ["/inventory", "inventory-engines", "afterEngine"],
    ["/inventory", "inventory-clients", "afterClient"],
    ["/employees", "employees", "after"],
  ];
  test.each(lists)("%s: every row of %s is on some page", async (path, section, after) => {
    const world = await worldOf(people);
    const first = await (await world.get(path)).text();
    const keys = keysIn(first, section);
    expect(keys).toHaveLength(200);
    const next = new RegExp(`rel="next" href="([^"]*${after}=[^"]+)"`).exec(first)![1]!;
    const second = await (await world.get(next.replaceAll("&amp;", "&").split("#")[0]!)).text();
    expect(new Set([...keys, ...keysIn(second, section)]).size).toBe(230);
    expect(keysIn(second, section)).toHaveLength(30);
    expect(wordsOf(second)).toContain("continued");
    const rest = second.split(`id="${section}"`)[1]!.split("</section>")[0]!;
    expect(rest).toContain("First page");
    expect(rest).not.toContain('rel="next"');
    // If the key no longer exists, the link must lead to the first page.
    const lost = await (await world.get(`${path}?${after}=gone`)).text();
    expect(keysIn(lost, section)).toEqual(keys);
  });

  const searched: [path: string, section: string, found: number][] = [
    ["/inventory?q=mit", "inventory-models", 5],
    ["/inventory?q=engine+n-007", "inventory-engines", 1],
    ["/inventory?q=client-n-007", "inventory-clients", 1],
    ["/inventory?q=client-n-007", "inventory-models", 0],
    ["/employees?q=N-00", "employees", 10],
    ["/employees?q=model-n-012", "employees", 1],
    ["/employees?q=", "employees", 200],
  ];
  test.each(searched)("%s finds in %s what it names", async (path, section, found) => {
    const world = await worldOf(people);
    expect(keysIn(await (await world.get(path)).text(), section)).toHaveLength(found);
  });

  test("downloads contain the same rows as the filtered lists", async () => {
    const world = await worldOf(people);
    const rows = async (path: string) => (await (await world.get(path)).json()) as object[];
    expect(await rows("/models.json?q=mit")).toHaveLength(5);
    expect(await rows("/inventory.json?q=n-007")).toHaveLength(3);
    expect(await rows("/employees.json?q=n-00")).toHaveLength(10);
    expect(await (await world.get("/employees?q=nobody")).text()).toContain("No employee matches");
    expect(await (await world.get("/inventory?q=nothing")).text()).toContain("No model matches");
  });
});

describe("a page from cached reads", () => {
  test.each(["/assets?state=reporting", "/inventory", "/employees", "/"])(
    "%s shows the age of the read if it is older than the page",
    async (path) => {
      const world = await worldOf([hostOf()]);
      const { dynamo } = world.deps;
      // Make the table slow, so that the value is cached.
      world.deps.dynamo = (async (operation: never, input: never) => {
        world.clock.nowMs += 400;
        return dynamo(operation, input);
      }) as unknown as typeof dynamo;
      expect(await (await world.get(path)).text()).not.toContain("Counted <time");
      world.deps.dynamo = dynamo;
      world.clock.nowMs += 6000;
      expect(await (await world.get(path)).text()).toContain("Counted <time");
    },
  );

  test("says if the read is not the complete fleet", () => {
    const line = (complete: boolean) =>
      String(CountNotices({ of: [{ readAtMs: NOW_MS, complete }], now: NOW_MS }));
    expect(line(false)).toContain("The fleet is too large to count here");
    expect(line(true)).not.toContain("too large");
  });
});
