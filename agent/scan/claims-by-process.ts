import type { CatalogEntry } from "../catalogue/entry.ts";
import { type Claim, createClaimsOf } from "./identify/process-claims.ts";
import { type AnyListener, type Host, isTcp, type ProcessFacts, type Snapshot } from "./system/host.ts";
import { createMemo } from "./system/memo.ts";

type Known = { process: ProcessFacts; libraries: readonly string[]; claims: readonly Claim[] };

const NO_LIBRARIES: readonly string[] = [];

/**
 * Products that each process claims to be, by its name, command line and libraries. A process is evaluated when it is new,
 * executes another program or loads other libraries.
 */
export class ClaimsByProcess {
  readonly #claimsOf: ReturnType<typeof createClaimsOf>;
  readonly #byDefaultPort = new Map<number, string[]>();
  readonly #known = new Map<number, Known>();
  readonly #ifChanged = createMemo<void>();
  #libraries: Snapshot["libraries"] = new Map();
  /** Result of the last {@link update}; undefined after a change. */
  #result: ReadonlyMap<number, readonly Claim[]> | undefined;

  /** Processes whose claims depend on the content of their executable, which was not readable yet. */
  readonly #undecided = new Set<number>();

  /** `languageOf`: language that the executable of a process interprets, by its content. */
  constructor(catalogue: readonly CatalogEntry[], languageOf?: Host["languageOf"]) {
    this.#claimsOf = createClaimsOf(catalogue, (process) => {
      const language = languageOf?.(process);
      if (languageOf && language === undefined) this.#undecided.add(process.pid);
      return language;
    });
    for (const { id, ports } of catalogue) {
      for (const port of ports) this.#byDefaultPort.set(port, [...(this.#byDefaultPort.get(port) ?? []), id]);
    }
  }

  /** Evaluates new processes with the libraries of the last scan, before their memory is read. */
  preview(processes: Snapshot["processes"]): void {
    this.#ifChanged([processes, this.#libraries], () => this.#evaluate(processes));
  }

  /** Claims by pid. Returns the same map as before while the claims are unchanged. */
  update({ processes, libraries }: Snapshot): ReadonlyMap<number, readonly Claim[]> {
    this.#libraries = libraries;
    this.preview(processes);
    if (this.#undecided.size > 0) this.#evaluate(processes);
    this.#result ??= new Map(
      [...this.#known].flatMap(([pid, { claims }]) => (claims.length > 0 ? [[pid, claims]] : [])),
    );
    return this.#result;
  }

  /** Products to probe a listener for first: claims of its process, then products with this default port. */
  likelyProducts(listener: AnyListener): ReadonlySet<string> {
    const { pid } = listener;
    const claims = (pid === undefined ? undefined : this.#known.get(pid)?.claims) ?? [];
    const byPort = isTcp(listener) ? this.#byDefaultPort.get(listener.port) : undefined;
    return new Set([...claims.map((claim) => claim.product), ...(byPort ?? [])]);
  }

  #evaluate(processes: Snapshot["processes"]): void {
    for (const pid of this.#known.keys()) if (!processes.has(pid)) this.#forget(pid);
    for (const process of processes.values()) {
      const libraries = this.#libraries.get(process.pid) ?? NO_LIBRARIES;
      const before = this.#known.get(process.pid);
      const isDecided = !this.#undecided.has(process.pid);
      const isSame = before && isSameProgram(before.process, process) && before.libraries === libraries;
      if (isSame && isDecided) continue;
      this.#forget(process.pid);
      const claims = this.#claimsOf(process, libraries);
      if (claims.length > 0) this.#result = undefined;
      this.#known.set(process.pid, { process, libraries, claims });
    }
  }

  #forget(pid: number): void {
    if (this.#known.get(pid)?.claims.length) this.#result = undefined;
    this.#known.delete(pid);
    this.#undecided.delete(pid);
  }
}

const isSameProgram = (before: ProcessFacts, after: ProcessFacts): boolean =>
  before === after ||
  (before.key === after.key &&
    before.executable === after.executable &&
    before.argv.length === after.argv.length &&
    before.argv.every((word, at) => word === after.argv[at]));
