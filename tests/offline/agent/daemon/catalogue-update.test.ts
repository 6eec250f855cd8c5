import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import koboldcpp from "../../../../agent/catalogue/engines/koboldcpp.ts";
import { catalogue, catalogueVersion } from "../../../../agent/catalogue/engines/list.ts";
import ollama from "../../../../agent/catalogue/engines/ollama.ts";
import type { CatalogEntry } from "../../../../agent/catalogue/entry.ts";
import { catalogueOf } from "../../../../agent/cli/catalogue.ts";
import { FETCH_EVERY_MS, openCatalogue } from "../../../../agent/daemon/catalogue-update.ts";
import { AGENT_VERSION } from "../../../../agent/platform/agent-version.ts";
import { silent } from "../../../../agent/platform/log.ts";
import { signCatalogue } from "../../../../shared/wire/catalog.ts";
import { collector } from "../../../../shared/wire/heartbeat.ts";
import { controlKeys, removeTemporaryDirectories, temporaryDirectory, until } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const NOW_MS = 1_800_000_000_000;
const OLD = "2026.11.21";
const NEW = "2026.12.01";
const signal = new AbortController().signal;

/** A made-up product that only the updated catalogue contains. */
const newcomer: CatalogEntry = {
  id: "newcomer",
  name: "Newcomer",
  kind: "inference-engine",
  ports: [4711],
  names: ["newcomer"],
  traits: [{ path: "/", body: "^Newcomer 1$", weight: "identity", says: "it says Newcomer" }],
  sources: ["made for this test"],
  fixtures: {
    positive: [{ source: "made for this test", answers: { "/": { body: "Newcomer 1" } } }],
    negative: [{ source: "made for this test", answers: { "/": { body: "Newcomers welcome" } } }],
  },
};

const documentOf = (version: string, entries: readonly unknown[]): string =>
  JSON.stringify({ version, entries });

async function host() {
  const { control, jwks } = await controlKeys();
  const directory = temporaryDirectory();
  const state = {
    nowMs: NOW_MS,
    asked: [] as Headers[],
    edge: async (): Promise<Response> => new Response("none", { status: 404 }),
    jwks,
  };
  const open = () =>
    openCatalogue({
      edgeUrl: "http://edge.test",
      directory,
      fetch: (_, init) => {
        state.asked.push(new Headers(init.headers));
        return state.edge();
      },
      pins: () => state.jwks,
      builtIn: { version: OLD, entries: [ollama, koboldcpp] },
      clock: () => state.nowMs,
      pause: async () => {},
      log: silent,
    });
  const sign = (json: string) => signCatalogue(control, json, NOW_MS / 1000);
  const serve = (document: string, etag = '"tag"') => {
    state.edge = async () => new Response(document, { headers: { etag } });
  };
  return { directory, state, open, sign, serve, control };
}

describe("openCatalogue()", () => {
  test("accepts a newer signed catalogue, logs that, and keeps it after a restart without the edge", async () => {
    const { open, serve, sign, state } = await host();
    serve(await sign(documentOf(NEW, [ollama, koboldcpp, newcomer])));
    const updates = await open();
    expect(updates.current().version).toBe(OLD);
    await updates.update(signal);
    expect(updates.current().version).toBe(NEW);
    expect(updates.current().entries.map(({ id }) => id)).toContain("newcomer");
    expect(updates.collector()).toBeUndefined();
    state.edge = () => Promise.reject(new Error("no route"));
    const again = await open();
    expect(again.current().version).toBe(NEW);
    expect(again.current().entries).toHaveLength(3);
  });

  test("sends the current ETag, fetches at most every three hours, and fetches again soon after an outage", async () => {
    const { open, serve, sign, state } = await host();
    serve(await sign(documentOf(NEW, [ollama])));
    const updates = await open();
    await updates.update(signal);
    await updates.update(signal);
    state.nowMs += FETCH_EVERY_MS - 1;
    await updates.update(signal);
    expect(state.asked.map((headers) => headers.get("if-none-match"))).toEqual([null]);
    state.nowMs += 1;
    state.edge = async () => new Response(null, { status: 304 });
    await updates.update(signal);
    expect(state.asked[1]!.get("if-none-match")).toBe('"tag"');
    state.nowMs += FETCH_EVERY_MS;
    state.edge = () => Promise.reject(new Error("no route"));
    await updates.update(signal);
    await updates.update(signal);
    expect(state.asked).toHaveLength(4);
    expect([updates.current().version, updates.collector()]).toEqual([NEW, undefined]);
  });

  const wrong = { ...newcomer.fixtures.positive[0]!, answers: { "/": { body: "Newcomer 2" } } };
  const greedy = { ...newcomer, id: "koboldcpp", traits: [{ ...newcomer.traits[0]!, body: "." }] };
  test.each([
    ["a changed byte", (text: string) => text.replace("Newcomer 1", "Newcomer 3"), /no pinned control key/],
    ["a cut end", (text: string) => text.slice(0, -10), /no pinned control key/],
    ["an appended byte", (text: string) => `${text}\n`, /no pinned control key/],
    ["no signature", (text: string) => text.slice(text.indexOf("\n")), /no pinned control key/],
    ["a page of something else", () => "<!doctype html><title>Sign in</title>", /no pinned control key/],
    ["an older version", documentOf("2026.11.20", [newcomer]), /2026\.11\.20 is older than 2026\.11\.21/],
    ["no products", documentOf(NEW, []), /does not match the schema of this agent/],
    ["an unknown field", documentOf(NEW, [{ ...newcomer, script: "x" }]), /does not match the schema/],
    ["a broken expression", documentOf(NEW, [{ ...newcomer, binaries: ["("] }]), /does not match the schema/],
    ["a product twice", documentOf(NEW, [newcomer, newcomer]), /does not match the schema/],
    [
      "no negative fixture",
      documentOf(NEW, [{ ...newcomer, fixtures: { ...newcomer.fixtures, negative: [] } }]),
      /does not match the schema/,
    ],
    [
      "a positive fixture that is not found",
      documentOf(NEW, [{ ...newcomer, fixtures: { ...newcomer.fixtures, positive: [wrong] } }]),
      /newcomer: positive fixture 0 is reported as nothing/,
    ],
    [
      "a negative fixture that is reported as the product",
      documentOf(NEW, [{ ...newcomer, traits: [{ ...newcomer.traits[0]!, body: "^Newcomer" }] }]),
      /newcomer: negative fixture 0 is reported as this product/,
    ],
    [
      "a look-alike that the built-in catalogue knows",
      documentOf(NEW, [
        { ...greedy, fixtures: { ...newcomer.fixtures, negative: [{ source: "x", answers: {} }] } },
      ]),
      /koboldcpp: built-in negative fixture \d is reported as this product/,
    ],
  ] as const)(
    "refuses a catalogue with %s, keeps the current one, and reports it in a collector",
    async (_, how, reason) => {
      const { open, serve, sign, state, directory } = await host();
      serve(await sign(documentOf(NEW, [ollama])), '"good"');
      const good = typeof how === "string" && how.includes("2026.11.20") ? undefined : await open();
      const document =
        typeof how === "string" ? await sign(how) : how(await sign(documentOf(NEW, [newcomer])));
      const updates = good ?? (await open());
      serve(document, '"bad"');
      await updates.update(signal);
      expect(updates.current()).toMatchObject({ version: OLD, entries: [{ id: "ollama" }, {}] });
      const said = updates.collector()!;
      expect(said.detail).toMatch(reason);
      expect(said.status).toBe(/older/.test(reason.source) ? "ok" : "partial");
      expect(collector.parse(said)).toEqual(said);
      expect(readdirSync(directory)).toEqual([]);
      // The agent does not fetch the refused catalogue again. The next valid catalogue clears the report.
      state.nowMs += FETCH_EVERY_MS;
      serve(await sign(documentOf(NEW, [ollama])));
      await updates.update(signal);
      expect(state.asked.at(-1)!.get("if-none-match")).toBe('"bad"');
      expect([updates.current().version, updates.collector()]).toEqual([NEW, undefined]);
    },
  );

  test("refuses a catalogue signed by an unknown key, and a stored one whose key is no longer pinned", async () => {
    const [own, stranger] = [await host(), await controlKeys()];
    own.serve(await signCatalogue(stranger.control, documentOf(NEW, [newcomer]), NOW_MS / 1000));
    const updates = await own.open();
    await updates.update(signal);
    expect(updates.collector()!.detail).toMatch(/no pinned control key signed it/);
    own.state.nowMs += FETCH_EVERY_MS;
    own.serve(await own.sign(documentOf(NEW, [newcomer])));
    await updates.update(signal);
    expect(updates.current().version).toBe(NEW);
    own.state.jwks = stranger.jwks;
    expect((await own.open()).current().version).toBe(OLD);
  });

  test("refuses a document that exceeds the size limit", async () => {
    const { open, serve } = await host();
    serve("x".repeat(4 * 1024 * 1024 + 1));
    const updates = await open();
    await updates.update(signal);
    expect(updates.current().version).toBe(OLD);
  });

  test("uses the built-in catalogue if the stored one is damaged or older", async () => {
    const { open, serve, sign, directory } = await host();
    serve(await sign(documentOf(NEW, [newcomer])));
    await (await open()).update(signal);
    const path = join(directory, "catalogue.json");
    const whole = readFileSync(path, "utf8");
    for (const damaged of [whole.slice(0, -20), "", whole.replace("Newcomer 1", "Newcomer 2")]) {
      writeFileSync(path, damaged);
      expect((await open()).current().version).toBe(OLD);
    }
    writeFileSync(path, whole);
    expect((await open()).current().version).toBe(NEW);
  });

  test("has a complete catalogue even if the process is killed during a write", async () => {
    const { directory, sign, state, open } = await host();
    const versions = Array.from({ length: 400 }, (_, at) => `2026.12.01.${at + 1}`);
    const filler = { ...newcomer, sources: Array.from({ length: 4000 }, (_, at) => `source ${at}`) };
    const documents = await Promise.all(versions.map((version) => sign(documentOf(version, [filler]))));
    const file = join(temporaryDirectory(), "documents");
    writeFileSync(file, documents.map((document) => JSON.stringify(document)).join("\n"));
    const script = new URL("./catalogue-update-child.ts", import.meta.url).pathname;
    const seen: string[] = [];
    for (const afterMs of [20, 90, 210, 430]) {
      const command = [process.execPath, script, directory, file, JSON.stringify(state.jwks)];
      const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
      const reader = child.stdout.getReader();
      await reader.read();
      await Bun.sleep(afterMs);
      // On a busy machine, the first write can take a long time, so the test waits for it.
      if (afterMs === 430) await until("one is stored", () => existsSync(join(directory, "catalogue.json")));
      child.kill("SIGKILL");
      await child.exited;
      const { version } = (await open()).current();
      expect([OLD, ...versions]).toContain(version);
      seen.push(version);
    }
    expect(seen.at(-1)).not.toBe(OLD);
  }, 30_000);

  test("the built-in catalogue passes its own fixtures within the time limit of the daemon", async () => {
    const { control, jwks } = await controlKeys();
    const json = documentOf("2099.01.01", catalogue);
    let pauses = 0;
    const updates = await openCatalogue({
      edgeUrl: "http://edge.test",
      directory: temporaryDirectory(),
      fetch: async () => new Response(await signCatalogue(control, json, NOW_MS / 1000)),
      pins: () => jwks,
      builtIn: { version: catalogueVersion, entries: catalogue },
      clock: () => NOW_MS,
      pause: async () => void pauses++,
      log: silent,
    });
    await updates.update(signal);
    expect(updates.collector()).toBeUndefined();
    expect(updates.current().version).toBe("2099.01.01");
    expect(pauses).toBe(2 * catalogue.length);
  });
});

describe("catalogueOf()", () => {
  const enrolled = async () => {
    const made = await host();
    const identity = {
      v: 1,
      tenantId: "org_test",
      assetId: "01JD8Z0000000000000000TEST",
      jwks: made.state.jwks,
      settings: { heartbeatIntervalMs: 1000, clientDirectories: false },
      edgeUrl: "http://edge.test",
      employeeId: "ada",
    };
    const file = join(made.directory, "identity.json");
    writeFileSync(file, JSON.stringify(identity));
    const keep = async (json: string, checkedBy: string = AGENT_VERSION) =>
      writeFileSync(
        join(made.directory, "catalogue.json"),
        JSON.stringify({ v: 1, checkedBy, document: await made.sign(json) }),
      );
    const look = () => catalogueOf({ clock: () => NOW_MS }, made.directory);
    return { ...made, file, keep, look };
  };
  const BUILT_IN = { version: catalogueVersion, entries: catalogue };
  const FUTURE = "2099.01.01";

  test("is the last accepted one, and an agent of another version runs its fixtures again", async () => {
    const { keep, look } = await enrolled();
    for (const version of [AGENT_VERSION, "0.0.1"]) {
      await keep(documentOf(FUTURE, [...catalogue, newcomer]), version);
      const { catalogue: used, collector: said } = await look();
      expect(used.version).toBe(FUTURE);
      expect(used.entries.map(({ id }) => id)).toContain("newcomer");
      expect(said).toEqual({ name: "catalogue", status: "ok", detail: `${FUTURE}, of the control plane` });
    }
  });

  test("is the built-in one if no other is stored, if the stored one is older, or if this host is not enrolled", async () => {
    const { keep, look, file } = await enrolled();
    const builtIn = {
      catalogue: BUILT_IN,
      collector: { name: "catalogue", status: "ok", detail: `${catalogueVersion}, built in` },
    };
    expect(await look()).toEqual(builtIn as Awaited<ReturnType<typeof look>>);
    await keep(documentOf("2026.01.01", [newcomer]));
    expect(await look()).toEqual(builtIn as Awaited<ReturnType<typeof look>>);
    await keep(documentOf(FUTURE, [newcomer]));
    rmSync(file);
    expect(await look()).toEqual(builtIn as Awaited<ReturnType<typeof look>>);
  });

  test("is the built-in one, with a reason, if the stored one is unsigned, invalid, damaged or unreadable", async () => {
    const { keep, look, directory, file, control } = await enrolled();
    const path = join(directory, "catalogue.json");
    const refused = async (why: RegExp) => {
      const { catalogue: used, collector: said } = await look();
      expect(used).toEqual(BUILT_IN);
      expect(said.status).toBe("partial");
      expect(said.detail).toMatch(why);
      expect(collector.parse(said)).toEqual(said);
    };
    await keep(documentOf(FUTURE, [newcomer]));
    writeFileSync(path, readFileSync(path, "utf8").replace("Newcomer 1", "Newcomer 3"));
    await refused(/built in; the stored catalogue is not used: no pinned control key signed it/);
    const wrong = { ...newcomer, traits: [{ ...newcomer.traits[0]!, body: "^Nobody" }] };
    await keep(documentOf(FUTURE, [wrong]), "0.0.1");
    await refused(/fails its own fixtures: newcomer: positive fixture 0/);
    writeFileSync(path, "{");
    await refused(/its file is damaged/);
    const stranger = await controlKeys();
    expect(stranger.control.key).not.toBe(control.key);
    const document = await signCatalogue(stranger.control, documentOf(FUTURE, [newcomer]), NOW_MS / 1000);
    writeFileSync(path, JSON.stringify({ v: 1, checkedBy: AGENT_VERSION, document }));
    await refused(/no pinned control key signed it/);
    writeFileSync(file, "{");
    await refused(/built in; the state directory could not be read: .*identity\.json is damaged/);
  });
});
