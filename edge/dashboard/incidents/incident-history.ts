import type { Finding, TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { type Change, engineChanges } from "../assets/state-diff.ts";
import type { Moment } from "../components/timeline.tsx";
import { actionWords } from "../custody/custody-table.tsx";

/** What is done to the host is part of the incident's past, from its opening on. */
const OF_THE_HOST: ReadonlySet<CustodyView["action"]> = new Set([
  "isolate",
  "release",
  "request-isolation",
  "deny-isolation",
  "release-offline",
  "revoke",
  "expire",
  "merge",
]);

/**
 * How an incident came about and what became of it, newest first: when its finding came, changed and went, what its
 * engine did beside, and what people did about it.
 *
 * @param states of the asset, newest first; the oldest only says what the next one differs from
 * @param records of the asset's custody log
 */
export function pastOf(
  incident: IncidentView,
  states: readonly TelemetryChange[],
  records: readonly CustodyView[],
): Moment[] {
  const seen = states.flatMap((state, index) => momentOf(incident, state, states[index + 1]));
  const done = records.filter((record) => concerns(record, incident)).map(recordMoment);
  const moments = [...seen, ...done, ...closingOf(incident)];
  return moments.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
}

function momentOf(
  incident: IncidentView,
  newer: TelemetryChange,
  older: TelemetryChange | undefined,
): Moment[] {
  const ofEngine = ({ engines }: TelemetryChange) => engines.filter(({ id }) => id === incident.engine);
  const now = findingOf(incident, newer);
  const changes = older
    ? [...findingChanges(now, findingOf(incident, older)), ...engineChanges(ofEngine(newer), ofEngine(older))]
    : firstChanges(incident, now, newer.at);
  const end = now ? `${now.points} points` : "no finding";
  return changes.length > 0 ? [{ at: newer.at, changes, end }] : [];
}

const findingOf = ({ rule, engine }: IncidentView, { findings }: TelemetryChange): Finding | undefined =>
  findings.find((finding) => finding.rule === rule && finding.engine === engine);

/** Of the oldest state there is to look at: it says nothing of what was before. */
function firstChanges({ openedAt }: IncidentView, now: Finding | undefined, at: string): Change[] {
  if (!now) return [];
  return at <= openedAt
    ? [{ kind: "appeared", words: now.explanation }]
    : [{ kind: "note", words: `Found in the oldest state shown: ${now.explanation}` }];
}

function findingChanges(now: Finding | undefined, before: Finding | undefined): Change[] {
  if (!now) return before ? [{ kind: "better", words: "No longer found" }] : [];
  if (!before) return [{ kind: "appeared", words: now.explanation }];
  if (now.points !== before.points || now.risk !== before.risk) {
    const kind = now.points > before.points ? "worse" : "better";
    const words = `${before.risk} ${before.points} → ${now.risk} ${now.points}: ${now.explanation}`;
    return [{ kind, words }];
  }
  return now.explanation === before.explanation ? [] : [{ kind: "note", words: now.explanation }];
}

function concerns({ action, target, at }: CustodyView, { id, openedAt, resolvedAt }: IncidentView): boolean {
  if (target === id) return true;
  return OF_THE_HOST.has(action) && at >= openedAt && (resolvedAt === undefined || at <= resolvedAt);
}

function recordMoment({ at, action, mode, justification, operatorId }: CustodyView): Moment {
  const words = `${actionWords(action)}${mode ? `, mode ${mode}` : ""}${justification ? `: ${justification}` : ""}`;
  return { at, changes: [{ kind: action === "resolve" ? "better" : "note", words }], end: operatorId };
}

/** What a person resolves is in the custody log; what the quiet period does is not. */
function closingOf({ resolvedAt, resolvedBy, resolution = "" }: IncidentView): Moment[] {
  if (resolvedAt === undefined || resolvedBy !== undefined) return [];
  return [
    { at: resolvedAt, changes: [{ kind: "better", words: `Resolved: ${resolution}` }], end: "by itself" },
  ];
}
