import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CatalogEntry } from "../../agent/catalogue/entry.ts";
import type { Collector } from "../../shared/wire/heartbeat.ts";
import { buildAgent, runAgent } from "../support/agent/agent-binary.ts";
import { eventually, ROOT, startTestStack } from "../support/stack.ts";

/**
 * Tests that an unchanged agent uses a newer catalogue. A person signs the catalogue at a terminal. The edge
 * serves the catalogue, and the agent accepts or rejects it.
 */

const HOUSE_LLM: CatalogEntry = {
  id: "house-llm",
  name: "House LLM",
  kind: "inference-engine",
  ports: [],
  names: ["house-llm"],
  traits: [{ path: "/house", body: "^House LLM ready$", weight: "identity", says: "it says House LLM" }],
  sources: ["made up"],
  fixtures: {
    positive: [{ source: "made up: its answer", answers: { "/house": { body: "House LLM ready" } } }],
    negative: [{ source: "made up: a look-alike", answers: { "/house": { body: "House LLM is a band" } } }],
  },
};

type Seen = { version: string; engines: { id: string }[]; collectors: Collector[] };

describe("a newer catalogue", () => {
  let binary: string;
  let built: { version: string; entries: CatalogEntry[] };
  let newer: string;
  beforeAll(() => {
    binary = buildAgent();
    built = JSON.parse(readFileSync(join(ROOT, "dist/catalogue.json"), "utf8"));
    newer = built.version.replace(/\d+$/, (last) => String(Number(last) + 1));
  }, 120_000);

  /** Publishes a catalogue with one more product. Waits until an agent reports a server of that product. */
  async function seenWith(entry: CatalogEntry, isDone: (seen: Seen) => boolean): Promise<Seen> {
    const folder = mkdtempSync(join(tmpdir(), "lz-catalogue-"));
    const signed = join(folder, "catalogue.signed");
    // The edge polls this file server before the catalogue exists, and again later.
    const files = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () =>
        existsSync(signed) ? new Response(Bun.file(signed)) : new Response(null, { status: 404 }),
    });
    const house = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      routes: { "/house": new Response("House LLM ready") },
      fetch: () => new Response(null, { status: 404 }),
    });
    const environment = { LZ_CATALOGUE_URL: `http://127.0.0.1:${files.port}/` };
    const stack = await startTestStack("deno", { environment });
    try {
      const unsigned = join(folder, "catalogue.json");
      writeFileSync(unsigned, JSON.stringify({ version: newer, entries: [...built.entries, entry] }));
      const sign = ["lz/main.ts", "catalog", "sign", "--in", unsigned, "--out", signed];
      const env = {
        PATH: process.env.PATH ?? "",
        HOME: folder,
        LZ_CONTROL_KEY: JSON.stringify(stack.secrets.controlKey),
      };
      expect(Bun.spawnSync([process.execPath, ...sign], { cwd: ROOT, env }).exitCode).toBe(0);
      const answer = await eventually(async () => {
        const one = await fetch(`${stack.edgeUrl}/v1/catalog`);
        return one.ok ? one : undefined;
      }, 20_000);
      expect((await answer.text()).split("\n")[1]).toBe(readFileSync(unsigned, "utf8"));
      const again = await fetch(`${stack.edgeUrl}/v1/catalog`, {
        headers: { "if-none-match": answer.headers.get("etag")! },
      });
      expect(again.status).toBe(304);

      await runAgent(binary, stack, folder);
      return await eventually(async () => {
        const { items } = (await (await stack.api("/v1/assets")).json()) as { items: { assetId: string }[] };
        const path = `/v1/assets/${items[0]!.assetId}`;
        const { presence } = (await (await stack.api(path)).json()) as {
          presence?: { catalogue: string; stateAt: string };
        };
        const timeline = (await (await stack.api(`${path}/timeline`)).json()) as {
          items: (Omit<Seen, "version"> & { at: string })[];
        };
        // The timeline and the presence are read with two requests. A state that is recorded between the
        // requests is only in the second response.
        const of = timeline.items.find(({ at }) => at === presence?.stateAt);
        if (!presence || !of) return undefined;
        const seen = { version: presence.catalogue, ...of };
        return isDone(seen) ? seen : undefined;
      }, 30_000);
    } finally {
      await stack.stop();
      await Promise.all([files.stop(true), house.stop(true)]);
      rmSync(folder, { recursive: true, force: true });
    }
  }

  const catalogueOf = ({ collectors }: Seen) => collectors.find(({ name }) => name === "catalogue");
  const idsOf = ({ engines }: Seen) => engines.map(({ id }) => id);

  test("is accepted by an older agent, which then finds the new product", async () => {
    const seen = await seenWith(HOUSE_LLM, (one) => idsOf(one).includes("house-llm"));
    expect(seen.version).toBe(newer);
    expect(catalogueOf(seen)?.status).not.toBe("partial");
  }, 60_000);

  test("is rejected with a reason if it matches its own near-miss fixture, and nothing changes", async () => {
    const credulous = { ...HOUSE_LLM, traits: [{ ...HOUSE_LLM.traits[0]!, body: "^House LLM" }] };
    const seen = await seenWith(credulous, (one) => catalogueOf(one)?.status === "partial");
    expect(catalogueOf(seen)?.detail).toStartWith(`kept ${built.version}, update refused: `);
    expect(seen.version).toBe(built.version);
    expect(idsOf(seen)).not.toContain("house-llm");
  }, 60_000);
});
