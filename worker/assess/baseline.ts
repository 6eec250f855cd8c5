import { matchesAny } from "../../shared/policy/glob-pattern.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { Finding } from "../../shared/table/items/asset/telemetry.ts";
import type { Policy } from "../../shared/table/items/policy.ts";
import type { Engine, Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";

export const BASELINE_RULE = "baseline-novelty";
/** Days a feature is remembered. */
export const MEMORY_DAYS = 28;
/** Until then there is no past to differ from. */
export const LEARNING_DAYS = 7;
/** What is seen on a day is known from this many days later on: new for that day and the next. */
export const KNOWN_AFTER_DAYS = 2;
/** A heartbeat that took longer to the edge teaches nothing: whoever dates it back makes himself no past. */
const TIMELY_MS = 12 * 3600 * 1000;
/** A day counts this much less than the one after it: half of it is forgotten in a week. */
const DECAY = 0.9;
/** Once within the last two weeks is enough to be known. */
const KNOWN_WEIGHT = 0.2;
const FINDING_POINTS_MIN = 30;
const FINDING_POINTS_MAX = 60;
/** Models and clients of one heartbeat; engines and exposure are bounded by the heartbeat itself. */
export const USES_MAX = 48;
/** Sentences of one judgement; one more says how many there were beyond. */
export const WORDS_MAX = 8;
const FEATURES_KEPT_MAX = 128;
/** Stands for the tenant itself: on which days anything was seen. */
export const TENANT_FEATURE = "*";

/**
 * Whether a heartbeat adds to what is remembered. All of a day that do are at the edge by noon of the next, and count
 * from the midnight after: twelve hours in which queue and workers may deliver them in any order.
 */
export const isTimely = ({ at, receivedAt }: { at: string; receivedAt: string }): boolean =>
  Date.parse(receivedAt) - Date.parse(at) <= TIMELY_MS;

export const dayOf = (at: string): number => Math.floor(Date.parse(at) / (24 * 3600 * 1000));

type Kind = "engine" | "model" | "client" | "exposed";
/** Points for what the asset has not had, and further ones when nobody in the tenant has. */
const POINTS: Record<Kind, { asset: number; tenant: number }> = {
  engine: { asset: 15, tenant: 25 },
  model: { asset: 10, tenant: 20 },
  client: { asset: 10, tenant: 20 },
  exposed: { asset: 20, tenant: 10 },
};
const WORDS: Record<Kind, (name: string) => string> = {
  engine: () => "the engine",
  model: (name) => `the model ${name}`,
  client: (name) => `its use by ${name}`,
  exposed: () => "that it can be reached from the network",
};

export type Feature = { name: string; kind: Kind; engine: string; engineName: string; says: string };

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/**
 * What of a heartbeat has a past: what the policy approves by name needs none. Engines and exposure are always among
 * it; models and clients are taken in turns from one engine after the other, so that no engine has so many that
 * nothing is seen of another. The same for the same facts, in whatever order the host tells them.
 */
export function featuresOf({ engines }: Pick<Heartbeat, "engines">, policy: Policy): Feature[] {
  const found = new Map<string, Feature>();
  const add = (kind: Kind, engine: Engine, name: string) => {
    const feature = tidy(`${kind}:${name}`, 300);
    if (found.has(feature)) return;
    const says = WORDS[kind](name);
    found.set(feature, { name: feature, kind, engine: engine.id, engineName: engine.name, says });
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

/** An engine's models and clients that the policy does not approve, a model and a client by turns, each sorted. */
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

/** How well something is known on `today`, by the days of which nothing more can come. */
export const weightOf = (days: readonly number[], today: number): number =>
  days.reduce((sum, day) => (day <= today - KNOWN_AFTER_DAYS ? sum + DECAY ** (today - day) : sum), 0);

const isKnown = (days: readonly number[], today: number): boolean => weightOf(days, today) >= KNOWN_WEIGHT;

/** What the tenant's past says: days per feature, {@link TENANT_FEATURE} among them. */
export type TenantPast = ReadonlyMap<string, readonly number[]>;

export type Novelty = { findings: Finding[]; words: string[] };

/** What is new on `today` for the asset and for its tenant, in words, and a finding for every engine with enough of it. */
export function noveltyOf(
  features: readonly Feature[],
  past: BaselineItem | undefined,
  tenantPast: TenantPast,
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
    const words = tidy(`${feature.says} is ${where} (${MEMORY_DAYS} days)`, 300);
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
  return { findings, words: withMore(sentences, WORDS_MAX) };
}

/** The first `most`, and one that says how many there are beyond. */
const withMore = (words: readonly string[], most: number): string[] =>
  words.length <= most ? [...words] : [...words.slice(0, most), `and ${words.length - most} more`];

/**
 * The asset's past with this day's features in it; the same object when nothing is added. Days are a set, so it
 * does not matter how often or in which order they are added.
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
