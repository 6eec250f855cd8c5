import { type Collector, type Engine, LIMITS } from "../shared/wire/heartbeat.ts";
import { tidy } from "../shared/wire/text.ts";
import { createAtRest } from "./collect/at-rest.ts";
import { type Candidate, findCandidates, UNREADABLE_PID } from "./collect/candidates.ts";
import { type Claim, createClaimsOf } from "./collect/claims.ts";
import { toEngine } from "./collect/engines.ts";
import { createExecutables } from "./collect/executables.ts";
import type { Listener, Snapshot } from "./collect/host.ts";
import { createListening } from "./collect/listening.ts";
import type { SystemReaders } from "./collect/system.ts";

/** What one scan found. `engines` and `collectors` always parse with the wire schema and its limits. */
export type ScanResult = { engines: Engine[]; collectors: Collector[]; durationMs: number };

/** What the tenant's settings allow a scan to collect beyond the default. */
export type ScanSettings = { clientDirectories: boolean };

export type Scanner = {
  /**
   * Looks at this host once. Never throws for what it cannot read: the collectors say so. An aborted signal
   * ends probing early and what was found until then is returned, marked `partial`. One scan at a time.
   */
  scan(signal?: AbortSignal, settings?: ScanSettings): Promise<ScanResult>;
};

/**
 * A scanner that remembers: an unchanged process (pid, start time) is not read again, an unchanged listener
 * is not probed again. Built once by the entry file:
 *
 *     createScanner(systemReaders({ platform: process.platform, procRoot: "/proc", selfPid: process.pid,
 *       homes: [homedir()], clock: Date.now, elapsed: () => performance.now() }))
 */
export function createScanner(readers: SystemReaders): Scanner {
  const entries = new Map(readers.catalogue.map((entry) => [entry.id, entry]));
  const listening = createListening(readers);
  const atRest = createAtRest(readers);
  const executables = createExecutables(readers);
  const claims = createClaims(readers);
  return {
    scan: async (signal, settings = { clientDirectories: false }) => {
      const startedAtMs = readers.elapsed();
      const snapshot = await readers.host.observe();
      const claimed = claims.update(snapshot);
      const likelyOf = (listener: Listener) => claims.likely(listener);
      const { heard, collector: http } = await listening.update(snapshot, likelyOf, signal);
      const facts = { snapshot, catalogue: entries, heard, claims: claimed, selfPid: readers.selfPid };
      const candidates = findCandidates(facts);
      const { peers, collector: clients } = readers.host.peers(
        candidates.flatMap((candidate) => candidate.heard.map(({ listener }) => listener)),
      );
      executables.begin();
      const complete = (candidate: Candidate) => {
        const isReadable = candidate.root.pid !== UNREADABLE_PID;
        const file = isReadable ? readers.host.executableFile(candidate.root) : undefined;
        return toEngine(candidate, {
          snapshot,
          peers,
          selfPid: readers.selfPid,
          homes: readers.homes,
          atRest: candidate.entry ? atRest.read(candidate.entry) : [],
          package: readers.host.packageOf?.(candidate.root),
          executableSha256: file === undefined ? undefined : executables.sha256(file),
          directoryOf: settings.clientDirectories ? readers.host.workingDirectory : undefined,
        });
      };
      const { engines, limits } = cutToLimits(candidates.map(complete));
      const collectors = [...snapshot.collectors, http, clients, ...limits].map(tidied);
      return { engines, collectors, durationMs: readers.elapsed() - startedAtMs };
    },
  };
}

/** Strongest first, as many as a heartbeat takes, and a word about the rest. */
function cutToLimits(complete: readonly { engine: Engine; cut: number }[]): {
  engines: Engine[];
  limits: Collector[];
} {
  const sorted = complete
    .map(({ engine }) => engine)
    .sort((a, b) => b.confidence - a.confidence || (a.pid ?? 0) - (b.pid ?? 0));
  const engines = sorted.slice(0, LIMITS.ENGINES_MAX);
  const items = complete.reduce((sum, { cut }) => sum + cut, 0);
  const problems = [
    ...(sorted.length > engines.length ? [`${sorted.length - engines.length} engines left out`] : []),
    ...(items > 0 ? [`${items} items of engines left out`] : []),
  ];
  if (problems.length === 0) return { engines, limits: [] };
  return { engines, limits: [{ name: "limits", status: "partial", detail: problems.join("; ") }] };
}

const tidied = (collector: Collector): Collector =>
  collector.detail === undefined ? collector : { ...collector, detail: tidy(collector.detail, 240) };

/** What processes claim to be, worked out when a process is new or its libraries changed. */
function createClaims(readers: SystemReaders) {
  const claimsOf = createClaimsOf(readers.catalogue);
  const known = new Map<number, { key: string; claims: Claim[] }>();
  const byPort = new Map<number, string[]>();
  for (const entry of readers.catalogue) {
    for (const port of entry.ports) byPort.set(port, [...(byPort.get(port) ?? []), entry.id]);
  }
  return {
    update: (snapshot: Snapshot): Map<number, Claim[]> => {
      const made = new Map<number, Claim[]>();
      for (const pid of known.keys()) if (!snapshot.processes.has(pid)) known.delete(pid);
      for (const process of snapshot.processes.values()) {
        const libraries = snapshot.libraries.get(process.pid) ?? [];
        const key = `${process.key} ${process.executable} ${libraries.length}`;
        let entry = known.get(process.pid);
        if (entry?.key !== key) {
          entry = { key, claims: claimsOf(process, libraries) };
          known.set(process.pid, entry);
        }
        if (entry.claims.length > 0) made.set(process.pid, entry.claims);
      }
      return made;
    },
    /** Products worth asking a listener about first: what its process claims, then what its port suggests. */
    likely: ({ pid, port }: Listener): ReadonlySet<string> => {
      const claims = (pid === undefined ? undefined : known.get(pid)?.claims) ?? [];
      return new Set([...claims.map((claim) => claim.product), ...(byPort.get(port) ?? [])]);
    },
  };
}
