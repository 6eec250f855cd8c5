import { expect, test } from "bun:test";
import { createLastingWeights, LASTING_MS } from "../../../../../agent/scan/identify/lasting-weights.ts";
import type { ProcessFacts, WeightFile } from "../../../../../agent/scan/system/host.ts";

const file = (path: string, how: WeightFile["how"] = "mapped"): WeightFile => {
  return { path, format: "gguf", sizeBytes: 1, how };
};

function watching() {
  let nowMs = 0;
  const lasting = createLastingWeights({ elapsed: () => nowMs });
  return (ms: number, weights: Record<number, WeightFile[]>, key = "1:start:rg") => {
    nowMs = ms;
    const processes = new Map<number, ProcessFacts>();
    for (const pid of Object.keys(weights).map(Number))
      processes.set(pid, { pid, parentPid: 1, key: `${pid}:${key}`, name: "rg", argv: [] });
    const found = new Map(Object.entries(weights).map(([pid, files]) => [Number(pid), files]));
    return lasting.update({ processes, weights: found });
  };
}

test("weights are lasting after the same process had the file mapped for two minutes", () => {
  const at = watching();
  const weights = { 7: [file("/m/a"), file("/m/b", "open")], 8: [file("/m/a")] };
  expect([...at(0, { 7: weights[7] })]).toEqual([]);
  expect([...at(1000, weights)]).toEqual([]);
  expect([...at(LASTING_MS - 1, weights)]).toEqual([]);
  expect([...at(LASTING_MS, weights)]).toEqual(["7 /m/a"]);
  expect([...at(LASTING_MS + 1000, weights)]).toEqual(["7 /m/a", "8 /m/a"]);
});

test("the period restarts for another file or another process", () => {
  const at = watching();
  for (let round = 0; round < 8; round += 1)
    expect([...at(round * 60_000, { 7: [file(`/m/${Math.floor(round / 2)}`)] })]).toEqual([]);
  expect([...at(600_000, { 7: [file("/m/x")] }, "first")]).toEqual([]);
  expect([...at(600_000 + LASTING_MS, { 7: [file("/m/x")] }, "second")]).toEqual([]);
  // The mapping is absent in this scan, so the period restarts.
  at(800_000, {});
  expect([...at(600_000 + 3 * LASTING_MS, { 7: [file("/m/x")] }, "second")]).toEqual([]);
});

test("returns the same set while nothing changes", () => {
  const at = watching();
  at(0, { 7: [file("/m/a")] });
  const first = at(LASTING_MS, { 7: [file("/m/a")] });
  expect(at(LASTING_MS * 2, { 7: [file("/m/a")] })).toBe(first);
  expect([...at(LASTING_MS * 3, {})]).toEqual([]);
});
