import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArguments } from "../../../lz/arguments.ts";
import type { Deps } from "../../../lz/deps.ts";
import { run as keys } from "../../../lz/keys.ts";
import { run as rotate } from "../../../lz/rotate.ts";
import { verifyKeySet } from "../../../shared/wire/key-set.ts";

const NOW_MS = 1_790_000_000_000;
const deps = {
  clock: () => NOW_MS,
  random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
} as unknown as Deps;
const folder = mkdtempSync(join(tmpdir(), "lz-rotate-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Lines = Record<string, string>;
const parse = (words: string[]) => {
  const parsed = parseArguments(words);
  if (parsed.is === "help") throw new Error("unreachable");
  return parsed.args;
};
async function step(environment: Lines, what: string, name: string): Promise<Lines> {
  const file = join(folder, "secrets.env");
  writeFileSync(
    file,
    Object.entries(environment)
      .map(([key, value]) => `${key}=${value}`)
      .join("\n"),
  );
  const outcome = await rotate(parse(["rotate", what, name, "--env", file]), deps);
  return { ...environment, ...(outcome.json as Lines) };
}
const fresh = async () => (await keys(parse(["keys"]), deps)).json as Lines;

describe("lz rotate", () => {
  for (const [what, name] of [
    ["edge", "LZ_EDGE_SECRETS"],
    ["queue", "LZ_QUEUE_KEYS"],
  ] as const) {
    test(`${what}: the new one is known before it signs, and the old one until it is dropped`, async () => {
      const before = await fresh();
      const added = await step(before, what, "add");
      const [old, next] = added[name]!.split(",");
      expect(old).toBe(before[name]!);
      const promoted = await step(added, what, "promote");
      expect(promoted[name]).toBe(`${next},${old}`);
      expect((await step(promoted, what, "drop"))[name]).toBe(next!);
      expect(next!.split(":")[0]).toEndWith("2");
    });
  }

  test("control: an agent follows from the old key to the new one through the signed sets", async () => {
    const before = await fresh();
    const pinned = JSON.parse(before.LZ_CONTROL_JWKS!);
    const added = await step(before, "control", "add");
    const both = await verifyKeySet(added.LZ_CONTROL_KEY_SET!, pinned, NOW_MS);
    expect(both.keys.map(({ kid }) => kid)).toEqual(["control-1", "control-2"]);
    expect(JSON.parse(added.LZ_CONTROL_JWKS!).keys).toEqual(both.keys);
    const promoted = await step(added, "control", "promote");
    expect(JSON.parse(promoted.LZ_CONTROL_KEY!).kid).toBe("control-2");
    const dropped = await step(promoted, "control", "drop");
    const last = await verifyKeySet(dropped.LZ_CONTROL_KEY_SET!, both, NOW_MS);
    expect(last.keys.map(({ kid }) => kid)).toEqual(["control-2"]);
    await expect(verifyKeySet(dropped.LZ_CONTROL_KEY_SET!, pinned, NOW_MS)).rejects.toThrow();
    expect(`${added.LZ_CONTROL_JWKS}${added.LZ_CONTROL_KEY_SET}`).not.toContain(
      JSON.parse(before.LZ_CONTROL_KEY!).d,
    );
  });

  test("a step out of turn, an unknown key and a file without it are refused and change nothing", async () => {
    const before = await fresh();
    await expect(step(before, "edge", "promote")).rejects.toThrow("add first");
    await expect(step(await step(before, "edge", "add"), "edge", "add")).rejects.toThrow(
      "promote and drop first",
    );
    await expect(step(before, "nothing", "add")).rejects.toThrow("edge, queue or control");
    await expect(step({}, "edge", "add")).rejects.toThrow("has no LZ_EDGE_SECRETS");
    await expect(step({ LZ_CONTROL_KEY: "{}" }, "control", "add")).rejects.toThrow(
      "not a private control key",
    );
  });
});
