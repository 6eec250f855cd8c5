import { listed } from "../../../shared/policy/rule.ts";
import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Engine, Store } from "../../../shared/wire/heartbeat.ts";
import { plural } from "../components/badges.tsx";
import { isExposed } from "./engines.tsx";

export type Change = { kind: "appeared" | "gone" | "worse" | "better" | "note"; words: string };

/**
 * Describes the differences between two consecutive states. Without an older state, lists the engines of the
 * newer state.
 */
export function changesBetween(newer: TelemetryChange, older: TelemetryChange | undefined): Change[] {
  if (!older)
    return [{ kind: "note", words: `Engines in the first state listed: ${engineNames(newer.engines)}` }];
  const changes = [
    ...engineChanges(newer.engines, older.engines),
    ...storeChanges(newer, older),
    ...collectorChanges(newer, older),
    ...containmentChanges(newer, older),
  ];
  if (newer.risk !== older.risk || newer.score !== older.score) {
    const kind = newer.score > older.score ? "worse" : "better";
    changes.push({ kind, words: `Risk ${older.risk} ${older.score} → ${newer.risk} ${newer.score}` });
  }
  return changes.length > 0 ? changes : [{ kind: "note", words: "Other details changed" }];
}

const engineNames = (engines: readonly Engine[]): string =>
  engines.length === 0 ? "none" : engines.map((engine) => engine.name).join(", ");

const byKey = (engines: readonly Engine[]) =>
  new Map(engines.map((engine) => [`${engine.id} ${engine.pid}`, engine]));

/** Describes which engines appeared, disappeared or changed between two states. */
export function engineChanges(newer: readonly Engine[], older: readonly Engine[]): Change[] {
  const [now, before] = [byKey(newer), byKey(older)];
  const changes: Change[] = [];
  for (const [key, engine] of now) {
    const earlier = before.get(key);
    if (earlier) changes.push(...sameEngine(engine, earlier));
    else
      changes.push({
        kind: "appeared",
        words: `${engine.name} appeared (${processOf(engine)}${portsOf(engine)})`,
      });
  }
  for (const [key, engine] of before) {
    if (!now.has(key)) changes.push({ kind: "gone", words: `${engine.name} is gone (${processOf(engine)})` });
  }
  return changes;
}

const processOf = ({ pid }: Engine): string => (pid === undefined ? "process unknown" : `process ${pid}`);

const portsOf = ({ ports }: Engine): string => (ports.length > 0 ? `, port ${ports.join(", ")}` : "");

function sameEngine(now: Engine, before: Engine): Change[] {
  const changes: Change[] = [];
  const loaded = (engine: Engine) =>
    new Set(engine.models.filter((model) => model.loaded).map((model) => model.name));
  const [loadedNow, loadedBefore] = [loaded(now), loaded(before)];
  for (const name of loadedNow) {
    if (!loadedBefore.has(name)) changes.push({ kind: "appeared", words: `${now.name} loaded ${name}` });
  }
  for (const name of loadedBefore) {
    if (!loadedNow.has(name)) changes.push({ kind: "gone", words: `${now.name} unloaded ${name}` });
  }
  if (isExposed(now) !== isExposed(before)) {
    changes.push(
      isExposed(now)
        ? { kind: "worse", words: `${now.name} is now reachable from other hosts` }
        : { kind: "better", words: `${now.name} listens on loopback only again` },
    );
  }
  if (now.clients.length !== before.clients.length) {
    changes.push({
      kind: "note",
      words: `${now.name}: ${before.clients.length} → ${plural(now.clients.length, "client")}`,
    });
  }
  if (now.confidence !== before.confidence) {
    changes.push({ kind: "note", words: `${now.name}: confidence ${before.confidence} → ${now.confidence}` });
  }
  return changes;
}

/** Describes models on disk that appeared or disappeared. A model is not new if a stopped engine had it before. */
function storeChanges(newer: TelemetryChange, older: TelemetryChange): Change[] {
  if (newer.stores && !older.stores) {
    const models = newer.stores.reduce((sum, store) => sum + store.models.length, 0);
    return [
      {
        kind: "note",
        words: `Disks scanned for the first time: ${plural(models, "model")} of applications that are not running`,
      },
    ];
  }
  if (!newer.stores || !older.stores) return [];
  const change =
    (kind: "appeared" | "gone", verb: string, others: ReadonlySet<string>) =>
    ({ name, models }: Store): Change[] => {
      const names = models.map((model) => model.name).filter((one) => !others.has(one));
      return names.length === 0 ? [] : [{ kind, words: `${listed(names)} ${verb} on disk (${name})` }];
    };
  return [
    ...newer.stores.flatMap(change("appeared", "appeared", modelNames(older))),
    ...older.stores.flatMap(change("gone", "no longer", modelNames(newer))),
  ];
}

const modelNames = ({ engines, stores = [] }: TelemetryChange): ReadonlySet<string> =>
  new Set([...engines, ...stores].flatMap(({ models }) => models.map(({ name }) => name)));

function collectorChanges(newer: TelemetryChange, older: TelemetryChange): Change[] {
  const before = new Map(older.collectors.map((collector) => [collector.name, collector.status]));
  return newer.collectors.flatMap(({ name, status }): Change[] => {
    const was = before.get(name);
    if (was === status) return [];
    if (status === "ok")
      return was === undefined ? [] : [{ kind: "better", words: `Source ${name} can be read again` }];
    return [
      {
        kind: "worse",
        words: was === undefined ? `New source ${name}: ${status}` : `Source ${name}: ${was} → ${status}`,
      },
    ];
  });
}

function containmentChanges(newer: TelemetryChange, older: TelemetryChange): Change[] {
  const [now, before] = [newer.containment, older.containment];
  if (now.generation === before.generation && now.outcome === before.outcome) return [];
  if (now.outcome === "none") return [];
  const kind = now.outcome === "failed" ? "worse" : "note";
  return [
    {
      kind,
      words: `Agent reported ${now.action} (mode ${now.mode}, generation ${now.generation}): ${now.outcome}`,
    },
  ];
}
