import { matchesAny } from "../../shared/policy/glob-pattern.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { Finding } from "../../shared/table/items/asset/telemetry.ts";
import type { Policy } from "../../shared/table/items/policy.ts";
import type { Engine, Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";

const BASELINE_RULE = "baseline-novelty";
/** Number of days that the baseline keeps a feature. */
export const MEMORY_DAYS = 28;
/** Length of the learning phase in days. During this phase there is no baseline to compare with. */
export const LEARNING_DAYS = 7;
/**
 * Number of days after its first appearance from which a feature counts as known. The feature is new on the
 * first day and the next.
 */
const KNOWN_AFTER_DAYS = 2;
/**
 * Maximum delay between sending and receipt. A heartbeat with a longer delay does not change the baseline, so
 * a host cannot backdate its baseline.
 */
const TIMELY_MS = 12 * 3600 * 1000;
/** Weight of a day relative to the next day. The weight halves in about a week. */
const DECAY = 0.9;
/** Minimum weight of a known feature. A feature that was seen once in the last two weeks reaches it. */
const KNOWN_WEIGHT = 0.2;
const FINDING_POINTS_MIN = 30;
const FINDING_POINTS_MAX = 60;
/** Maximum number of model and client features per heartbeat. The heartbeat schema limits engines and exposure. */
export const USES_MAX = 48;
/**
 * Maximum number of novelty sentences per assessment. If there are more, one additional sentence states how
 * many were omitted.
 */
export const SENTENCES_MAX = 8;
const FEATURES_KEPT_MAX = 128;
/**
 * Name of the feature that stands for the tenant itself. Its days are the days on which the tenant sent any
 * heartbeat.
 */
export const TENANT_FEATURE = "*";

/**
 * True if a heartbeat changes the baseline.
 *
 * Timely heartbeats of a day reach the edge by noon (UTC) of the next day. They count from the following
 * midnight. This leaves twelve hours in which queue and workers can process them in any order.
 */
export const isTimely = ({ at, receivedAt }: { at: string; receivedAt: string }): boolean =>
  Date.parse(receivedAt) - Date.parse(at) <= TIMELY_MS;

export const dayOf = (at: string): number => Math.floor(Date.parse(at) / (24 * 3600 * 1000));

type Kind = "engine" | "model" | "client" | "exposed";
/** Points for a feature that is new to the asset, and additional points if the feature is new to the tenant. */
const POINTS: Record<Kind, { asset: number; tenant: number }> = {
  engine: { asset: 15, tenant: 25 },
  model: { asset: 10, tenant: 20 },
  client: { asset: 10, tenant: 20 },
  exposed: { asset: 20, tenant: 10 },
};
const DESCRIPTIONS: Record<Kind, (name: string) => string> = {
  engine: () => "the engine",
  model: (name) => `the model ${name}`,
  client: (name) => `its use by ${name}`,
  exposed: () => "its exposure to the network",
};

export type Feature = { name: string; kind: Kind; engine: string; engineName: string; sentence: string };

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/**
 * Features of a heartbeat for the baseline: everything that the policy does not approve by name.
 *
 * Engines and exposure are always included. Models and clients are taken round-robin from the engines, so
 * that one engine with many of them does not displace the others. The result does not depend on the order in
 * the heartbeat.
 */
export function featuresOf({ engines }: Pick<Heartbeat, "engines">, policy: Policy): Feature[] {
  const found = new Map<string, Feature>();
  const add = (kind: Kind, engine: Engine, name: string) => {
    const feature = tidy(`${kind}:${name}`, 300);
    if (found.has(feature)) return;
    const says = DESCRIPTIONS[kind](name);
    found.set(feature, { name: feature, kind, engine: engine.id, engineName: engine.name, sentence: says });
  };
  const sorted = engines.length < 2 ? engines : [...engines].sort(byIdAndName);
  for (const engine of sorted) {
    if (!policy.approvedEngines.includes(engine.id)) add("engine", engine, engine.id);
    if (engine.bind.some((address) => !LOOPBACK.test(address))) add("exposed", engine, engine.id);
  }
  const most = found.size + USES_MAX;
  const uses = sorted.map((engine) => ({ engine, names: usesOf(engine, policy) }));
  const longest = Math.max(0, ...uses.map(({ names }) => names.length));
  for (let turn = 0; turn < longest; turn++) {
    for (const { engine, names } of uses) {
      const use = names[turn];
      if (use && found.size < most) add(use.kind, engine, use.name);
    }
  }
  return [...found.values()];
}

const byIdAndName = (a: Engine, b: Engine): number => order(a.id, b.id) || order(a.name, b.name);
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Models and clients of an engine that the policy does not approve. They are sorted and alternate between
 * model and client.
 */
function usesOf({ models, clients }: Engine, policy: Policy): { kind: Kind; name: string }[] {
  const distinct = (names: (string | undefined)[], approved: readonly string[]) =>
    [...new Set(names)]
      .filter((name) => name !== undefined)
      .filter((name) => !matchesAny(approved, name))
      .sort();
  const loaded = distinct(
    models.map(({ name, loaded }) => (loaded ? name : undefined)),
    policy.approvedModels,
  );
  const used = distinct(
    clients.map(({ name }) => name),
    policy.approvedClients,
  );
  const uses: { kind: Kind; name: string }[] = [];
  for (let turn = 0; turn < Math.max(loaded.length, used.length); turn++) {
    if (loaded[turn] !== undefined) uses.push({ kind: "model", name: loaded[turn]! });
    if (used[turn] !== undefined) uses.push({ kind: "client", name: used[turn]! });
  }
  return uses;
}

/** Weight of a feature on `today`. Counts only days that can no longer change. */
export const weightOf = (days: readonly number[], today: number): number =>
  days.reduce((sum, day) => (day <= today - KNOWN_AFTER_DAYS ? sum + DECAY ** (today - day) : sum), 0);

const isKnown = (days: readonly number[], today: number): boolean => weightOf(days, today) >= KNOWN_WEIGHT;

/** Baseline of a tenant: days per feature, including {@link TENANT_FEATURE}. */
export type TenantBaseline = ReadonlyMap<string, readonly number[]>;

export type Novelty = { findings: Finding[]; sentences: string[] };

/**
 * Finds features that are new on `today` for the asset or its tenant. Returns one sentence for each, and one
 * finding for each engine with enough points.
 */
export function noveltyOf(
  features: readonly Feature[],
  past: BaselineItem | undefined,
  tenantPast: TenantBaseline,
  today: number,
): Novelty {
  const tenantDays = tenantPast.get(TENANT_FEATURE) ?? [];
  const tenantHasPast = tenantDays.some((day) => day <= today - LEARNING_DAYS);
  const assetHasPast = past !== undefined && past.sinceDay <= today - LEARNING_DAYS;
  const perEngine = new Map<string, { points: number; feature: Feature; words: string[] }>();
  for (const feature of features) {
    const isNewHere = !isKnown(past?.features[feature.name] ?? [], today);
    const isNewEverywhere = tenantHasPast && !isKnown(tenantPast.get(feature.name) ?? [], today);
    if (!isNewHere || !(assetHasPast || isNewEverywhere)) continue;
    const { asset, tenant } = POINTS[feature.kind];
    const points = (assetHasPast ? asset : 0) + (isNewEverywhere ? tenant : 0);
    const where = isNewEverywhere
      ? assetHasPast
        ? "new to this host and to the whole company"
        : "new to the whole company"
      : "new to this host, known elsewhere in the company";
    const words = tidy(`${feature.sentence} is ${where} (${MEMORY_DAYS} days)`, 300);
    const sofar = perEngine.get(feature.engine);
    if (sofar) {
      sofar.points += points;
      sofar.words.push(words);
    } else perEngine.set(feature.engine, { points, feature, words: [words] });
  }
  const all = [...perEngine.values()];
  const findings = all
    .filter(({ points }) => points >= FINDING_POINTS_MIN)
    .map(
      ({ points, feature, words }): Finding => ({
        rule: BASELINE_RULE,
        engine: feature.engine,
        engineName: feature.engineName,
        risk: "WARNING",
        points: Math.min(points, FINDING_POINTS_MAX),
        explanation: tidy(`${feature.engineName}: ${withMore(words, 3).join("; ")}.`, 400),
        source: "baseline",
      }),
    );
  const sentences = all.flatMap(({ feature, words }) =>
    words.map((each) => tidy(`${feature.engineName}: ${each}`, 300)),
  );
  return { findings, sentences: withMore(sentences, SENTENCES_MAX) };
}

/** The first `most` sentences, and one additional sentence that states how many were omitted. */
const withMore = (words: readonly string[], most: number): string[] =>
  words.length <= most ? [...words] : [...words.slice(0, most), `and ${words.length - most} more`];

/**
 * Returns the baseline of the asset with the features of a day added, or the same object if nothing changes.
 * Days are a set, so order and repetition do not matter.
 */
export function remember(
  past: BaselineItem | undefined,
  owner: { tenantId: string; assetId: string },
  features: readonly Feature[],
  today: number,
): BaselineItem {
  const sinceDay = Math.min(past?.sinceDay ?? today, today);
  const missing = features.filter(({ name }) => !past?.features[name]?.includes(today));
  if (past && sinceDay === past.sinceDay && missing.length === 0) return past;
  const kept: Record<string, number[]> = { ...past?.features };
  for (const { name } of missing) kept[name] = withDay(kept[name] ?? [], today);
  const newest = Math.max(today, ...Object.values(kept).map((days) => days.at(-1)!));
  const fresh = Object.entries(kept)
    .map(([name, days]) => [name, days.filter((day) => day > newest - MEMORY_DAYS)] as const)
    .filter(([, days]) => days.length > 0)
    .sort(([a, x], [b, y]) => y.at(-1)! - x.at(-1)! || (a < b ? -1 : 1))
    .slice(0, FEATURES_KEPT_MAX)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return { type: "Baseline", ...owner, sinceDay, features: Object.fromEntries(fresh) };
}

export const withDay = (days: readonly number[], day: number): number[] =>
  days.includes(day) ? [...days] : [...days, day].sort((a, b) => a - b);
