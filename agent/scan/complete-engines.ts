import type { Model } from "../../shared/wire/heartbeat.ts";
import { type Candidate, UNREADABLE_PID } from "./identify/candidate.ts";
import { toEngine } from "./identify/to-engine.ts";
import type { Peers } from "./network/client-connections.ts";
import type { SystemReaders } from "./platform/system-readers.ts";
import { createExecutables, type Executables } from "./processes/executable-hashes.ts";
import { type AtRest, NONE_AT_REST } from "./stores/models-on-disk.ts";
import type { Language, ProcessFacts, Snapshot } from "./system/host.ts";
import { createMemo } from "./system/memo.ts";

/** A candidate as an engine of the heartbeat. */
export type CompletedEngine = ReturnType<typeof toEngine>;

/** Facts of one scan that all candidates share. */
export type ScanFacts = {
  snapshot: Snapshot;
  peers: Peers["peers"];
  /** Reports the working directories of clients (tenant setting). */
  clientDirectories: boolean;
  /** Reads models on disk in this scan. */
  readsDisks: boolean;
};

type Shared = ScanFacts & { described: readonly Model[]; homes: readonly string[] };

/**
 * Adds further facts to candidates: models on disk, package, signer, language and hash of the executable, and clients. A
 * candidate whose facts are unchanged since the last scan gets the same result.
 */
export class EngineCompleter {
  readonly #readers: SystemReaders;
  readonly #atRest: AtRest;
  readonly #executables: Executables;
  readonly #hashes = new WeakMap<ProcessFacts, string>();
  readonly #languages = new WeakMap<ProcessFacts, Language | "none">();
  readonly #memos = new WeakMap<Candidate, ReturnType<typeof createMemo<CompletedEngine>>>();

  /** @param hashMs budget of a scan for hashing executables, see {@link createExecutables} */
  constructor(readers: SystemReaders, atRest: AtRest, hashMs?: number) {
    this.#readers = readers;
    this.#atRest = atRest;
    this.#executables = createExecutables(readers, hashMs);
  }

  complete(candidates: readonly Candidate[], facts: ScanFacts): CompletedEngine[] {
    this.#executables.begin();
    const shared = { ...facts, described: this.#atRest.cached(), homes: this.#readers.homes() };
    return candidates.map((candidate) => this.#completeOne(candidate, shared));
  }

  #completeOne(candidate: Candidate, shared: Shared): CompletedEngine {
    const { snapshot, peers, clientDirectories, readsDisks, described, homes } = shared;
    const { host, selfPid } = this.#readers;
    const { entry, root } = candidate;
    const directoryOf = clientDirectories ? host.workingDirectory : undefined;
    const known = {
      atRest: entry && readsDisks ? this.#atRest.read(entry) : NONE_AT_REST,
      described,
      package: host.packageOf?.(root),
      signer: host.signerOf?.(root),
      language: this.#languageOf(root),
      executableSha256: this.#hashOf(root),
    };
    const inputs: unknown[] = [homes, ...Object.values(known)];
    for (const listener of candidate.listeners) {
      for (const peer of peers.get(listener.key) ?? []) {
        inputs.push(peer);
        if ("pid" in peer) inputs.push(snapshot.processes.get(peer.pid), directoryOf?.(peer.pid));
      }
    }
    const memo = this.#memos.get(candidate) ?? createMemo<CompletedEngine>();
    this.#memos.set(candidate, memo);
    return memo(inputs, () =>
      toEngine(candidate, { ...known, snapshot, peers, selfPid, homes, directoryOf }),
    );
  }

  #languageOf(root: ProcessFacts): Language | "none" | undefined {
    if (root.pid === UNREADABLE_PID) return undefined;
    const language = this.#languages.get(root) ?? this.#readers.host.languageOf?.(root);
    if (language !== undefined) this.#languages.set(root, language);
    return language;
  }

  /** Cached by process facts: a process that executes another program has new facts. */
  #hashOf(root: ProcessFacts): string | undefined {
    const { host } = this.#readers;
    const file = root.pid === UNREADABLE_PID ? undefined : host.executableFile(root);
    if (file === undefined) return undefined;
    const isLocal = host.isExecutableLocal?.(root) ?? true;
    const hash =
      this.#hashes.get(root) ??
      (isLocal ? this.#executables.sha256(file) : this.#executables.sha256Remote(file, root.key));
    if (hash !== undefined) this.#hashes.set(root, hash);
    return hash;
  }
}
