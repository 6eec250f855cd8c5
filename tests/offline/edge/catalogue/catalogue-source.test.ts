import { describe, expect, test } from "bun:test";
import { importJWK } from "jose";
import { createCatalogueSource, matchesTag } from "../../../../edge/catalogue/catalogue-source.ts";
import { makeSecrets, publicJwk } from "../../../../local/secrets.ts";
import { compareVersions, signCatalogue, verifyCatalogue } from "../../../../shared/wire/catalog.ts";
import { portalPage } from "../../../support/dynamo/dynamo-responses.ts";
import { makeEdgeApp } from "../../../support/edge/edge-app.ts";

const NOW_MS = 1_790_000_000_000;
const JSON_TEXT = '{"version":"2026.12.01","entries":[]}';

async function keys() {
  const { controlKey } = await makeSecrets();
  const control = { kid: "control-1", key: (await importJWK(controlKey, "EdDSA")) as CryptoKey };
  return { control, jwks: { keys: [publicJwk(controlKey)] } };
}

describe("verifyCatalogue()", () => {
  test("returns version and text of a document that a pinned key has signed, and rejects any other", async () => {
    const [own, stranger] = [await keys(), await keys()];
    const document = await signCatalogue(own.control, JSON_TEXT, NOW_MS / 1000);
    expect(await verifyCatalogue(document, own.jwks, NOW_MS)).toEqual({
      version: "2026.12.01",
      json: JSON_TEXT,
    });
    const cases = [
      document.replace('"entries":[]', '"entries":[1]'),
      `${document} `,
      document.slice(0, -1),
      document.replace("\n", ""),
      JSON_TEXT,
      "",
      `\n${JSON_TEXT}`,
    ];
    for (const wrong of cases) expect(verifyCatalogue(wrong, own.jwks, NOW_MS)).rejects.toThrow();
    expect(verifyCatalogue(document, stranger.jwks, NOW_MS)).rejects.toThrow();
  });

  test("compareVersions() orders days, and numbers within a day", () => {
    const sorted = ["2026.11.21", "2026.11.21.2", "2026.11.21.10", "2026.12.01", "2027.01.01"];
    expect(sorted.toReversed().sort(compareVersions)).toEqual(sorted);
    expect(compareVersions("2026.11.21", "2026.11.21")).toBe(0);
  });
});

describe("GET /v1/catalog", () => {
  /** Test setup: an edge with a fake catalogue URL. The function `state.place` creates the response of this URL. */
  async function edgeWithPlace(shared = true) {
    const { control, jwks } = await keys();
    const document = await signCatalogue(control, JSON_TEXT, NOW_MS / 1000);
    const state = { nowMs: NOW_MS, fetched: 0, place: async () => new Response(document) };
    const catalogue = createCatalogueSource({
      url: "https://files.test/catalogue",
      fetch: () => {
        state.fetched += 1;
        return state.place();
      },
      controlJwks: jwks,
      clock: () => state.nowMs,
      log: () => {},
      shared,
    });
    const { app, deps } = await makeEdgeApp({ catalogue });
    const get = (headers: Record<string, string> = {}) => app.request("/v1/catalog", { headers });
    return { get, state, document, control, deps };
  }

  test("serves the signed document without credentials, and returns 304 to a client that has it", async () => {
    const { get, document } = await edgeWithPlace();
    const answer = await get();
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe(document);
    const etag = answer.headers.get("etag")!;
    expect(etag).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await get({ "if-none-match": tag });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
    }
    expect((await get({ "if-none-match": '"x"' })).status).toBe(200);
    expect(matchesTag(undefined, etag)).toBe(false);
  });

  test("fetches every five minutes, and keeps the last valid catalogue during an outage or after a forgery", async () => {
    const { get, state, document, control } = await edgeWithPlace();
    expect(await (await get()).text()).toBe(document);
    await get();
    expect(state.fetched).toBe(1);
    const broken = [
      async () => new Response("gone", { status: 500 }),
      async () => new Response(document.replace("2026", "2027")),
      async () => portalPage(),
      () => Promise.reject(new Error("no route")),
    ];
    for (const place of broken) {
      state.nowMs += 300_000;
      state.place = place;
      expect(await (await get()).text()).toBe(document);
    }
    expect(state.fetched).toBe(5);
    const newer = await signCatalogue(control, JSON_TEXT.replace("12.01", "12.02"), NOW_MS / 1000);
    state.nowMs += 300_000;
    state.place = async () => new Response(newer);
    expect(await (await get()).text()).toBe(newer);
  });

  test("until a catalogue is loaded, fetches less and less often, for any number of requests", async () => {
    const { get, state, document } = await edgeWithPlace();
    state.place = () => Promise.reject(new Error("no route"));
    const fetchedAt: number[] = [];
    for (let second = 0; second < 30; second++) {
      const before = state.fetched;
      for (const { status } of await Promise.all([get(), get(), get()])) expect(status).toBe(503);
      if (state.fetched > before) fetchedAt.push(second);
      state.nowMs += 1000;
    }
    expect([fetchedAt, state.fetched]).toEqual([[0, 2, 6, 14], 4]);
    state.place = async () => new Response(document);
    expect((await Promise.all([get(), get()])).map(({ status }) => status)).toEqual([200, 200]);
    expect(state.fetched).toBe(5);
  });

  test("if I/O is not shared, requests during the first fetch are asked to retry", async () => {
    const { get, state } = await edgeWithPlace(false);
    const answers = await Promise.all([get(), get()]);
    expect([answers.map(({ status }) => status), state.fetched]).toEqual([[200, 503], 1]);
    expect((await get()).status).toBe(200);
  });

  test("an address that exceeds its quota causes no fetch", async () => {
    const { get, state, deps } = await edgeWithPlace();
    const { createRateLimit } = await import("../../../../edge/http/rate-limit.ts");
    deps.limits.catalogue = createRateLimit({ name: "catalogue", quota: 1, windowSeconds: 60 }, deps.clock);
    deps.limits.catalogue.take("192.0.2.1");
    expect([(await get()).status, state.fetched]).toEqual([429, 0]);
  });

  test("returns 503 before a valid catalogue is loaded, and 404 if none is configured", async () => {
    const { get, state } = await edgeWithPlace();
    state.place = async () => new Response("not signed\n{}");
    expect((await get()).status).toBe(503);
    const { app } = await makeEdgeApp();
    const none = await app.request("/v1/catalog");
    expect([none.status, ((await none.json()) as { code: string }).code]).toEqual([404, "edge.no-catalogue"]);
  });
});
