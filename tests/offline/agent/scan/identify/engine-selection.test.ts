import { describe, expect, test } from "bun:test";
import { cutToFit } from "../../../../../agent/report/compose-heartbeat.ts";
import { selectEngines } from "../../../../../agent/scan/identify/select-engines.ts";
import type { Engine, Evidence, Heartbeat } from "../../../../../shared/wire/heartbeat.ts";

const signal = (name: Evidence["signal"], weight: number): Evidence => ({
  signal: name,
  detail: name,
  weight,
});
const WEIGHTS = signal("weights", 80);
const HTTP = signal("http", 90);

let pids = 0;
const some = (
  count: number,
  id: string,
  user: string,
  ...evidence: Evidence[]
): { engine: Engine; cut: number }[] =>
  Array.from({ length: count }, () => {
    pids += 1;
    const confidence = Math.min(
      100,
      evidence.reduce((sum, { weight }) => sum + weight, 0),
    );
    return {
      engine: { id, user, pid: pids, confidence, evidence, kind: "weights" } as unknown as Engine,
      cut: 0,
    };
  });
const counted = (engines: readonly Engine[]) =>
  Object.fromEntries(
    [...Map.groupBy(engines, ({ id, user }) => `${id} of ${user}`)].map(([key, { length }]) => [key, length]),
  );

describe("selectEngines()", () => {
  test("keeps engines with a model in memory ahead of servers with more confidence", () => {
    const { engines, limits } = selectEngines([
      ...some(200, "ollama", "eve", HTTP, signal("binary", 60)),
      ...some(1, "unknown-weights", "eve", WEIGHTS),
      ...some(1, "vllm", "ada", signal("library", 70)),
    ]);
    expect(counted(engines)).toEqual({ "unknown-weights of eve": 1, "vllm of ada": 1, "ollama of eve": 62 });
    expect(limits).toEqual([
      { name: "limits", status: "partial", detail: "138 of 202 engines left out: 138 ollama of eve" },
    ]);
  });

  test("a shared library is not evidence of a model in memory", () => {
    const { engines } = selectEngines(
      [...some(9, "a", "eve", HTTP, signal("library", 10)), ...some(1, "b", "ada", signal("gpu", 65))],
      1,
    );
    expect(counted(engines)).toEqual({ "b of ada": 1 });
  });

  test.each([
    ["answers", HTTP],
    ["files in memory", WEIGHTS],
  ])("divides the list among users, and the part of one user among products: %s", (_what, evidence) => {
    const { engines } = selectEngines(
      [
        ...some(500, "ollama", "eve", evidence),
        ...some(500, "vllm", "eve", evidence),
        ...some(3, "ollama", "ada", evidence),
        ...some(2, "ollama", "bob", evidence),
      ],
      13,
    );
    expect(counted(engines)).toEqual({
      "ollama of eve": 4,
      "vllm of eve": 4,
      "ollama of ada": 3,
      "ollama of bob": 2,
    });
  });

  test("names the largest groups that were left out", () => {
    const products = ["a", "b", "c", "d", "e", "f"];
    const { engines, limits } = selectEngines(
      products.flatMap((id, at) => some(10 + at, id, "eve", HTTP)),
      6,
    );
    expect(engines.map(({ id }) => id).sort()).toEqual(products);
    expect(limits[0]!.detail).toBe(
      "69 of 75 engines left out: 14 f of eve, 13 e of eve, 12 d of eve, 11 c of eve, others",
    );
    expect(selectEngines(some(64, "a", "eve", HTTP)).limits).toEqual([]);
  });
});

test("a heartbeat that is cut keeps the most certain engines and counts all", () => {
  const large = { ...WEIGHTS, detail: "x".repeat(6000) };
  const { engines } = selectEngines([
    ...some(63, "ollama", "eve", { ...large, signal: "http" }),
    ...some(1, "unknown-weights", "ada", large),
  ]);
  const collectors: Heartbeat["collectors"] = [];
  const beat = { engines: engines.map((one) => ({ ...one, clients: [], models: [] })), collectors };
  const cut = cutToFit(beat as unknown as Heartbeat);
  expect([cut.engines.length, cut.engines[0]!.id]).toEqual([16, "unknown-weights"]);
  expect(cut.collectors[0]!.detail).toContain("shortened to fit: 16 of 64 engines");
});
