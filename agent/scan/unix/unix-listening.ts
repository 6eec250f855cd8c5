import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type Heard, type LikelyOf, ListenerProber } from "../probe/probe-listeners.ts";
import type { FingerprintDeps } from "../probe/probe-session.ts";
import type { AnyListener, Host, Snapshot } from "../system/host.ts";

export type UnixListening = {
  update(
    snapshot: Snapshot,
    suspects: ReadonlySet<number>,
    likelyOf: LikelyOf,
    signal?: AbortSignal,
  ): Promise<{ heard: readonly Heard[]; collector?: Collector; waiting: readonly string[] }>;
};

/** Probes only the unix sockets of suspected AI processes (suspects.ts). */
export function createUnixListening(
  deps: FingerprintDeps & { host: Host; selfPid: number; isSuspect: (pid: number) => boolean },
): UnixListening {
  const listening = new ListenerProber(deps);
  const NONE: { heard: readonly Heard[]; waiting: readonly string[] } = { heard: [], waiting: [] };

  return {
    update: async ({ processes }, suspects, likelyOf, signal) => {
      if (!deps.host.unixListeners) return NONE;
      const { listeners, collector } = deps.host.unixListeners(suspects);
      const sighting: { processes: Snapshot["processes"]; listeners: readonly AnyListener[] } = {
        processes,
        listeners,
      };
      const asked = await listening.update(sighting, likelyOf, signal);
      return { ...asked, collector: joined(collector, asked.collector) };
    },
  };
}

function joined(found: Collector, asked: Collector): Collector {
  if (asked.status === "ok") return found;
  const problems = [...(found.status === "ok" ? [] : [found.detail]), asked.detail];
  return { ...found, status: "partial", detail: problems.join("; ") };
}
