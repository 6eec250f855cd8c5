import { timestamp } from "../../shared/time/clock.ts";
import type { Collector, Engine, Model, Store } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { type Candidate, type Facts, isCertain, isReader, UNREADABLE_PID } from "./identify/candidate.ts";
import { findCandidates } from "./identify/find-candidates.ts";
import { createLastingWeights } from "./identify/lasting-weights.ts";
import { computing } from "./identify/model-holders.ts";
import { type Claim, createClaimsOf } from "./identify/process-claims.ts";
import { selectEngines } from "./identify/select-engines.ts";
import { createSuspectsOf } from "./identify/suspects.ts";
import { toEngine } from "./identify/to-engine.ts";
import type { Peers } from "./network/client-connections.ts";
import type { SystemReaders } from "./platform/system-readers.ts";
import { createByteBudget } from "./probe/kept-answer.ts";
import { type Heard, ListenerProber } from "./probe/probe-listeners.ts";
import { ancestorsOf } from "./processes/ancestors.ts";
import { createExecutables, type Executables } from "./processes/executable-hashes.ts";
import { AtRest, NONE_AT_REST } from "./stores/models-on-disk.ts";
import {
  type AnyListener,
  type Host,
  isTcp,
  type Language,
  type Listener,
  type ProcessFacts,
  type Snapshot,
} from "./system/host.ts";
import { createMemo } from "./system/memo.ts";
import { createUnixListening } from "./unix/unix-listening.ts";

/** What one scan found. `engines`, `stores` and `collectors` always parse with the wire schema and its limits. */
export type ScanReport = {
  engines: Engine[];
  /** Absent until there was time to look at all of them. */
  stores?: Store[];
  collectors: Collector[];
  durationMs: number;
};

/**
 * `certain`: engines that no other local user can have attributed to their process. `unsure`: those known by answers at
 * an address of a container alone.
 */
export type Targets = { certain: readonly Engine[]; unsure: readonly Engine[] };

/**
 * A scan, with what stays in this process. `targets` are for containment and are not cut to what a heartbeat holds.
 * `waiting`: what the time budget left out; a later scan continues with it. `unanswered`: what could not be read because
 * its file system does not answer.
 */
export type ScanResult = ScanReport & {
  targets: Targets;
  waiting: readonly string[];
  unanswered: readonly string[];
};

/** What the tenant's settings allow a scan to collect beyond the default. */
export type ScanSettings = { clientDirectories: boolean };

/**
 * Milliseconds that each scan may hash executables, and look for models on disk of what does not run. Without them a
 * few. The first scan of a daemon names what runs, hashes hardly and leaves disks alone: the next one goes on.
 */
export type ScannerOptions = { hashMs?: number; storesMs?: number };

const STORES_MS = 5;

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
 *       homes: () => [homedir()], clock: Date.now, elapsed: () => performance.now() }))
 */
export function createScanner(readers: SystemReaders, options: ScannerOptions = {}): Scanner {
  const entries = new Map(readers.catalogue.map((entry) => [entry.id, entry]));
  const budgets = { kept: createByteBudget(), waiting: createByteBudget() };
  const suspectsOf = createSuspectsOf(readers.catalogue);
  let suspects: ReadonlySet<number> = new Set();
  const asking = { ...readers, ...budgets, isSuspect: (pid: number) => suspects.has(pid) };
  const listening = new ListenerProber(asking);
  const unixListening = createUnixListening(asking);
  const claims = createClaims(readers);
  const weights = createLastingWeights(readers);
  const candidates = createMemo<Found>();
  const answers = createMemo<readonly Heard[]>();
  const selection = createMemo<ReturnType<typeof selectEngines>>();
  const atRest = new AtRest(readers);
  let scans = 0;
  const complete = createCompleter(readers, atRest, createExecutables(readers, options.hashMs));
  return {
    scan: async (signal, settings = { clientDirectories: false }) => {
      const startedAtMs = readers.elapsed();
      const storesMs = options.storesMs ?? (scans > 0 ? STORES_MS : 0);
      scans += 1;
      const likelyOf = (listener: AnyListener) => claims.likely(listener);
      const snapshot = await readers.host.observe((sighting) => {
        claims.sight(sighting.processes);
        listening.begin(sighting, likelyOf, signal);
      });
      const claimed = claims.update(snapshot);
      suspects = suspectsOf(snapshot, claimed);
      const [tcp, unix] = await Promise.all([
        listening.update(snapshot, likelyOf, signal),
        unixListening.update(snapshot, suspects, likelyOf, signal),
      ]);
      const heard = answers([tcp.heard, unix.heard], () => [...tcp.heard, ...unix.heard]);
      const lasting = weights.update(snapshot);
      const facts = {
        snapshot,
        catalogue: entries,
        heard,
        claims: claimed,
        selfPid: readers.selfPid,
        lasting,
        modelsOnDisk: atRest.onDisk(),
      };
      const { found, ids, listeners } = candidates(inputsOf(facts), () => foundOf(findCandidates(facts)));
      const { peers, collector: clients } = readers.host.peers(listeners);
      const completed = complete(found, { snapshot, peers, settings, looksAtDisks: storesMs > 0 });
      const { engines, limits } = selection(completed, () => selectEngines(completed));
      readers.moved?.sight(found.filter(({ entry }) => entry?.directories).map(({ root }) => root));
      const stores = atRest.stores(ids, storesMs);
      const collectors = [
        ...snapshot.collectors,
        atRest.report(),
        tcp.collector,
        ...(unix.collector ? [unix.collector] : []),
        clients,
        ...limits,
      ];
      return {
        engines,
        ...(stores && { stores }),
        collectors: collectors.map(tidied),
        durationMs: readers.elapsed() - startedAtMs,
        targets: targetsOf(found, completed),
        unanswered: snapshot.unanswered ?? [],
        waiting: [
          ...(snapshot.waiting ?? []),
          ...tcp.waiting,
          ...unix.waiting,
          ...(storesMs > 0 && atRest.isWaiting() ? ["models on disk are still being read"] : []),
        ],
      };
    },
  };
}

type Found = {
  found: readonly Candidate[];
  ids: ReadonlySet<string>;
  listeners: readonly Listener[];
};

const foundOf = (found: readonly Candidate[]): Found => ({
  found,
  ids: new Set(found.map(({ id }) => id)),
  listeners: found.flatMap((candidate) => candidate.listeners),
});

/** All that the candidates are made of: other processes may come and go without a thought to these. */
function inputsOf({ snapshot, heard, claims, lasting, modelsOnDisk }: Facts): unknown[] {
  const inputs: unknown[] = [
    snapshot.listeners,
    heard,
    claims,
    snapshot.weights,
    snapshot.libraries,
    snapshot.gpu,
    snapshot.anonymous,
    snapshot.forwards,
    lasting,
    modelsOnDisk,
  ];
  // The owner of a socket that nobody may look at is searched for among all processes.
  if (heard.some(({ listener }) => listener.pid === undefined)) inputs.push(snapshot.processes);
  const pids = new Set([
    ...claims.keys(),
    ...snapshot.weights.keys(),
    ...computing(snapshot),
    ...(snapshot.anonymous?.keys() ?? []),
  ]);
  for (const { pid } of snapshot.listeners) if (pid !== undefined) pids.add(pid);
  for (const { listener } of heard) if (listener.pid !== undefined) pids.add(listener.pid);
  for (const pid of pids) {
    const process = snapshot.processes.get(pid);
    inputs.push(process, ...(process ? ancestorsOf(process, snapshot) : []));
  }
  return inputs;
}

type Completed = ReturnType<typeof toEngine>;

/** One target for each process that started on its own: what runs below it is found from there. */
const targetsIn = ({ siblings = [] }: Candidate, engine: Engine): Engine[] => [
  engine,
  ...siblings.map(({ pid, startedAtMs, executable }): Engine => {
    const { processStartedAt: _, executable: __, ...same } = engine;
    return {
      ...same,
      pid,
      ...(startedAtMs !== undefined && { processStartedAt: timestamp(startedAtMs) }),
      ...(executable !== undefined && { executable }),
    };
  }),
];

function targetsOf(found: readonly Candidate[], completed: readonly Completed[]): Targets {
  const certain: Engine[] = [];
  const unsure: Engine[] = [];
  for (const [at, candidate] of found.entries()) {
    if (isReader(candidate)) continue;
    const isSure = candidate.root.pid === UNREADABLE_PID || isCertain(candidate);
    (isSure ? certain : unsure).push(...targetsIn(candidate, completed[at]!.engine));
  }
  return { certain, unsure };
}

/** The same for all candidates of a scan. */
type Shared = { described: readonly Model[]; homes: readonly string[] };
type Now = {
  snapshot: Snapshot;
  peers: Peers["peers"];
  settings: ScanSettings;
  looksAtDisks: boolean;
};

/** Adds to candidates what else is known of them. Whose facts are those of the scan before is not described anew. */
function createCompleter(readers: SystemReaders, atRest: AtRest, executables: Executables) {
  const hashes = new WeakMap<ProcessFacts, string>();
  const languages = new WeakMap<ProcessFacts, Language | "none">();
  const memos = new WeakMap<Candidate, ReturnType<typeof createMemo<Completed>>>();
  return (found: readonly Candidate[], now: Now): Completed[] => {
    executables.begin();
    const shared = { described: atRest.cached(), homes: readers.homes() };
    return found.map((candidate) => completeOne(candidate, { ...now, ...shared }));
  };

  function completeOne(
    candidate: Candidate,
    { snapshot, peers, settings, looksAtDisks, described, homes }: Now & Shared,
  ): Completed {
    const { host } = readers;
    const directoryOf = settings.clientDirectories ? host.workingDirectory : undefined;
    const known = {
      atRest: candidate.entry && looksAtDisks ? atRest.read(candidate.entry) : NONE_AT_REST,
      described,
      package: host.packageOf?.(candidate.root),
      signer: host.signerOf?.(candidate.root),
      language: languageOf(candidate.root),
      executableSha256: hashOf(candidate.root),
    };
    const inputs: unknown[] = [homes, ...Object.values(known)];
    for (const listener of candidate.listeners) {
      for (const peer of peers.get(listener.key) ?? []) {
        inputs.push(peer);
        if ("pid" in peer) inputs.push(snapshot.processes.get(peer.pid), directoryOf?.(peer.pid));
      }
    }
    const memo = memos.get(candidate) ?? createMemo<Completed>();
    memos.set(candidate, memo);
    const { selfPid } = readers;
    return memo(inputs, () =>
      toEngine(candidate, { ...known, snapshot, peers, selfPid, homes, directoryOf }),
    );
  }

  function languageOf(root: ProcessFacts): ReturnType<NonNullable<Host["languageOf"]>> {
    if (root.pid === UNREADABLE_PID) return undefined;
    const language = languages.get(root) ?? readers.host.languageOf?.(root);
    if (language !== undefined) languages.set(root, language);
    return language;
  }

  /** A process has one executable for life; facts of a process are new ones when it becomes another program. */
  function hashOf(root: ProcessFacts): string | undefined {
    const file = root.pid === UNREADABLE_PID ? undefined : readers.host.executableFile(root);
    if (file === undefined) return undefined;
    const isLocal = readers.host.isExecutableLocal?.(root) ?? true;
    const hash =
      hashes.get(root) ?? (isLocal ? executables.sha256(file) : executables.sha256Remote(file, root.key));
    if (hash !== undefined) hashes.set(root, hash);
    return hash;
  }
}

const tidied = (collector: Collector): Collector =>
  collector.detail === undefined ? collector : { ...collector, detail: tidy(collector.detail, 240) };

/** What processes claim to be, worked out when a process is new or its libraries changed. */
function createClaims(readers: SystemReaders) {
  const claimsOf = createClaimsOf(readers.catalogue);
  const known = new Map<number, { process: ProcessFacts; libraries: readonly string[]; claims: Claim[] }>();
  let made: ReadonlyMap<number, readonly Claim[]> | undefined;
  const unlessSame = createMemo<void>();
  let loaded: Snapshot["libraries"] = new Map();
  const byPort = new Map<number, string[]>();
  for (const entry of readers.catalogue) {
    for (const port of entry.ports) byPort.set(port, [...(byPort.get(port) ?? []), entry.id]);
  }
  const forget = (pid: number): void => {
    if (known.get(pid)?.claims.length) made = undefined;
    known.delete(pid);
  };
  const look = (processes: Snapshot["processes"]): void => {
    for (const pid of known.keys()) if (!processes.has(pid)) forget(pid);
    for (const process of processes.values()) {
      const libraries = loaded.get(process.pid) ?? NO_LIBRARIES;
      const before = known.get(process.pid);
      if (before && isSameProgram(before.process, process) && before.libraries === libraries) continue;
      forget(process.pid);
      const claims = claimsOf(process, libraries);
      if (claims.length > 0) made = undefined;
      known.set(process.pid, { process, libraries, claims });
    }
  };
  const lookAt = (processes: Snapshot["processes"]): void =>
    unlessSame([processes, loaded], () => look(processes));
  return {
    /** What new processes claim before their memory was read. */
    sight: lookAt,
    /** The same map as before while it says the same. */
    update: ({ processes, libraries }: Snapshot): ReadonlyMap<number, readonly Claim[]> => {
      loaded = libraries;
      lookAt(processes);
      made ??= new Map([...known].flatMap(([pid, { claims }]) => (claims.length > 0 ? [[pid, claims]] : [])));
      return made;
    },
    /** Products worth asking a listener about first: what its process claims, then what its port suggests. */
    likely: (listener: AnyListener): ReadonlySet<string> => {
      const { pid } = listener;
      const claims = (pid === undefined ? undefined : known.get(pid)?.claims) ?? [];
      const byDefault = isTcp(listener) ? byPort.get(listener.port) : undefined;
      return new Set([...claims.map((claim) => claim.product), ...(byDefault ?? [])]);
    },
  };
}

const NO_LIBRARIES: readonly string[] = [];

const isSameProgram = (before: ProcessFacts, after: ProcessFacts): boolean =>
  before === after ||
  (before.key === after.key &&
    before.executable === after.executable &&
    before.argv.length === after.argv.length &&
    before.argv.every((word, at) => word === after.argv[at]));
