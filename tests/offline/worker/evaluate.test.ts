import { describe, expect, test } from "bun:test";
import { makeEngine } from "../../../lz/fleet.ts";
import type { Policy } from "../../../shared/table/items.ts";
import type { Engine } from "../../../shared/wire/heartbeat.ts";
import { evaluate } from "../../../worker/evaluate/evaluate.ts";
import { RULES } from "../../../worker/evaluate/rules.ts";
import { nextIncidents } from "../../../worker/incidents.ts";

const POLICY: Policy = { approvedEngines: ["ollama"], approvedModels: ["llama3*"] };
const rulesOf = (engine: Partial<Engine>, policy = POLICY) =>
  evaluate({ engines: [makeEngine(engine)] }, policy).findings.map((finding) => finding.rule);
const model = (name: string, loaded = true) => ({ models: [{ name, loaded }] });

test("an approved engine on loopback with an approved model is nothing to tell", () => {
  expect(evaluate({ engines: [makeEngine()] }, POLICY)).toEqual({ risk: "INFO", score: 0, findings: [] });
});

/** Every rule: what makes it speak, and the near miss that does not. */
const CASES: Record<string, { hit: Partial<Engine>[]; miss: Partial<Engine>[] }> = {
  "unapproved-engine": { hit: [{ id: "vllm" }], miss: [{}, { id: "unknown-weights" }] },
  "exposed-engine": {
    hit: [{ bind: ["0.0.0.0"] }, { bind: ["127.0.0.1", "192.168.1.4"] }, { bind: ["::"], auth: "unknown" }],
    miss: [
      { bind: ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9"] },
      { bind: ["0.0.0.0"], auth: "required" },
    ],
  },
  "exposed-behind-credential": {
    hit: [{ bind: ["0.0.0.0"], auth: "required" }],
    miss: [{ bind: ["127.0.0.1"], auth: "required" }, { bind: ["0.0.0.0"] }],
  },
  "unapproved-model": {
    hit: [model("mistral:7b"), model("my-llama3")],
    miss: [model("LLAMA3.2:3b"), model("mistral:7b", false), { models: [] }],
  },
  "unknown-weights": { hit: [{ id: "unknown-weights" }], miss: [{ id: "llama-cpp" }] },
  "renamed-binary": { hit: [{ renamed: true }], miss: [{ renamed: false }] },
};

test("every rule has its cases", () => {
  expect(Object.keys(CASES).sort()).toEqual(RULES.map((rule) => rule.id).sort());
});

for (const [rule, { hit, miss }] of Object.entries(CASES)) {
  describe(rule, () => {
    for (const engine of hit)
      test(`speaks for ${JSON.stringify(engine)}`, () => expect(rulesOf(engine)).toContain(rule));
    for (const engine of miss) {
      test(`is silent for ${JSON.stringify(engine)}`, () => expect(rulesOf(engine)).not.toContain(rule));
    }
  });
}

test("two engines of one kind make one finding a rule, so one incident", () => {
  const engines = [makeEngine({ id: "vllm", pid: 1 }), makeEngine({ id: "vllm", pid: 2 })];
  const { findings } = evaluate({ engines }, POLICY);
  expect(findings.filter((finding) => finding.rule === "unapproved-engine")).toHaveLength(1);
});

test("a hostile engine name stays a text of bounded length", () => {
  const engines = [
    makeEngine({ id: "vllm", name: "<img src=x onerror=alert(1)>", executable: "x".repeat(260) }),
  ];
  for (const finding of evaluate({ engines }, POLICY).findings)
    expect(finding.explanation.length).toBeLessThan(401);
});

test("the score is capped and the worst finding gives the risk", () => {
  const engine = makeEngine({ id: "vllm", bind: ["0.0.0.0"], renamed: true, ...model("x") });
  expect(evaluate({ engines: [engine] }, POLICY)).toMatchObject({ risk: "CRITICAL", score: 100 });
  expect(evaluate({ engines: [makeEngine({ id: "vllm" })] }, POLICY)).toMatchObject({
    risk: "WARNING",
    score: 40,
  });
});

describe("nextIncidents()", () => {
  const open = { rule: "exposed-engine", engine: "ollama", risk: "CRITICAL" as const };
  test("keeps what is gone open, from its first absence on", () => {
    const first = nextIncidents([open], [], "2026-11-21T10:00:00.000Z").open;
    expect(first).toEqual([{ ...open, absentSince: "2026-11-21T10:00:00.000Z" }]);
    expect(nextIncidents(first, [], "2026-11-21T10:05:00.000Z").open).toEqual(first);
  });
  test("forgets the absence of what is back", () => {
    const back = evaluate({ engines: [makeEngine({ bind: ["0.0.0.0"] })] }, POLICY).findings;
    const absent = { ...open, absentSince: "2026-11-21T10:00:00.000Z" };
    expect(nextIncidents([absent], back, "2026-11-21T10:01:00.000Z").open).toEqual([open]);
  });
});
