import type { ContainmentState } from "../../../shared/containment/containment-state.ts";
import type { Reporting } from "../../../shared/fleet/reporting.ts";
import type { Risk } from "../../../shared/table/items/asset/risk.ts";
import { Icon, type IconName } from "./icon.tsx";

export type Tone = "critical" | "warning" | "ok" | "info" | "quiet";

export const Badge = ({ tone, icon, children }: { tone: Tone; icon: IconName; children: string }) => (
  <span class={`badge ${tone}`}>
    <Icon name={icon} />
    {children}
  </span>
);

const RISK: Record<Risk, { tone: Tone; icon: IconName; label: string }> = {
  CRITICAL: { tone: "critical", icon: "critical", label: "Critical" },
  WARNING: { tone: "warning", icon: "warning", label: "Warning" },
  INFO: { tone: "quiet", icon: "info", label: "No risk found" },
};

export const RiskBadge = ({ risk }: { risk: Risk }) => (
  <Badge tone={RISK[risk].tone} icon={RISK[risk].icon}>
    {RISK[risk].label}
  </Badge>
);

/** Short labels of containment states. The containment panel explains each state in a sentence. */
const CONTAINMENT: Record<ContainmentState, { tone: Tone; icon: IconName; label: string }> = {
  active: { tone: "quiet", icon: "ok", label: "Not contained" },
  pending: { tone: "warning", icon: "pending", label: "Isolation pending" },
  acknowledged: { tone: "info", icon: "eye", label: "Acknowledged, observe only" },
  enforced: { tone: "ok", icon: "isolated", label: "Isolated, proven" },
  failed: { tone: "critical", icon: "failed", label: "Isolation failed" },
  expired: { tone: "critical", icon: "failed", label: "Isolation expired" },
  releasing: { tone: "warning", icon: "pending", label: "Release pending" },
  "release-failed": { tone: "critical", icon: "failed", label: "Release failed" },
  "released-offline": { tone: "critical", icon: "failed", label: "Released with a code" },
};

export const ContainmentBadge = ({ state }: { state: ContainmentState }) => (
  <Badge tone={CONTAINMENT[state].tone} icon={CONTAINMENT[state].icon}>
    {CONTAINMENT[state].label}
  </Badge>
);

const REPORTING: Record<Reporting, { tone: Tone; icon: IconName; label: string }> = {
  reporting: { tone: "ok", icon: "ok", label: "Reporting" },
  silent: { tone: "warning", icon: "silent", label: "Silent" },
  never: { tone: "quiet", icon: "absent", label: "Never seen" },
};

export const ReportingBadge = ({ reporting }: { reporting: Reporting }) => (
  <Badge tone={REPORTING[reporting].tone} icon={REPORTING[reporting].icon}>
    {REPORTING[reporting].label}
  </Badge>
);

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
