import type { Engine, Evidence } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import type { Listener, ModelOnDisk, ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import { confidenceOf, REPORT_THRESHOLD, WEIGHTS } from "./confidence.ts";
import type { Claim } from "./process-claims.ts";

/**
 * Evidence with two optional marks. Containment does not count marked evidence.
 *
 * `routed`: the response came through a port forwarder or from an address in another network namespace. The
 * agent associates the address with the process, but has not found a socket of the process.
 *
 * `inferred`: concluded from memory size and number of bytes read. Another user can cause the same amounts by
 * sending a large request.
 */
export type Found = Evidence & { routed?: true; inferred?: true };

/** A possible engine: one product, its main process, and all processes, responses and evidence that belong to it. */
export type Candidate = {
  id: string;
  name: string;
  kind: Engine["kind"];
  entry?: CatalogEntry;
  root: ProcessFacts;
  /** Other processes of the same cluster that are not child processes of `root`. */
  siblings?: ProcessFacts[];
  members: ProcessFacts[];
  heard: Heard[];
  /**
   * The listeners in `heard`. If the process is the product or holds a model, all listening sockets of the
   * process.
   */
  listeners: Listener[];
  weights: WeightFile[];
  evidence: Found[];
};

export type Facts = {
  snapshot: Snapshot;
  catalogue: ReadonlyMap<string, CatalogEntry>;
  heard: readonly Heard[];
  claims: ReadonlyMap<number, readonly Claim[]>;
  selfPid: number;
  /** Weights that were mapped for at least {@link LASTING_MS} of lasting-weights.ts. */
  lasting?: ReadonlySet<string>;
  /** Models in the directories that the catalogue lists. Directories that were not read yet are left out. */
  modelsOnDisk?: readonly ModelOnDisk[];
};

/**
 * Kinds of products that load weights themselves. If a process has the name of such a product, weights in the
 * process are evidence for the product.
 */
export const RUNS_MODELS = new Set<Engine["kind"]>([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "rag",
]);

/**
 * True if containment may stop the candidate. The candidate must reach the threshold without evidence that
 * another user can cause. For example, another user can place a model file where a service reads files, so
 * that the service reads the model.
 */
export const isCertain = (one: Pick<Candidate, "root" | "evidence">): boolean =>
  one.root.pid !== UNREADABLE_PID &&
  !isReader(one) &&
  confidenceOf(one.evidence.filter(({ routed, inferred }) => !routed && !inferred)) >= REPORT_THRESHOLD;

/** True if the process only reads model files. Isolation does not stop such a process. */
export const isReader = ({ evidence }: Pick<Candidate, "evidence">): boolean =>
  evidence.every(({ signal, weight }) => signal === "weights" && weight <= WEIGHTS.weightsRead.weight);

/** Placeholder pid for a process that the agent has no permission to read. No real process has this pid. */
export const UNREADABLE_PID = 0;
