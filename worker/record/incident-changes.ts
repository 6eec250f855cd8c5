import { RULES_BY_ID } from "../../shared/policy/rules/rules.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { WEBHOOK_EVENTS } from "../../shared/table/items/webhook.ts";
import { endOf, isWorse, type Run } from "./incident-runs.ts";

export type Change = {
  item: IncidentItem;
  /** The stored incident that the change is based on. The write fails if the incident changed in the meantime. */
  before: IncidentItem | undefined;
  /** Kind of the event to send. Undefined for a correction, which sends no event. */
  kind: (typeof WEBHOOK_EVENTS)[number] | undefined;
};

const QUIET_RESOLUTION = "the condition was gone for the quiet period";

/** Titles and remediations of findings that no rule produces. */
const OTHERS: Record<string, { title: string; atlas: string; remediation: string }> = {
  "baseline-novelty": {
    title: "Something new for this host or the company",
    atlas: "AML.T0016.002",
    remediation: "Ask the user whether this change is intended. If it is, approve it in the policy.",
  },
  "ai-adjudication": {
    title: "Raised by the language model",
    atlas: "AML.T0047",
    remediation:
      "Read the language model's explanation together with the rule findings. Rules report facts. The language model only assesses them.",
  },
};

type Owner = { tenantId: string; assetId: string };

/**
 * Change of an incident that follows from its run. Undefined if the table is up to date.
 *
 * - An incident is open while the condition lasts, or is absent for less than the quiet period. After that it
 *   is resolved.
 * - An incident that a person resolved stays resolved while the same run lasts, unless its finding gets
 *   worse. A later run reopens the incident.
 */
export function changeOf(
  run: Run,
  before: IncidentItem | undefined,
  seenAt: string,
  quietMs: number,
  owner: Owner,
): Change | undefined {
  const resolvedAt = endOf(run, seenAt, quietMs);
  const facts = factsOf(run, owner);
  if (!before) {
    const item: IncidentItem = { ...facts, ...statusOf(resolvedAt) };
    return { item, before, kind: "incident.opened" };
  }
  if (before.status === "RESOLVED" && before.resolvedBy !== undefined) {
    const isNew = run.openedAt > before.resolvedAt!;
    // Any escalation counts, because the person who resolved the incident saw only what is stored.
    const isWorsened = isWorse(run.finding, before);
    if (resolvedAt !== undefined || !(isNew || isWorsened)) return undefined;
  }
  const reopens = before.reopens ?? 0;
  if (before.status === "RESOLVED" && resolvedAt === undefined) {
    return { item: { ...facts, reopens: reopens + 1, status: "OPEN" }, before, kind: "incident.reopened" };
  }
  const { acknowledgedAt, acknowledgedBy } = before;
  const item: IncidentItem = {
    ...facts,
    ...(before.reopens !== undefined && { reopens }),
    ...(acknowledgedAt !== undefined && { acknowledgedAt }),
    ...(acknowledgedBy !== undefined && { acknowledgedBy }),
    ...statusOf(resolvedAt),
  };
  if (before.status === "OPEN" && resolvedAt !== undefined)
    return { item, before, kind: "incident.resolved" };
  if (sameFacts(item, before)) return undefined;
  const isEscalated = before.status === "OPEN" && isWorse(item, before);
  return { item, before, kind: isEscalated ? "incident.escalated" : undefined };
}

const statusOf = (
  resolvedAt: string | undefined,
): Pick<IncidentItem, "status" | "resolvedAt" | "resolution"> =>
  resolvedAt === undefined
    ? { status: "OPEN" }
    : { status: "RESOLVED", resolvedAt, resolution: QUIET_RESOLUTION };

function factsOf(run: Run, owner: Owner): Omit<IncidentItem, "status"> {
  const { finding, hostname, openedAt, lastSeenAt, escalatedAt } = run;
  const rule = RULES_BY_ID.get(finding.rule) ?? OTHERS[finding.rule];
  return {
    type: "Incident",
    tenantId: owner.tenantId,
    assetId: owner.assetId,
    ...finding,
    ...(rule && { title: rule.title, atlas: rule.atlas, remediation: rule.remediation }),
    hostname,
    openedAt,
    lastSeenAt,
    ...(escalatedAt !== undefined && { escalatedAt }),
  };
}

const COMPARED = [
  "status",
  "risk",
  "points",
  "explanation",
  "engineName",
  "source",
  "hostname",
  "openedAt",
  "lastSeenAt",
  "escalatedAt",
  "resolvedAt",
] as const satisfies readonly (keyof IncidentItem)[];

const sameFacts = (a: IncidentItem, b: IncidentItem): boolean =>
  COMPARED.every((name) => a[name] === b[name]);
