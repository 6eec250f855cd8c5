import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run as keys } from "../../../../lz/keys/keys.ts";
import { run as rotate } from "../../../../lz/keys/rotate.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { verifyKeySet } from "../../../../shared/wire/key-set.ts";
import { argumentsOf } from "../arguments-of.ts";

const NOW_MS = 1_790_000_000_000;
const deps = {
  clock: () => NOW_MS,
  random: (length: number) => crypto.getRandomValues(new Uint8Array(length)),
} as unknown as Deps;
const folder = mkdtempSync(join(tmpdir(), "lz-rotate-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Lines = Record<string, string>;
async function step(environment: Lines, what: string, name: string): Promise<Lines> {
  const file = join(folder, "secrets.env");
  writeFileSync(
    file,
    Object.entries(environment)
      .map(([key, value]) => `${key}=${value}`)
      .join("\n"),
  );
  const outcome = await rotate(argumentsOf("rotate", what, name, "--env", file), deps);
  return { ...environment, ...(outcome.json as Lines) };
}
const fresh = async () => (await keys(argumentsOf("keys"), deps)).json as Lines;

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

  test("control: an agent accepts the new key through the signed sets", async () => {
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

  test("a step in the wrong order, an unknown key and a file without the key are rejected and change nothing", async () => {
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

/** Runs the command on a file with this text. Returns the text of the changed file. */
async function rotateFile(text: string, words: string[]): Promise<string> {
  const file = join(folder, "by-hand.env");
  writeFileSync(file, text);
  await rotate(argumentsOf("rotate", ...words, "--env", file), deps);
  return readFileSync(file, "utf8");
}
const linesOf = (environment: Lines) =>
  Object.entries(environment)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");

describe("lz rotate rejects an order that would lock out agents or nodes", () => {
  test.each(["edge", "queue"])("%s: drop before the output of promote was saved", async (what) => {
    const added = await step(await fresh(), what, "add");
    await expect(step(added, what, "drop")).rejects.toThrow("Promote first, and save what promote prints");
    const promoted = await step(added, what, "promote");
    await expect(step(promoted, what, "promote")).rejects.toThrow("promoted already");
  });
  test("control: drop before the output of promote was saved, and each step a second time", async () => {
    const before = await fresh();
    const added = await step(before, "control", "add");
    await expect(step(added, "control", "add")).rejects.toThrow("two keys already");
    await expect(step(added, "control", "drop")).rejects.toThrow("would remove the new control-2");
    await expect(step(before, "control", "drop")).rejects.toThrow("add first");
    const promoted = await step(added, "control", "promote");
    await expect(step(promoted, "control", "promote")).rejects.toThrow("promoted already");
    const dropped = await step(promoted, "control", "drop");
    await expect(step(dropped, "control", "drop")).rejects.toThrow("add first");
  });
  test("a version or a kid that occurs twice", async () => {
    const before = await fresh();
    const secret = before.LZ_EDGE_SECRETS!;
    const twice = { ...before, LZ_EDGE_SECRETS: `${secret},${secret}` };
    await expect(step(twice, "edge", "promote")).rejects.toThrow("has the version v1 twice");
    const { keys } = JSON.parse(before.LZ_CONTROL_JWKS!);
    const doubled = { ...before, LZ_CONTROL_JWKS: JSON.stringify({ keys: [...keys, ...keys] }) };
    await expect(step(doubled, "control", "promote")).rejects.toThrow("has control-1 twice");
  });
  test("a control key that is not in the public set", async () => {
    const [before, other] = [await fresh(), await fresh()];
    const { keys } = JSON.parse(other.LZ_CONTROL_JWKS!);
    const foreign = {
      ...before,
      LZ_CONTROL_JWKS: JSON.stringify({ keys: [{ ...keys[0], kid: "control-9" }] }),
    };
    await expect(step(foreign, "control", "add")).rejects.toThrow("agents would reject its signatures");
  });
  test.each([
    ["a secret that is too short", "LZ_EDGE_SECRETS=v1:abc", "is damaged"],
    ["an empty list", "LZ_EDGE_SECRETS=,", "is damaged"],
    ["no value", "LZ_EDGE_SECRETS=", "line 1: LZ_EDGE_SECRETS has no value"],
    ["double quotes", `LZ_EDGE_SECRETS="v1:${"a".repeat(43)}"`, "quoted"],
    ["single quotes", `LZ_EDGE_SECRETS='v1:${"a".repeat(43)}'`, "quoted"],
    ["export", `export LZ_EDGE_SECRETS=v1:${"a".repeat(43)}`, "without export"],
    ["spaces around =", `LZ_EDGE_SECRETS = v1:${"a".repeat(43)}`, "expected NAME=value"],
    ["a name twice", `LZ_EDGE_SECRETS=v1:${"a".repeat(43)}\nLZ_EDGE_SECRETS=v2:${"b".repeat(43)}`, "line 2"],
    ["UTF-16", "L\0Z\0_\0E\0", "not a text file"],
  ])("a file with %s", async (_what, text, complaint) => {
    await expect(rotateFile(text, ["edge", "add"])).rejects.toThrow(complaint);
  });
  test("no message contains a secret", async () => {
    const secret = "s3cr3t".repeat(8);
    for (const text of [
      `LZ_EDGE_SECRETS="v1:${secret}"`,
      `LZ_EDGE_SECRETS=v1:${secret}!`,
      `x LZ_EDGE_SECRETS=${secret}`,
    ])
      expect(String(await rotateFile(text, ["edge", "add"]).catch((error: unknown) => error))).not.toContain(
        "s3cr3t",
      );
  });
});

test("lz rotate --write changes its own lines, keeps the others, and only the owner can read the file", async () => {
  const before = await fresh();
  const file = join(folder, "by-hand.env");
  const text = `# of the platform team\nAWS_REGION=eu-west-1\n${linesOf(before)}`;
  const after = await rotateFile(text, ["control", "add", "--write"]);
  expect(after).toStartWith("# of the platform team\nAWS_REGION=eu-west-1\n");
  expect(after).toContain(`\nLZ_EDGE_SECRETS=${before.LZ_EDGE_SECRETS}\n`);
  expect(after.match(/^LZ_CONTROL_JWKS=/gm)).toHaveLength(1);
  expect(after.match(/^LZ_CONTROL_KEY_NEXT=/gm)).toHaveLength(1);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(
    (await rotateFile(after, ["control", "promote", "--write"])).match(/^LZ_CONTROL_KEY=.*control-2/gm),
  ).toHaveLength(1);
});

test("lz keys --out creates a file that only its owner can read, and overwrites none", async () => {
  const file = join(folder, "new.env");
  const outcome = await keys(argumentsOf("keys", "--out", file), deps);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, "utf8")).toMatch(/^LZ_EDGE_SECRETS=v1:.+\nLZ_QUEUE_KEYS=q1:/);
  expect(JSON.stringify(outcome)).not.toContain("v1:");
  await expect(keys(argumentsOf("keys", "--out", file), deps)).rejects.toThrow("exists");
});
