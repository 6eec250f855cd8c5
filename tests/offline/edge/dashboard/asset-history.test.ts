import { beforeAll, describe, expect, test } from "bun:test";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { auditKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { createIds, engineOf, itemsOf } from "../../../browser/seed.ts";
import { linkedLog } from "../../../support/control/build-custody-log.ts";
import { createWorld, type World } from "./dashboard-world.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const nextId = createIds(NOW_MS - 1e9);
const [changing, quiet] = [nextId(), nextId()];
const STATES = 70;
const RECORDS = 51;

let world: World;
beforeAll(async () => {
  const host = (assetId: string, states: number) => ({
    ...{ tenantId: "org_a", assetId, hostname: "host", employeeId: "mara", os: "Debian" },
    ...{ enrolledAtMs: NOW_MS - 1e9, lastSeenAtMs: NOW_MS },
    states: Array.from({ length: states }, (_, index) => ({
      atMs: NOW_MS - (states - index) * 60_000,
      engines: [engineOf({ pid: 1000 + index })],
      score: index,
    })),
  });
  const log = await linkedLog(
    [changing, quiet].flatMap((assetId) =>
      Array.from({ length: assetId === changing ? RECORDS : 2 }, (_, index) => ({
        ...{
          tenantId: "org_a",
          assetId,
          at: timestamp(NOW_MS - 1e6 + index * 1000),
          mode: "network" as const,
        },
        action: index % 2 === 0 ? ("isolate" as const) : ("release" as const),
        ...{
          operatorId: "mara",
          sessionId: "s",
          sourceIp: "198.51.100.7",
          requestId: "r",
          justification: "drill",
        },
      })),
    ),
  );
  const stored = log.map((record) =>
    marshalItem({ ...auditKey("org_a", record.assetId!, record.at), ...record }),
  );
  world = await createWorld(
    [...itemsOf(host(changing, STATES)), ...itemsOf(host(quiet, 2)), ...stored],
    NOW_MS,
  );
});

const page = async (path: string) => (await world.get(path)).text();
const scores = (markup: string) => [...markup.matchAll(/>score (\d+)</g)].map(([, score]) => Number(score));
const olderIn = (markup: string) => /href="(\/assets\/[^"#]+)#timeline">\s*Older states/.exec(markup)?.[1];

describe("the history of a host", () => {
  test("is complete over several pages, and each page links back to the newest states", async () => {
    const seen: number[] = [];
    let path: string | undefined = `/assets/${changing}`;
    for (let pages = 0; path !== undefined && pages < 9; pages++) {
      const markup = await page(path.replaceAll("&amp;", "&"));
      seen.push(...scores(markup));
      expect(markup.includes("Newest states")).toBe(pages > 0);
      path = olderIn(markup);
    }
    expect(seen).toEqual(Array.from({ length: STATES }, (_, index) => STATES - 1 - index));
    expect((await world.get(`/assets/${changing}?older=abc`)).status).toBe(400);
    expect(olderIn(await page(`/assets/${quiet}`))).toBeUndefined();
  });

  test("links to all custody records if some are left out, and says what the JSON contains", async () => {
    expect(await page(`/assets/${changing}`)).toContain(`href="/custody?asset=${changing}"`);
    const few = await page(`/assets/${quiet}`);
    expect(few).not.toContain("/custody?asset=");
    expect(few).toContain("complete log of the organisation");
  });
});
