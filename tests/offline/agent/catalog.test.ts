import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { type CatalogEntry, catalogEntry } from "../../../agent/catalog/entry.ts";
import { catalogue, catalogueVersion } from "../../../agent/catalog/list.ts";
import { fingerprint } from "../../../agent/collect/fingerprint.ts";
import { createIdentify, probeOf } from "../../../agent/collect/fixtures.ts";

const directory = new URL("../../../agent/catalog/", import.meta.url).pathname;
const MACHINERY = new Set(["document.ts", "entry.ts", "judge.ts", "list.ts", "match.ts"]);
const identify = createIdentify(catalogue);
const byId = new Map(catalogue.map((entry) => [entry.id, entry]));

describe("catalogue", () => {
  test("list.ts names every product file of the directory, once", () => {
    const files = readdirSync(directory).filter((name) => name.endsWith(".ts") && !MACHINERY.has(name));
    expect(catalogue.map(({ id }) => `${id}.ts`).sort()).toEqual(files.sort());
  });

  test("catalogueVersion is a date that sorts", () => {
    expect(catalogueVersion).toMatch(/^\d{4}\.\d{2}\.\d{2}(?:\.\d+)?$/);
  });

  test("an entry is pure data: it survives JSON unchanged", () => {
    expect(JSON.parse(JSON.stringify(catalogue))).toEqual(catalogue as unknown as object);
  });

  test.each(catalogue.map((entry) => [entry.id, entry] as const))("%s fits the schema", (id, entry) => {
    const parsed = catalogEntry.safeParse(entry);
    expect(parsed.error?.issues ?? []).toEqual([]);
    for (const other of [...(entry.impersonates ?? []), ...(entry.absorbs ?? [])]) {
      expect([...byId.keys(), "unknown-weights", "openai-compatible"]).toContain(other);
      expect(other === id && entry.impersonates?.includes(id)).toBe(false);
    }
  });

  test("a product can be told at all: by a trait, a library, a path or a command line", () => {
    const blind = catalogue.filter(
      ({ traits, libraries, binaries, commands }: CatalogEntry) =>
        traits.every(({ weight }) => weight === "hint") && !libraries && !binaries && !commands,
    );
    expect(blind.map(({ id }) => id)).toEqual([]);
  });

  describe.each(catalogue.map((entry) => [entry.id, entry] as const))("%s", (id, entry) => {
    test.each(entry.fixtures.positive.map((fixture, at) => [at, fixture.source, fixture] as const))(
      "positive fixture %d is this product and no other (%s)",
      async (_at, _source, fixture) => {
        expect(await identify(fixture)).toEqual([id]);
      },
    );

    test.each(entry.fixtures.negative.map((fixture, at) => [at, fixture.source, fixture] as const))(
      "negative fixture %d is not this product (%s)",
      async (_at, _source, fixture) => {
        expect(await identify(fixture)).not.toContain(id);
      },
    );
  });

  test("every trait that decides is seen to match in some positive fixture of its product", async () => {
    // A trait no fixture shows is a guess: it has to be hinted at, or shown.
    const { judge } = await import("../../../agent/catalog/judge.ts");
    const { examine } = await import("../../../agent/catalog/match.ts");
    const unseen: string[] = [];
    for (const entry of catalogue) {
      const seen = new Set<unknown>();
      for (const fixture of entry.fixtures.positive) {
        const probe = probeOf(fixture);
        const answers = new Map();
        for (const path of Object.keys(fixture.answers ?? {})) {
          answers.set(path, examine((await probe({ address: "", port: 1, tls: false }, path)) as never));
        }
        const { winner } = judge([entry], answers);
        for (const trait of winner?.traits ?? []) seen.add(trait);
      }
      for (const trait of entry.traits) {
        if (trait.weight !== "hint" && !seen.has(trait))
          unseen.push(`${entry.id} ${trait.path}: ${trait.says}`);
      }
    }
    expect(unseen).toEqual([]);
  });
});

describe("fingerprint()", () => {
  test("asks nothing twice and never /health or /metrics of a server it knows by its front page", async () => {
    const asked: string[] = [];
    const litellm = byId.get("litellm")!;
    const deps = { probe: probeOf(litellm.fixtures.positive[0]!, asked), catalogue, elapsed: () => 0 };
    await fingerprint(deps, { address: "127.0.0.1", port: 4000 }, new Set(["litellm"]));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).not.toContain("/health");
    expect(asked).not.toContain("/metrics");
  });
});
