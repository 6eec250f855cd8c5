import type { TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { Badge } from "../components/badges.tsx";
import type { IconName } from "../components/icon.tsx";

const STATUS: Record<
  Collector["status"],
  { tone: "ok" | "warning" | "critical" | "quiet"; icon: IconName; label: string }
> = {
  ok: { tone: "ok", icon: "ok", label: "Read" },
  partial: { tone: "warning", icon: "warning", label: "Partly read" },
  failed: { tone: "critical", icon: "failed", label: "Failed" },
  unsupported: { tone: "quiet", icon: "absent", label: "Not supported here" },
};

const STATUS_ORDER: readonly Collector["status"][] = ["failed", "partial", "unsupported", "ok"];

/** Sources that the agent reads on a host, with their status. Sources with problems come first. */
export const AssetSources = ({ state }: { state: TelemetryChange | undefined }) => {
  const collectors = [...(state?.collectors ?? [])].sort(
    (a, b) => STATUS_ORDER.indexOf(a.status) - STATUS_ORDER.indexOf(b.status),
  );
  return (
    <section id="sources" class="card" data-live aria-labelledby="sources-title">
      <div class="card-head">
        <h2 id="sources-title">Sources</h2>
      </div>
      {collectors.length === 0 ? (
        <p class="muted">The agent has not reported any source yet.</p>
      ) : (
        <ul class="rows">
          {collectors.map((collector) => (
            <li data-key={collector.name}>
              <div>
                <bdi class="mono">{collector.name}</bdi>
                {collector.detail && (
                  <p class="muted small">
                    <bdi>{collector.detail}</bdi>
                  </p>
                )}
              </div>
              <Badge tone={STATUS[collector.status].tone} icon={STATUS[collector.status].icon}>
                {STATUS[collector.status].label}
              </Badge>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
};
