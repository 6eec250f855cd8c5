import { describe, expect, test } from "bun:test";
import { makeEngine } from "../../../../lz/platform/simulated-agents.ts";
import type { BaselineItem } from "../../../../shared/table/items/asset/baseline.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import type { Engine } from "../../../../shared/wire/heartbeat.ts";
import {
  featuresOf,
  isTimely,
  LEARNING_DAYS,
  MEMORY_DAYS,
  noveltyOf,
  remember,
  TENANT_FEATURE,
  weightOf,
  withDay,
} from "../../../../worker/assess/baseline.ts";

const POLICY = policy.parse({});
const OWNER = { tenantId: "org_a", assetId: "01K00000000000000000000000" };
const DAY = 20_000;
const past = (features: Record<string, number[]>, sinceDay = DAY - 60): BaselineItem => ({
  type: "Baseline",
  ...OWNER,
  sinceDay,
  features,
});
const OLLAMA = featuresOf({ engines: [makeEngine({ clients: [], models: [] })] }, POLICY);
const tenantPast = (more: Record<string, number[]> = {}) =>
  new Map(Object.entries({ [TENANT_FEATURE]: [DAY - 20], ...more }));

describe("noveltyOf()", () => {
  test("describes what is new, and whether to the host or the whole company", () => {
    const { findings, sentences: words } = noveltyOf(OLLAMA, past({}), tenantPast(), DAY);
    expect(words).toEqual(["Ollama: the engine is new to this host and to the whole company (28 days)"]);
    expect(findings).toMatchObject([
      { rule: "baseline-novelty", risk: "WARNING", points: 40, source: "baseline" },
    ]);
    const known = noveltyOf(OLLAMA, past({}), tenantPast({ "engine:ollama": [DAY - 2] }), DAY);
    expect(known.findings).toEqual([]);
    expect(known.sentences[0]).toContain("known elsewhere in the company");
  });
  test("starts each sentence with the name of the engine", () => {
    const open = featuresOf({ engines: [makeEngine({ bind: ["0.0.0.0"], models: [] })] }, POLICY);
    const seen = { "engine:ollama": [DAY - 2] };
    const { sentences: words, findings } = noveltyOf(open, past(seen), tenantPast(seen), DAY);
    expect(words[0]).toBe(
      "Ollama: its exposure to the network is new to this host and to the whole company (28 days)",
    );
    for (const each of words) expect(each).toStartWith("Ollama: ");
    expect(findings[0]!.explanation.match(/Ollama/g)).toHaveLength(1);
  });
  test("reports nothing as new during the learning phase", () => {
    const young = past({}, DAY - LEARNING_DAYS + 1);
    expect(
      noveltyOf(OLLAMA, young, new Map([[TENANT_FEATURE, [DAY - LEARNING_DAYS + 1]]]), DAY).sentences,
    ).toEqual([]);
    expect(noveltyOf(OLLAMA, past({}, DAY - LEARNING_DAYS), new Map(), DAY).sentences).toHaveLength(1);
  });
  test("knows a feature from two weeks ago, and reports one from three weeks ago as new again", () => {
    const seen = (day: number) =>
      noveltyOf(OLLAMA, past({ "engine:ollama": [day] }), tenantPast(), DAY).sentences.length;
    expect(seen(DAY - 15)).toBe(0);
    expect(seen(DAY - 16)).toBe(1);
    expect(weightOf([DAY - 2], DAY)).toBeGreaterThan(weightOf([DAY - 3], DAY));
  });
  test("reports a new feature on its first day and the next, regardless of what these days already contain", () => {
    const before = noveltyOf(OLLAMA, past({}), tenantPast(), DAY);
    const days = { "engine:ollama": [DAY - 1, DAY, DAY + 1] };
    expect(noveltyOf(OLLAMA, past(days), tenantPast(days), DAY)).toEqual(before);
    expect(noveltyOf(OLLAMA, past(days), tenantPast(days), DAY + 1).sentences).toEqual([]);
  });
  test("never reports what the policy approves by name", () => {
    expect(
      featuresOf(
        { engines: [makeEngine({ clients: [] })] },
        policy.parse({ approvedEngines: ["ollama"], approvedModels: ["*"] }),
      ),
    ).toEqual([]);
  });
});

describe("featuresOf()", () => {
  const named = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name}-${i}`);
  const flood = makeEngine({
    models: named(64, "m").map((name) => ({ name, loaded: true })),
    clients: named(32, "c").map((name) => ({ name, connections: 1 })),
  });
  const exposed = makeEngine({
    id: "vllm",
    name: "vLLM",
    bind: ["0.0.0.0"],
    models: [{ name: "stolen", loaded: true }],
    clients: [{ name: "exfil", connections: 1 }],
  });
  const approving = policy.parse({ approvedEngines: ["ollama"] });

  test("a flood of names on one engine hides neither another engine nor its models and clients", () => {
    for (const engines of [
      [flood, exposed],
      [exposed, flood],
    ]) {
      const features = featuresOf({ engines }, approving);
      const names = features.map(({ name }) => name);
      expect(names).toEqual(
        expect.arrayContaining(["engine:vllm", "exposed:vllm", "model:stolen", "client:exfil"]),
      );
      expect(names).toHaveLength(2 + 48);
      const { findings, sentences: words } = noveltyOf(features, past({}), tenantPast(), DAY);
      expect(findings.find(({ engine }) => engine === "vllm")).toMatchObject({ points: 60 });
      expect(words).toHaveLength(9);
      expect(words.at(-1)).toBe("and 42 more");
    }
  });
  test("includes all of 64 exposed engines, independent of their order in the heartbeat", () => {
    const engines = named(64, "engine").map((id) => ({ ...flood, id, bind: ["0.0.0.0"] }));
    const features = featuresOf({ engines }, approving);
    expect(features.filter(({ kind }) => kind === "engine")).toHaveLength(64);
    expect(features.filter(({ kind }) => kind === "exposed")).toHaveLength(64);
    const turned = [...engines].reverse().map((engine) => ({
      ...engine,
      models: [...engine.models].reverse(),
      clients: [...engine.clients].reverse(),
    }));
    expect(featuresOf({ engines: turned }, approving)).toEqual(features);
  });
});

test("isTimely() accepts a delay of up to twelve hours, and no more", () => {
  const at = "2026-11-20T12:00:00.000Z";
  expect(isTimely({ at, receivedAt: "2026-11-21T00:00:00.000Z" })).toBe(true);
  expect(isTimely({ at, receivedAt: "2026-11-21T00:00:00.001Z" })).toBe(false);
  expect(isTimely({ at, receivedAt: "2026-11-20T11:56:00.000Z" })).toBe(true); // the host's clock is four minutes ahead
});

describe("remember()", () => {
  test("is independent of order and repetition, and returns the same object when nothing is new", () => {
    const once = remember(undefined, OWNER, OLLAMA, DAY);
    expect(remember(once, OWNER, OLLAMA, DAY)).toBe(once);
    const forth = remember(remember(undefined, OWNER, OLLAMA, DAY - 1), OWNER, OLLAMA, DAY);
    const back = remember(remember(undefined, OWNER, OLLAMA, DAY), OWNER, OLLAMA, DAY - 1);
    expect(back).toEqual(forth);
  });
  test("keeps a bounded number of features and days", () => {
    let item = remember(undefined, OWNER, OLLAMA, DAY);
    for (let day = DAY; day < DAY + 100; day++) item = remember(item, OWNER, OLLAMA, day);
    expect(item.features["engine:ollama"]).toHaveLength(MEMORY_DAYS);
    const many = Array.from({ length: 500 }, (_, i) => ({ ...OLLAMA[0]!, name: `model:${i}` }));
    expect(Object.keys(remember(item, OWNER, many, DAY + 101).features)).toHaveLength(128);
  });
});

/** mulberry32, a seeded random number generator: every run has the same weeks. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("finds the injected anomalies of synthetic weeks with few false alarms", () => {
  const random = createRandom(7);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const ASSETS = 200;
  const DAYS = 42;
  const MODELS = ["llama3.2:3b", "qwen3:8b", "phi4:14b", "gemma3:12b"];
  const CLIENTS = ["code", "python3", "zed", "chrome"];
  const ENGINES = [
    ["ollama", "Ollama"],
    ["lm-studio", "LM Studio"],
  ] as const;
  const habits = Array.from({ length: ASSETS }, () => ({
    engine: pick(ENGINES),
    models: [pick(MODELS), pick(MODELS)],
    client: pick(CLIENTS),
  }));
  const assetPasts = new Map<number, BaselineItem>();
  const company = new Map<string, number[]>();
  const counts = { hits: 0, misses: 0, falseAlarms: 0, judged: 0 };
  for (let day = DAY; day < DAY + DAYS; day++) {
    for (let asset = 0; asset < ASSETS; asset++) {
      if (day % 7 > 4 && random() < 0.9) continue; // the host is off on most weekend days
      const habit = habits[asset]!;
      if (random() < 0.01) habit.models[1] = pick(MODELS); // the employee sometimes changes to another known model
      const [id, name] = habit.engine;
      const engines: Engine[] = [
        makeEngine({
          id,
          name,
          models: [{ name: pick(habit.models), loaded: true }],
          clients: [{ name: random() < 0.97 ? habit.client : pick(CLIENTS), connections: 1 }],
        }),
      ];
      const isAnomaly = day >= DAY + 14 && random() < 0.004;
      if (isAnomaly) {
        const kind = Math.floor(random() * 4);
        const tag = `${day}-${asset}`;
        if (kind === 0) engines.push(makeEngine({ id: `odd-${tag}`, name: "Odd", models: [], clients: [] }));
        else if (kind === 1) engines[0]!.models.push({ name: `uncensored-${tag}`, loaded: true });
        else if (kind === 2) engines[0]!.clients.push({ name: `exfil-${tag}`, connections: 1 });
        else engines[0]!.bind = ["0.0.0.0"];
      }
      const features = featuresOf({ engines }, POLICY);
      const isTold = noveltyOf(features, assetPasts.get(asset), company, day).findings.length > 0;
      if (day >= DAY + 14) counts.judged++;
      if (isAnomaly && isTold) counts.hits++;
      else if (isAnomaly) counts.misses++;
      else if (isTold) counts.falseAlarms++;
      assetPasts.set(asset, remember(assetPasts.get(asset), OWNER, features, day));
      for (const feature of [TENANT_FEATURE, ...features.map((one) => one.name)])
        company.set(feature, withDay(company.get(feature) ?? [], day));
    }
  }
  const precision = counts.hits / (counts.hits + counts.falseAlarms);
  const recall = counts.hits / (counts.hits + counts.misses);
  console.log(
    `baseline: precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}, ${JSON.stringify(counts)}`,
  );
  expect(precision).toBeGreaterThan(0.85);
  expect(recall).toBeGreaterThan(0.8);
});
