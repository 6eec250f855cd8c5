import { RULES_BY_ID } from "../../shared/policy/rules/rules.ts";
import type { IncidentItem } from "../../shared/table/items/incident.ts";
import type { WEBHOOK_EVENTS } from "../../shared/table/items/webhook.ts";
import { endOf, isWorse, type Run } from "./incident-runs.ts";

export type Change = {
  item: IncidentItem;
  /** What it was decided from: the write is refused when somebody changed that meanwhile. */
  before: IncidentItem | undefined;
  /** Undefined: corrected in silence, nothing anybody has to be told. */
  kind: (typeof WEBHOOK_EVENTS)[number] | undefined;
};

export const QUIET_RESOLUTION = "the condition was gone for the quiet period";

/** Findings that no rule made. */
const OTHERS: Record<string, { title: string; atlas: string; remediation: string }> = {
  "baseline-novelty": {
    title: "Something new for this host or the company",
    atlas: "AML.T0016.002",
    remediation: "Ask the user about it; approve in the policy what is meant to be there.",
  },
  "ai-adjudication": {
    title: "Raised by the language model",
    atlas: "AML.T0047",
    remediation: "Read its explanation beside the findings of the rules; it is an opinion, they are facts.",
  },
};

type Owner = { tenantId: string; assetId: string };

/**
 * What a run makes of the incident it is about; undefined when the table says so already.
 *
 * - open, while the condition lasts or is gone for less than the quiet period; resolved after it
 * - resolved by a person: it stays so while this very run lasts, until it gets worse than it was then. A run that
 *   began after is a new case.
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
    // Whenever it got worse: whoever resolved it saw what is stored.
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
