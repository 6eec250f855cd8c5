import type { Collector, Engine, Store } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { ClaimsByProcess } from "./claims-by-process.ts";
import { EngineCompleter } from "./complete-engines.ts";
import { type Targets, targetsOf } from "./containment-targets.ts";
import type { Candidate, Facts } from "./identify/candidate.ts";
import { findCandidates } from "./identify/find-candidates.ts";
import { createLastingWeights } from "./identify/lasting-weights.ts";
import { computing } from "./identify/model-holders.ts";
import { selectEngines } from "./identify/select-engines.ts";
import { createSuspectsOf } from "./identify/suspects.ts";
import type { SystemReaders } from "./platform/system-readers.ts";
import { createByteBudget } from "./probe/kept-answer.ts";
import { type Heard, ListenerProber } from "./probe/probe-listeners.ts";
import { ancestorsOf } from "./processes/ancestors.ts";
import { AtRest } from "./stores/models-on-disk.ts";
import type { AnyListener, Listener, Snapshot } from "./system/host.ts";
import { createMemo } from "./system/memo.ts";
import { createUnixListening } from "./unix/unix-listening.ts";

/** Findings of one scan. `engines`, `stores` and `collectors` always conform to the wire schema and its limits. */
export type ScanReport = {
  engines: Engine[];
  /** Absent until all stores have been read. */
  stores?: Store[];
  collectors: Collector[];
  durationMs: number;
};

/**
 * A scan report with additional data that stays in this process. `targets`: the targets for containment, not
 * limited by the size of a heartbeat. `waiting`: work that exceeded the time budget and continues in a later
 * scan.
 */
export type ScanResult = ScanReport & {
  targets: Targets;
  waiting: readonly string[];
};

/** Optional data that a scan collects only if the tenant's settings allow it. */
export type ScanSettings = { clientDirectories: boolean };

/**
 * Budgets per scan in milliseconds. `hashMs` is for hashing executables. `storesMs` is for models on disk of
 * products that do not run. By default both budgets are small. The first scan of a daemon has to report
 * engines quickly, so it hashes little and reads no stores. The second scan continues this work.
 */
export type ScannerOptions = { hashMs?: number; storesMs?: number };

const STORES_MS = 5;

export type Scanner = {
  /**
   * Scans this host once. Never throws if data is unreadable, because the collectors report it. If the signal
   * is aborted, probing ends early and the result is `partial`. Call `scan` again only after the previous
   * call has resolved.
   */
  scan(signal?: AbortSignal, settings?: ScanSettings): Promise<ScanResult>;
};

/**
 * Creates a scanner with caches. It does not read an unchanged process (pid, start time) or probe an unchanged
 * listener again. The entry file creates it once:
 *
 *     createScanner(systemReaders({ platform: process.platform, procRoot: "/proc", selfPid: process.pid,
 *       homes: () => [homedir()], clock: Date.now, elapsed: () => performance.now() }))
 */
export function createScanner(readers: SystemReaders, options: ScannerOptions = {}): Scanner {
  const scanner = new HostScanner(readers, options);
  return { scan: (signal, settings) => scanner.scan(signal, settings) };
}

type Found = {
  candidates: readonly Candidate[];
  products: ReadonlySet<string>;
  listeners: readonly Listener[];
};

class HostScanner {
  readonly #readers: SystemReaders;
  readonly #storesMs: number | undefined;
  readonly #catalogue: Facts["catalogue"];
  readonly #suspectsOf: ReturnType<typeof createSuspectsOf>;
  readonly #listening: ListenerProber;
  readonly #unixListening: ReturnType<typeof createUnixListening>;
  readonly #claims: ClaimsByProcess;
  readonly #weights: ReturnType<typeof createLastingWeights>;
  readonly #atRest: AtRest;
  readonly #completer: EngineCompleter;
  readonly #heardMemo = createMemo<readonly Heard[]>();
  readonly #foundMemo = createMemo<Found>();
  readonly #selectionMemo = createMemo<ReturnType<typeof selectEngines>>();
  #suspects: ReadonlySet<number> = new Set();
  #scans = 0;

  constructor(readers: SystemReaders, options: ScannerOptions) {
    this.#readers = readers;
    this.#storesMs = options.storesMs;
    this.#catalogue = new Map(readers.catalogue.map((entry) => [entry.id, entry]));
    this.#suspectsOf = createSuspectsOf(readers.catalogue);
    const budgets = { kept: createByteBudget(), waiting: createByteBudget() };
    const probing = { ...readers, ...budgets, isSuspect: (pid: number) => this.#suspects.has(pid) };
    this.#listening = new ListenerProber(probing);
    this.#unixListening = createUnixListening(probing);
    this.#claims = new ClaimsByProcess(readers.catalogue, readers.host.languageOf);
    this.#weights = createLastingWeights(readers);
    this.#atRest = new AtRest(readers);
    this.#completer = new EngineCompleter(readers, this.#atRest, options.hashMs);
  }

  async scan(
    signal?: AbortSignal,
    { clientDirectories }: ScanSettings = { clientDirectories: false },
  ): Promise<ScanResult> {
    const startedAtMs = this.#readers.elapsed();
    const storesMs = this.#storesMs ?? (this.#scans > 0 ? STORES_MS : 0);
    this.#scans += 1;
    const { snapshot, claims, probes } = await this.#observeAndProbe(signal);
    const { candidates, products, listeners } = this.#findCandidates(snapshot, claims, probes.heard);
    const { peers, collector: clients } = this.#readers.host.peers(listeners);
    const facts = { snapshot, peers, clientDirectories, readsDisks: storesMs > 0 };
    const completed = this.#completer.complete(candidates, facts);
    const { engines, limits } = this.#selectionMemo(completed, () => selectEngines(completed));
    const stores = this.#readStores(candidates, products, storesMs);
    const collectors = [
      ...snapshot.collectors,
      this.#atRest.report(),
      ...probes.collectors,
      clients,
      ...limits,
    ];
    return {
      engines,
      ...(stores && { stores }),
      collectors: collectors.map(tidied),
      durationMs: this.#readers.elapsed() - startedAtMs,
      targets: targetsOf(candidates, completed),
      waiting: [
        ...(snapshot.waiting ?? []),
        ...probes.waiting,
        ...(storesMs > 0 && this.#atRest.isWaiting() ? ["models on disk are still being read"] : []),
      ],
    };
  }

  /**
   * Observes the host. Probing starts as soon as listeners are known, while the memory of processes is still
   * being read.
   */
  async #observeAndProbe(signal: AbortSignal | undefined) {
    const likelyOf = (listener: AnyListener) => this.#claims.likelyProducts(listener);
    const snapshot = await this.#readers.host.observe((sighting) => {
      this.#claims.preview(sighting.processes);
      this.#listening.begin(sighting, likelyOf, signal);
    });
    const claims = this.#claims.update(snapshot);
    this.#suspects = this.#suspectsOf(snapshot, claims);
    const [tcp, unix] = await Promise.all([
      this.#listening.update(snapshot, likelyOf, signal),
      this.#unixListening.update(snapshot, this.#suspects, likelyOf, signal),
    ]);
    const probes = {
      heard: this.#heardMemo([tcp.heard, unix.heard], () => [...tcp.heard, ...unix.heard]),
      collectors: [tcp.collector, ...(unix.collector ? [unix.collector] : [])],
      waiting: [...tcp.waiting, ...unix.waiting],
    };
    return { snapshot, claims, probes };
  }

  #findCandidates(snapshot: Snapshot, claims: Facts["claims"], heard: readonly Heard[]): Found {
    const facts: Facts = {
      snapshot,
      catalogue: this.#catalogue,
      heard,
      claims,
      selfPid: this.#readers.selfPid,
      lasting: this.#weights.update(snapshot),
      modelsOnDisk: this.#atRest.onDisk(),
    };
    return this.#foundMemo(inputsOf(facts), () => {
      const candidates = findCandidates(facts);
      return {
        candidates,
        products: new Set(candidates.map(({ id }) => id)),
        listeners: candidates.flatMap((candidate) => candidate.listeners),
      };
    });
  }

  #readStores(
    candidates: readonly Candidate[],
    products: ReadonlySet<string>,
    storesMs: number,
  ): Store[] | undefined {
    this.#readers.moved?.sight(candidates.filter(({ entry }) => entry?.directories).map(({ root }) => root));
    return this.#atRest.stores(products, storesMs);
  }
}

/** All inputs of the search for candidates. The search is not repeated if other processes start or end. */
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
  // If the owner of a socket is not readable, the search for its owner covers all processes.
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

const tidied = (collector: Collector): Collector =>
  collector.detail === undefined ? collector : { ...collector, detail: tidy(collector.detail, 240) };
