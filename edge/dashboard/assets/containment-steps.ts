import { REPORT_REFUSED, UNSIGNED } from "../../../shared/containment/containment-state.ts";
import type { AssetView } from "../../control/assets/asset-view.ts";
import type { CustodyView } from "../../control/custody/list-custody.ts";

export type StepStatus = "done" | "waiting" | "failed" | "not-reached" | "does-not-apply";

export type Step = {
  name: "Requested" | "Acknowledged" | "Proven";
  status: StepStatus;
  at?: string;
  /** Facts about this step, one sentence each. */
  facts: string[];
  /** Time at which the directive expires. */
  until?: string;
};

/**
 * The three steps of the newest containment change: requested, acknowledged, proven. They are derived from
 * the stored request, its custody record, and the agent's report on the same generation. A report on another
 * generation proves nothing about this change. Undefined if no change was ever requested.
 */
export function containmentSteps(asset: AssetView, record: CustodyView | undefined): Step[] | undefined {
  const { containment, generation } = asset;
  if (!containment.requestedAt) return undefined;
  const action = asset.status === "ISOLATED" ? "isolate" : "release";
  const report = containment.proof;
  const answered =
    report && report.generation === generation && report.action === action && report.outcome !== "none"
      ? report
      : undefined;
  return [
    {
      name: "Requested",
      status: "done",
      at: containment.requestedAt,
      facts: [
        `Generation ${generation}: ${action}, mode ${containment.mode ?? "observe"}${
          containment.stopEnginesBy ? ` (${containment.stopEnginesBy})` : ""
        }`,
        ...(record && record.generation === generation
          ? [`By ${record.operatorId} from ${record.sourceIp}`]
          : []),
      ],
      ...(containment.expiresAt !== undefined && { until: containment.expiresAt }),
    },
    acknowledged(asset, answered),
    proven(asset, action, answered),
  ];
}

type Report = NonNullable<AssetView["containment"]["proof"]>;

function acknowledged({ containment }: AssetView, answered: Report | undefined): Step {
  const name = "Acknowledged";
  if (answered) {
    return {
      name,
      status: "done",
      at: answered.at,
      facts: [`The agent reported on generation ${answered.generation}`],
    };
  }
  if (containment.state === "expired") {
    return { name, status: "failed", facts: ["The directive expired before the agent applied it"] };
  }
  const facts = containment.offline
    ? ["The host is silent. It gets the directive with its next heartbeat"]
    : ["The host gets the directive in the response to its next heartbeat"];
  return { name, status: "waiting", facts };
}

function proven(
  { containment }: AssetView,
  action: "isolate" | "release",
  answered: Report | undefined,
): Step {
  const name = "Proven";
  if (!answered) {
    const { reason } = containment;
    const isUnsigned =
      reason === UNSIGNED || Object.values<string | undefined>(REPORT_REFUSED).includes(reason);
    return {
      name,
      status: containment.state === "expired" ? "not-reached" : "waiting",
      facts: [isUnsigned ? `Not proven: ${reason}` : "Not proven yet"],
    };
  }
  const probes = probeFacts(answered);
  if (containment.state === "failed" || containment.state === "release-failed") {
    const reason = containment.reason ?? answered.reason ?? "no reason given";
    return { name, status: "failed", at: answered.at, facts: [`Failed: ${reason}`, ...probes] };
  }
  if (containment.state === "acknowledged") {
    const facts = ["Mode observe does not block anything, so there is nothing to prove", ...probes];
    return { name, status: "does-not-apply", facts };
  }
  if (containment.state === "enforced") {
    return {
      name,
      status: "done",
      at: answered.at,
      facts: [...stoppingFacts(containment, answered), ...probes],
    };
  }
  if (action === "release" && containment.state === "active") {
    return {
      name,
      status: "done",
      at: answered.at,
      facts: ["The agent reported that the release was applied", ...probes],
    };
  }
  return { name, status: "waiting", facts: [containment.reason ?? "Not proven yet", ...probes] };
}

/** Says how the engines were stopped, as reported by the agent. */
function stoppingFacts({ mode, reason }: AssetView["containment"], report: Report): string[] {
  if (mode !== "stop-engines") return [];
  const done = `Engines: ${report.stopEnginesBy === "terminate" ? "terminated" : "suspended"}`;
  return [done, ...[report.reason, reason].flatMap((words) => words ?? [])];
}

function probeFacts({ probes }: Report): string[] {
  if (!probes) return [];
  const blocked =
    probes.forbiddenBlocked === null
      ? "Address that must be blocked: not probed, because this mode blocks no addresses"
      : `Address that must be blocked: ${probes.forbiddenBlocked ? "blocked" : "still reachable"}`;
  return [`Control plane: ${probes.controlPlaneReachable ? "reachable" : "not reachable"}`, blocked];
}
