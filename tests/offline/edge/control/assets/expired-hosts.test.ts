import { beforeAll, describe, expect, test } from "bun:test";
import { listAssets } from "../../../../../edge/control/assets/read-assets.ts";
import { findAssets } from "../../../../../edge/control/assets/search-assets.ts";
import { listIncidents } from "../../../../../edge/control/incidents/list-incidents.ts";
import { type AttributeMap, marshalItem } from "../../../../../shared/table/dynamo.ts";
import { DAY_MS } from "../../../../../shared/time/durations.ts";
import { createIds, engineOf, type Host, itemsOf } from "../../../../browser/seed.ts";
import { createWorld, type World } from "../../dashboard/dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-30T12:00:00.000Z");
const nextId = createIds(NOW_MS - 100 * DAY_MS);

const host = (hostname: string, more: Partial<Host> = {}): Host => ({
  tenantId: "org_a",
  assetId: nextId(),
  hostname,
  employeeId: "mara",
  os: "Debian",
  enrolledAtMs: NOW_MS - 90 * DAY_MS,
  lastSeenAtMs: NOW_MS - 3000,
  states: [{ atMs: NOW_MS - 80 * DAY_MS, engines: [engineOf()] }],
  findings: [
    {
      openedAtMs: NOW_MS - 80 * DAY_MS,
      finding: {
        ...{ rule: "exposed-engine", engine: "ollama", engineName: "Ollama", explanation: `On ${hostname}.` },
        ...{ risk: "CRITICAL" as const, points: 80 },
      },
    },
  ],
  ...more,
});
const isolated: Host["containment"] = {
  status: "ISOLATED",
  generation: 1,
  wish: {
    ...{ generation: 1, action: "isolate", mode: "network", directive: "a.b.c" },
    ...{ requestedAt: "2026-09-05T00:00:00.000Z", expiresAt: "2026-10-05T00:00:00.000Z" },
  },
};
const gone = { lastSeenAtMs: NOW_MS - 40 * DAY_MS };
const HOSTS = [
  host("present"),
  host("vdi-17", gone),
  host("contained", { ...gone, containment: isolated }),
  host("vdi-never", { states: [], findings: [], os: "Windows 11" }),
  host("other", { tenantId: "org_b", ...gone }),
];
const settings = (assetExpiryDays: number) =>
  marshalItem({
    ...{ PK: "TENANT#org_a", SK: "METADATA", type: "Tenant", tenantId: "org_a", name: "A" },
    assetExpiryDays,
  });
const worldWith = (more: AttributeMap[] = []) => createWorld([...HOSTS.flatMap(itemsOf), ...more], NOW_MS);

let world: World;
beforeAll(async () => {
  world = await worldWith();
});
const text = async (path: string, on = world) => (await on.get(path)).text();
const names = (items: readonly { hostname: string }[]) => items.map(({ hostname }) => hostname);

describe("the API's lists", () => {
  test("contain the active hosts, and the number of hosts that they leave out", async () => {
    const page = await listAssets(world.deps, "org_a", { limit: 50, lifecycle: "active" });
    expect(names(page.items)).toEqual(["present", "contained"]);
    expect(page.expiredLeftOut).toBe(2);
    expect(page.items.map(({ lifecycle }) => lifecycle)).toEqual([{ state: "active" }, { state: "active" }]);
  });

  test("find the expired hosts with their reasons, and all hosts together", async () => {
    const page = await listAssets(world.deps, "org_a", { limit: 50, lifecycle: "expired" });
    expect(page.items.map(({ hostname, lifecycle }) => [hostname, lifecycle])).toEqual([
      ["vdi-17", { state: "expired", reason: "silent", since: "2026-11-20T12:00:00.000Z" }],
      ["vdi-never", { state: "expired", reason: "never-reported", since: "2026-10-01T12:00:00.000Z" }],
    ]);
    expect(page.expiredLeftOut).toBeUndefined();
    expect((await listAssets(world.deps, "org_a", { limit: 50, lifecycle: "all" })).items).toHaveLength(4);
  });

  test("return every host once if they are read page by page", async () => {
    const found: string[] = [];
    let leftOut = 0;
    let from: string | undefined;
    do {
      const page = await listAssets(world.deps, "org_a", {
        ...{ limit: 1, lifecycle: "active" as const },
        ...(from !== undefined && { from }),
      });
      found.push(...names(page.items));
      leftOut += page.expiredLeftOut ?? 0;
      from = page.cursor;
    } while (from !== undefined);
    expect([found, leftOut]).toEqual([["present", "contained"], 2]);
  });

  test("can be filtered by pattern, system, time of silence, and hosts that have never reported", async () => {
    const find = async (filter: Parameters<typeof findAssets>[2]) =>
      names((await findAssets(world.deps, "org_a", filter, { limit: 50 })).items);
    expect(await find({ hostname: "VDI-*" })).toEqual(["vdi-17", "vdi-never"]);
    expect(await find({ hostname: "*-1*" })).toEqual(["vdi-17"]);
    expect(await find({ hostname: "di-*" })).toEqual([]);
    expect(await find({ os: "windows" })).toEqual(["vdi-never"]);
    expect(await find({ neverReported: true })).toEqual(["vdi-never"]);
    expect(await find({ neverReported: false, silentHours: 24 * 40 })).toEqual(["vdi-17", "contained"]);
    expect(await find({ silentHours: 24 * 40 + 1 })).toEqual(["vdi-never"]);
    expect(await find({ silentHours: 24, lifecycle: "active" })).toEqual(["contained"]);
  });

  test("with a setting of 0 hide no host, and with a longer setting hide hosts later", async () => {
    for (const [days, listed] of [
      [0, 4],
      [41, 3],
      [90, 3],
      [91, 4],
    ] as const) {
      const other = await worldWith([settings(days)]);
      const page = await listAssets(other.deps, "org_a", { limit: 50, lifecycle: "active" });
      expect([days, page.items.length]).toEqual([days, listed]);
    }
  });

  test("leave out and count open incidents of an expired host, which return with its next heartbeat", async () => {
    const listed = async (on: World, lifecycle: "active" | "expired") => {
      const page = await listIncidents(on.deps, "org_a", { risk: "CRITICAL", limit: 50, lifecycle });
      expect(page.items.every(({ status }) => status === "OPEN")).toBe(true);
      return [names(page.items).sort(), page.expiredLeftOut];
    };
    expect(await listed(world, "active")).toEqual([["contained", "present"], 1]);
    expect(await listed(world, "expired")).toEqual([["vdi-17"], undefined]);
    const items = HOSTS.flatMap(itemsOf);
    const presence = items.find((item) => item.type?.S === "Presence" && item.hostname?.S === "vdi-17")!;
    presence.lastSeenAt = { S: "2026-11-30T11:59:57.000Z" };
    const back = await createWorld(items, NOW_MS);
    expect(await listed(back, "active")).toEqual([["contained", "present", "vdi-17"], undefined]);
  });
});

describe("the dashboard", () => {
  test("lists the active hosts, says how many it leaves out and shows them on request", async () => {
    const markup = await text("/assets");
    expect(markup).toContain("present");
    expect(markup).toContain("contained");
    expect(markup).not.toContain("vdi-17");
    expect(markup).toContain("2 expired hosts");
    const expired = await text("/assets?state=expired");
    expect(expired).toContain("vdi-17");
    expect(expired).toContain("vdi-never");
    expect(expired).not.toMatch(/>present</);
    expect(expired).not.toContain("expired hosts</a>");
    expect(await text("/assets?state=all")).toMatch(/4 hosts/);
    expect(await text("/assets?q=vdi")).toContain("2 expired hosts");
  });

  test("counts only active hosts, on the overview, in the inventory and in the incidents", async () => {
    const overview = await text("/");
    expect(overview).toContain("2 critical incidents are open");
    expect(overview).toMatch(/2 expired hosts/);
    expect(overview).toMatch(/<a href="\/assets">2 hosts<\/a>/);
    const incidents = await text("/incidents");
    expect(incidents).toContain("1 open incident");
    expect(incidents).not.toContain("vdi-17");
    expect(await text("/incidents?hosts=expired")).toContain("vdi-17");
    expect(await text("/inventory")).not.toContain("vdi-17");
  });

  test("says on the page of a host why it is not on the active list, and that it returns with its next heartbeat", async () => {
    const markup = await text(`/assets/${HOSTS[1]!.assetId}`);
    expect(markup).toContain("has not reported for longer than the settings allow");
    expect(markup).toContain("It returns to the list with its next heartbeat.");
    expect(await text(`/assets/${HOSTS[2]!.assetId}`)).not.toContain("returns to the list");
  });

  test("names downloads of the active list after what they leave out, and those of the whole list without an addition", async () => {
    const named = async (path: string) => {
      const answer = await world.get(path);
      return [
        /filename="([^"]+)-\d{8}T/.exec(answer.headers.get("content-disposition")!)![1],
        await answer.text(),
      ];
    };
    const [name, csv] = await named("/assets.csv");
    expect(name).toBe("lifecyclezero-assets-without-2-expired-hosts");
    expect(csv).not.toContain("vdi-17");
    const [whole, all] = await named("/assets.csv?state=all");
    expect(whole).toBe("lifecyclezero-assets");
    expect(all).toMatch(/vdi-17.*,silent,\r?\n/);
    expect(all).toMatch(/present.*,active,\r?\n/);
    const [incidents, open] = await named("/incidents.csv");
    expect(incidents).toBe("lifecyclezero-incidents-without-2-expired-hosts");
    expect(open).not.toContain("vdi-17");
    expect((await named("/incidents.csv?hosts=all"))[1]).toContain("vdi-17");
    expect((await named("/inventory.csv"))[0]).toBe("lifecyclezero-inventory-without-2-expired-hosts");
  });

  test("does not call a tenant empty or in order if all its hosts have expired", async () => {
    const quiet = await createWorld([HOSTS[1]!].flatMap(itemsOf), NOW_MS);
    expect(await text("/", quiet)).toContain("Unknown: every enrolled host has expired");
    expect(await text("/assets", quiet)).toContain("No hosts are on the active list");
  });
});
