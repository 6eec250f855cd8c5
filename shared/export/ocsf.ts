import type { EventItem } from "../table/items.ts";

/** Open Cybersecurity Schema Framework (schema.ocsf.io), the version the mapping was written for. */
export const OCSF_VERSION = "1.6.0";

const PRODUCT = { name: "LifecycleZero", vendor_name: "LifecycleZero" } as const;

/** severity_id: 1 informational, 3 medium, 5 critical. */
const SEVERITY: Record<string, { severity_id: number; severity: string }> = {
  INFO: { severity_id: 1, severity: "Informational" },
  WARNING: { severity_id: 3, severity: "Medium" },
  CRITICAL: { severity_id: 5, severity: "Critical" },
};

/** Detection Finding (class 2004) activities. */
const FINDING: Record<
  string,
  { activity_id: number; activity_name: string; status_id: number; status: string }
> = {
  "incident.opened": { activity_id: 1, activity_name: "Create", status_id: 1, status: "New" },
  "incident.reopened": { activity_id: 2, activity_name: "Update", status_id: 1, status: "New" },
  "incident.escalated": { activity_id: 2, activity_name: "Update", status_id: 2, status: "In Progress" },
  "incident.resolved": { activity_id: 3, activity_name: "Close", status_id: 4, status: "Resolved" },
};

/** Remediation Activity (class 7001): isolating is activity 1, taking it back 4 (restore). status_id: 1 exists, 3 does not hold, 4 done. */
const REMEDIATION: Record<
  string,
  { activity_id: number; activity_name: string; status_id: number; status: string }
> = {
  "isolation.requested": { activity_id: 1, activity_name: "Isolate", status_id: 99, status: "Requested" },
  "isolation.proven": { activity_id: 1, activity_name: "Isolate", status_id: 1, status: "Success" },
  "isolation.failed": { activity_id: 1, activity_name: "Isolate", status_id: 2, status: "Failure" },
  "release.requested": { activity_id: 4, activity_name: "Restore", status_id: 99, status: "Requested" },
  "isolation.released": { activity_id: 4, activity_name: "Restore", status_id: 1, status: "Success" },
};

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** One event for a SIEM; undefined for those that are none of its business (a test of a webhook). */
export function ocsfOf(event: EventItem): Record<string, unknown> | undefined {
  const { kind, at, tenantId, assetId, hostname, eventId, recordedAt, data } = event;
  const finding = FINDING[kind];
  const remediation = REMEDIATION[kind];
  const activity = finding ?? remediation;
  if (!activity) return undefined;
  const [class_uid, class_name, category_uid, category_name] = finding
    ? ([2004, "Detection Finding", 2, "Findings"] as const)
    : ([7001, "Remediation Activity", 7, "Remediation"] as const);
  return {
    metadata: {
      version: OCSF_VERSION,
      product: PRODUCT,
      uid: eventId,
      tenant_uid: tenantId,
      logged_time: Date.parse(recordedAt),
    },
    class_uid,
    class_name,
    category_uid,
    category_name,
    type_uid: class_uid * 100 + activity.activity_id,
    ...activity,
    ...(SEVERITY[String(data.risk ?? "INFO")] ?? SEVERITY.INFO),
    time: Date.parse(at),
    ...(assetId !== undefined && { device: { uid: assetId, hostname, type_id: 0 } }),
    ...(finding
      ? {
          finding_info: {
            uid: `${assetId}.${data.rule}.${data.engine}`,
            title: text(data.title) ?? text(data.rule),
            desc: text(data.explanation),
            created_time: Date.parse(String(data.openedAt ?? at)),
            ...(text(data.atlas) && { attacks: [{ version: "ATLAS", technique: { uid: data.atlas } }] }),
          },
          risk_score: data.points,
          ...(text(data.remediation) && { remediation: { desc: data.remediation } }),
        }
      : { command_uid: `${assetId}.${data.generation}`, message: text(data.reason) ?? text(data.mode) }),
  };
}
