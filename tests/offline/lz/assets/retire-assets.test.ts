import { describe, expect, test } from "bun:test";
import { run as list } from "../../../../lz/assets/assets.ts";
import { run as merge } from "../../../../lz/assets/merge.ts";
import { retireAssets } from "../../../../lz/assets/retire-assets.ts";
import type { Deps, Outcome } from "../../../../lz/platform/deps.ts";
import { Failure, Misuse } from "../../../../lz/platform/faults.ts";
import { argumentsOf } from "../arguments-of.ts";

const idOf = (i: number) => `01JD${String(i).padStart(22, "0")}`;
const assetOf = (i: number, more: object = {}) => ({
  assetId: idOf(i),
  hostname: `vdi-${i}`,
  employeeId: "dana",
  status: "ACTIVE",
  lifecycle: { state: "active" },
  containment: { state: "active", offline: true },
  ...more,
});
type Asked = { method: string; path: string; key: string | null; body: Record<string, unknown> };

/** Test double of the admin API, which contains these assets. `answer` replaces its response to a change. */
function makeApi(
  assets: ReturnType<typeof assetOf>[],
  answer?: (asked: Asked, n: number) => Response | undefined,
) {
  const asked: Asked[] = [];
  const notes: string[] = [];
  const done = new Set<string>();
  const stop = new AbortController();
  const fetch = async (request: Request) => {
    const url = new URL(request.url);
    const { method, headers } = request;
    const body = method === "POST" ? ((await request.json()) as Record<string, unknown>) : {};
    const one: Asked = { method, path: url.pathname + url.search, key: headers.get("idempotency-key"), body };
    asked.push(one);
    if (method === "GET") {
      const id = url.pathname.split("/")[3];
      if (id) return Response.json(assets.find(({ assetId }) => assetId === id) ?? { title: "Not found" });
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const items = assets.slice(from, from + 200);
      const next = from + 200 < assets.length && { cursor: String(from + 200) };
      return Response.json({ items, ...next, expiredLeftOut: 1 });
    }
    const other = answer?.(one, asked.filter((each) => each.method === "POST").length);
    if (other) return other;
    const ids = body.assetIds as string[];
    const changed = ids.filter((id) => !done.has(id));
    for (const id of changed) done.add(id);
    const skipped = ids
      .filter((id) => !changed.includes(id))
      .map((id) => ({ assetId: id, reason: "already" }));
    return Response.json({ changed, skipped });
  };
  const deps: Deps = {
    ...{ clock: () => 0, random: (length: number) => new Uint8Array(length), env: {}, root: "/", fetch },
    ...{ note: (line: string) => notes.push(line), stop: stop.signal },
  };
  const run = (...argv: string[]): Promise<Outcome> => {
    const args = argumentsOf(...argv, "--url", "http://127.0.0.1:1", "--token", "t");
    return retireAssets(args.name === "assets revoke" ? "revoke" : "expire", args, deps);
  };
  const posts = () => asked.filter(({ method }) => method === "POST");
  return { asked, posts, notes, deps, run, stop };
}
const fleet = (hosts: number) => Array.from({ length: hosts }, (_, i) => assetOf(i));
const because = ["--reason", "returned to the lender"];

describe("lz assets revoke and expire", () => {
  test("select assets with filters, read all pages and change all assets in small requests", async () => {
    const api = makeApi(fleet(430));
    const chosen = ["--silent-for", "30d", "--os", "linux", "--hostname", "vdi-*", "--never-reported"];
    const outcome = await api.run("assets", "revoke", ...chosen, ...because, "--yes");
    expect(api.asked[0]!.path).toBe(
      "/v1/assets?hostname=vdi-*&os=linux&lifecycle=all&silentHours=720&neverReported=true&limit=200",
    );
    const sent = api.posts().map(({ body }) => body.assetIds as string[]);
    expect(sent.flat()).toEqual(fleet(430).map(({ assetId }) => assetId));
    expect(Math.max(...sent.map(({ length }) => length))).toBe(25);
    for (const { body, key } of api.posts()) {
      expect(body).toMatchObject({ justification: "returned to the lender", silentHours: 720 });
      expect(key).toMatch(/^[\w-]{8,100}$/);
    }
    expect(new Set(api.posts().map(({ key }) => key)).size).toBe(api.posts().length);
    expect([outcome.code, outcome.lines]).toEqual([0, ["430 assets revoked"]]);
  });

  test("--dry-run shows the list and changes nothing", async () => {
    const api = makeApi(fleet(3));
    const outcome = await api.run("assets", "expire", "--hostname", "vdi-*", ...because, "--dry-run");
    expect(outcome.lines.join("\n")).toContain("vdi-2");
    expect(outcome.lines.at(-1)).toBe("3 assets would be taken off the active list.");
    expect(api.posts()).toEqual([]);
  });

  test("without --yes they ask for confirmation after the list, and fail without a terminal", async () => {
    const api = makeApi(fleet(3));
    const argv = ["assets", "revoke", "--os", "linux", ...because];
    await expect(api.run(...argv)).rejects.toThrow(Misuse);
    await expect(api.run(...argv)).rejects.toThrow(
      "no terminal for the confirmation: check with --dry-run, then use --yes",
    );
    const questions: string[] = [];
    api.deps.confirm = async (question) => {
      expect(api.notes.join("\n")).toContain("vdi-2");
      return questions.push(question) > 1;
    };
    await expect(api.run(...argv)).rejects.toThrow("nothing was changed");
    expect(api.posts()).toEqual([]);
    expect((await api.run(...argv)).lines).toEqual(["3 assets revoked"]);
    expect(questions).toEqual(["Revoke permanently: 3 assets?", "Revoke permanently: 3 assets?"]);
  });

  test("succeed when they are repeated and nothing is left to do", async () => {
    const api = makeApi(fleet(30));
    const argv = ["assets", "expire", "--os", "linux", ...because, "--yes"];
    await api.run(...argv);
    const again = await api.run(...argv);
    expect([again.code, again.lines]).toEqual([
      0,
      ["0 assets taken off the active list; 30 skipped: changed by an earlier run"],
    ]);
  });

  test("skip assets that are revoked or expired already", async () => {
    const revoked = { revokedAt: "2026-11-01T00:00:00.000Z" };
    const removed = { lifecycle: { state: "expired", reason: "removed" } };
    const api = makeApi([assetOf(0), assetOf(1, revoked), assetOf(2, removed)]);
    await api.run("assets", "revoke", "--os", "linux", ...because, "--yes");
    await api.run("assets", "expire", "--os", "linux", ...because, "--yes");
    expect(api.posts().map(({ body }) => body.assetIds)).toEqual([
      [idOf(0), idOf(2)],
      [idOf(0), idOf(1)],
    ]);
  });

  test("name each failed asset with its host, and exit with 1", async () => {
    const api = makeApi(fleet(3), ({ body }) => {
      const [first, second, third] = body.assetIds as string[];
      const skipped = [
        { assetId: second, reason: "contained" },
        { assetId: third, reason: "reported" },
      ];
      return Response.json({ changed: [first], skipped });
    });
    const { code, lines, json } = await api.run("assets", "revoke", "--os", "linux", ...because, "--yes");
    expect(code).toBe(1);
    expect(lines).toEqual([
      `failed: vdi-1 (${idOf(1)}): it is isolated: release it first`,
      "1 asset revoked; 1 skipped: the host has reported in the meantime; 1 failed",
      "Run the same command again to retry the assets that failed.",
    ]);
    expect(json).toMatchObject({ changed: [idOf(0)], failed: [{ assetId: idOf(1), reason: "contained" }] });
  });

  test("continue after a failed request, and stop after three in a row", async () => {
    const once = makeApi(fleet(75), (_, n) => (n === 2 ? new Response("no", { status: 500 }) : undefined));
    const argv = ["assets", "revoke", "--os", "linux", ...because, "--yes"];
    const first = await once.run(...argv);
    expect([first.code, first.lines.at(-2)]).toEqual([1, "50 assets revoked; 25 failed"]);
    const away = makeApi(fleet(200), () => new Response("no", { status: 500 }));
    const second = await away.run(...argv);
    expect(away.posts()).toHaveLength(3);
    expect(second.lines.filter((line) => line.includes("not tried"))).toHaveLength(125);
  });

  test("retry a request after a 429 with the same idempotency key", async () => {
    const api = makeApi(fleet(1), (_, n) =>
      n === 1 ? new Response("", { status: 429, headers: { "retry-after": "1" } }) : undefined,
    );
    expect((await api.run("assets", "revoke", idOf(0), ...because, "--yes")).code).toBe(0);
    const [first, second] = api.posts();
    expect(second!.key).toBe(first!.key);
  });

  test("stop between two requests when they are interrupted", async () => {
    const api = makeApi(fleet(60), (_, n) => {
      if (n === 1) api.stop.abort();
      return undefined;
    });
    const { code, lines } = await api.run("assets", "revoke", "--os", "linux", ...because, "--yes");
    expect(api.posts()).toHaveLength(1);
    expect([code, lines.at(-2)]).toEqual([1, "25 assets revoked; 35 failed"]);
  });

  test("accept ids and host names, and change each asset once", async () => {
    const api = makeApi(fleet(3));
    await api.run("assets", "revoke", "vdi-2", idOf(0), idOf(2), ...because, "--yes");
    expect(api.posts()[0]!.body.assetIds).toEqual([idOf(2), idOf(0)]);
    await expect(api.run("assets", "revoke", "vdi-9", ...because, "--yes")).rejects.toThrow("no asset");
  });

  const wrong: [string, string[], string][] = [
    [
      "no asset and no filter",
      ["revoke", ...because],
      "assets revoke: give an ASSET, or select assets with --hostname",
    ],
    ["both", ["expire", "vdi-1", "--os", "x", ...because], "give assets or filters, not both"],
    [
      "a time that is none",
      ["revoke", "--silent-for", "month", ...because],
      "must be a time such as 30d or 12h",
    ],
    ["no time", ["revoke", "--silent-for", "0d", ...because], "must be a time such as 30d or 12h"],
    ["too long a time", ["revoke", "--silent-for", "3651d", ...because], "must be a time such as 30d or 12h"],
  ];
  test.each(wrong)("reject %s with one line and send no request", async (_, argv, line) => {
    const api = makeApi(fleet(3));
    const refused = api.run("assets", ...argv, "--yes");
    await expect(refused).rejects.toThrow(Misuse);
    await expect(refused).rejects.toThrow(line);
    expect(api.asked).toEqual([]);
  });

  test("require a reason, and know --even-if-contained for revoke only", () => {
    for (const verb of ["revoke", "expire"])
      expect(() => argumentsOf("assets", verb, "vdi-1")).toThrow(`assets ${verb}: --reason is missing`);
    expect(() => argumentsOf("assets", "merge", "a", ...because)).toThrow("assets merge: NEW is missing");
    expect(() => argumentsOf("assets", "expire", "a", ...because, "--even-if-contained")).toThrow(
      "assets expire: unknown option --even-if-contained",
    );
  });
});

describe("lz assets merge", () => {
  const argsOf = (...argv: string[]) =>
    argumentsOf("assets", "merge", ...argv, "--url", "http://127.0.0.1:1", "--token", "t");

  test("shows both, asks, and posts the merge with its reason", async () => {
    const api = makeApi(fleet(2), () => Response.json(assetOf(0)));
    const args = argsOf(idOf(0), "vdi-1", ...because, "--even-if-active");
    await expect(merge(args, api.deps)).rejects.toThrow(Misuse);
    api.deps.confirm = async () => false;
    await expect(merge(args, api.deps)).rejects.toThrow(Failure);
    expect(api.posts()).toEqual([]);
    api.deps.confirm = async () => true;
    const { lines } = await merge(args, api.deps);
    expect(api.posts()).toMatchObject([
      {
        path: `/v1/assets/${idOf(0)}/merge`,
        body: { into: idOf(1), justification: "returned to the lender", evenIfActive: true },
      },
    ]);
    expect(lines).toEqual([`vdi-0 (${idOf(0)}): merged into ${idOf(1)} and revoked`]);
  });

  test("prefers the host on the active list among hosts of the same name", async () => {
    const expired = { hostname: "desk", lifecycle: { state: "expired", reason: "silent" } };
    const api = makeApi([assetOf(0, expired), assetOf(1, { hostname: "desk" })]);
    const { lines } = await merge(argsOf(idOf(0), "desk", ...because, "--dry-run"), api.deps);
    expect(lines.at(-1)).toBe(`${idOf(0)} would be revoked, and ${idOf(1)} would replace it.`);
  });
});

test("lz assets prints how many expired assets it does not show", async () => {
  const api = makeApi(fleet(250));
  const args = argumentsOf("assets", "--url", "http://127.0.0.1:1", "--token", "t");
  const { lines } = await list(args, api.deps);
  expect(lines.at(-1)).toBe("250 assets; 2 expired not shown (use --lifecycle all)");
});
