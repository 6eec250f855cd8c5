import type { CheckedEvent } from "../authority/check-events.ts";
import type { EventItem } from "../table/items/event.ts";

/**
 * Version of the Open Cybersecurity Schema Framework (schema.ocsf.io/1.6.0) that this mapping implements. Ids
 * are from events/findings/finding.json, detection_finding.json and
 * events/remediation/remediation_activity.json of github.com/ocsf/ocsf-schema.
 */
export const OCSF_VERSION = "1.6.0";

const PRODUCT = { name: "LifecycleZero", vendor_name: "LifecycleZero" } as const;

/** severity_id: 1 informational, 3 medium, 5 critical. */
const SEVERITY: Record<string, { severity_id: number; severity: string }> = {
  INFO: { severity_id: 1, severity: "Informational" },
  WARNING: { severity_id: 3, severity: "Medium" },
  CRITICAL: { severity_id: 5, severity: "Critical" },
};

type Activity = { activity_id: number; activity_name: string; status_id: number; status: string };

/** Detection Finding (class 2004). The status New means "yet to be reviewed". Only a resolution ends a finding. */
const FINDING: Record<string, Activity> = {
  "incident.opened": { activity_id: 1, activity_name: "Create", status_id: 1, status: "New" },
  "incident.reopened": { activity_id: 2, activity_name: "Update", status_id: 1, status: "New" },
  "incident.escalated": { activity_id: 2, activity_name: "Update", status_id: 1, status: "New" },
  "incident.resolved": { activity_id: 3, activity_name: "Close", status_id: 4, status: "Resolved" },
};

/** Remediation Activity (class 7001). The activity id is a D3FEND tactic: 1 is Isolate, 3 is Restore. */
const REMEDIATION: Record<string, Activity> = {
  "isolation.requested": { activity_id: 1, activity_name: "Isolate", status_id: 99, status: "Requested" },
  "isolation.proven": { activity_id: 1, activity_name: "Isolate", status_id: 1, status: "Success" },
  "isolation.failed": { activity_id: 1, activity_name: "Isolate", status_id: 2, status: "Failure" },
  "release.requested": { activity_id: 3, activity_name: "Restore", status_id: 99, status: "Requested" },
  "isolation.released": { activity_id: 3, activity_name: "Restore", status_id: 1, status: "Success" },
};

/** In `status_id`, 99 means Other. */
const NOT_PROVEN = { status_id: 99, status: "Not proven" };

/** A failed release has the activity Restore, although its event is `isolation.failed`. */
function activityOf({ kind, data, refused }: CheckedEvent): Activity | undefined {
  const activity = FINDING[kind] ?? REMEDIATION[kind];
  if (refused !== undefined) return { ...activity!, ...NOT_PROVEN };
  if (kind !== "isolation.failed" || data.action !== "release") return activity;
  const { activity_id, activity_name } = REMEDIATION["isolation.released"]!;
  return { ...activity!, activity_id, activity_name };
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export type OcsfEvent = { class_uid: number; type_uid: number; [attribute: string]: unknown };

/**
 * Converts one event for a SIEM. Returns undefined for a kind that is not exported (a webhook test).
 *
 * @param event result of `checkEvents`
 */
export function ocsfOf(event: CheckedEvent): OcsfEvent | undefined {
  const { kind, at, tenantId, assetId, hostname, eventId, recordedAt, data } = event;
  const isFinding = FINDING[kind] !== undefined;
  const activity = activityOf(event);
  if (!activity) return undefined;
  const [class_uid, class_name, category_uid, category_name] = isFinding
    ? ([2004, "Detection Finding", 2, "Findings"] as const)
    : ([7001, "Remediation Activity", 7, "Remediation"] as const);
  const type_uid = class_uid * 100 + activity.activity_id;
  return {
    metadata: {
      version: OCSF_VERSION,
      product: PRODUCT,
      profiles: ["host"],
      uid: eventId,
      event_code: kind,
      tenant_uid: tenantId,
      logged_time: Date.parse(recordedAt),
    },
    class_uid,
    class_name,
    category_uid,
    category_name,
    type_uid,
    type_name: `${class_name}: ${activity.activity_name}`,
    ...activity,
    ...(SEVERITY[String(data.risk ?? "INFO")] ?? SEVERITY.INFO),
    time: Date.parse(at),
    // type_id 0 is Unknown, because an agent does not report the type of its machine.
    ...(assetId !== undefined && { device: { uid: assetId, hostname, type_id: 0, type: "Unknown" } }),
    ...(isFinding ? findingOf(event) : remediationOf(event)),
  };
}

function findingOf({ kind, at, assetId, data }: EventItem) {
  return {
    is_alert: kind !== "incident.resolved",
    finding_info: {
      uid: `${assetId}.${data.rule}.${data.engine}`,
      title: text(data.title) ?? text(data.rule),
      desc: text(data.explanation),
      created_time: Date.parse(String(data.openedAt ?? at)),
      analytic: { uid: text(data.rule), name: text(data.rule), type_id: 1, type: "Rule" },
      ...(text(data.atlas) && { attacks: [{ version: "ATLAS", technique: { uid: data.atlas } }] }),
    },
    risk_score: data.points,
    ...(text(data.remediation) && { remediation: { desc: data.remediation } }),
    ...(text(data.resolution) && { status_detail: data.resolution }),
    ...(text(data.operator) && { unmapped: { operator: data.operator } }),
  };
}

function remediationOf({ assetId, data, refused }: CheckedEvent) {
  const unmapped = Object.fromEntries(
    ["mode", "justification", "approval", "operator"].flatMap((name) =>
      data[name] === undefined ? [] : [[name, data[name]]],
    ),
  );
  return {
    command_uid: `${assetId}.${data.generation}`,
    message: refused ?? text(data.reason) ?? text(data.mode),
    ...((refused ?? text(data.reason)) && { status_detail: refused ?? data.reason }),
    unmapped,
  };
}
