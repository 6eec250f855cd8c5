import type { Finding, TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { type Change, engineChanges } from "../assets/state-diff.ts";
import type { Moment } from "../components/timeline.tsx";
import { actionWords } from "../custody/custody-table.tsx";

/**
 * Actions on a host that appear in the timelines of its incidents. Actions from before the incident was
 * opened do not appear.
 */
const HOST_ACTIONS: ReadonlySet<CustodyView["action"]> = new Set([
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
 * The timeline of an incident, newest first. It contains changes of the finding and of the engine, actions of
 * users, and the automatic closing of the incident.
 *
 * @param states States of the host, newest first. The oldest state is only compared with the next one.
 *
 * @param records Custody records of the host.
 */
export function incidentTimeline(
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

/** Changes shown for the oldest known state. Earlier states are unknown, so the finding may have existed before. */
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
  return HOST_ACTIONS.has(action) && at >= openedAt && (resolvedAt === undefined || at <= resolvedAt);
}

function recordMoment({ at, action, mode, justification, operatorId }: CustodyView): Moment {
  const words = `${actionWords(action)}${mode ? `, mode ${mode}` : ""}${justification ? `: ${justification}` : ""}`;
  return { at, changes: [{ kind: action === "resolve" ? "better" : "note", words }], end: operatorId };
}

/**
 * The automatic closing of an incident after the quiet period. It has no custody record, because no user
 * resolved the incident.
 */
function closingOf({ resolvedAt, resolvedBy, resolution = "" }: IncidentView): Moment[] {
  if (resolvedAt === undefined || resolvedBy !== undefined) return [];
  return [
    { at: resolvedAt, changes: [{ kind: "better", words: `Resolved: ${resolution}` }], end: "automatic" },
  ];
}
