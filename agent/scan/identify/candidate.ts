import type { Engine, Evidence } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import type { Listener, ModelOnDisk, ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import { confidenceOf, REPORT_THRESHOLD, WEIGHTS } from "./confidence.ts";
import type { Claim } from "./process-claims.ts";

/**
 * Evidence, marked if containment must not count it.
 *
 * `routed`: the response came through a port forwarder or from an address in another network namespace. The
 * agent knows the process only by these addresses, not by its socket.
 *
 * `inferred`: concluded from the amounts of memory and of bytes read. Another user can cause the same amounts
 * with a large request.
 */
export type Found = Evidence & { routed?: true; inferred?: true };

/** A possible engine: one product, its main process, and all processes, responses and evidence that belong to it. */
export type Candidate = {
  id: string;
  name: string;
  kind: Engine["kind"];
  entry?: CatalogEntry;
  root: ProcessFacts;
  /** Other processes of a cluster, which are not child processes of `root`. */
  siblings?: ProcessFacts[];
  members: ProcessFacts[];
  heard: Heard[];
  /** Listeners of `heard`. All listening sockets of the process if it is the product or holds a model. */
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
  /** Models in the directories of the catalogue, as far as these directories were read. */
  modelsOnDisk?: readonly ModelOnDisk[];
};

/**
 * Kinds of products that load weights themselves. Weights in a process with the name of such a product are
 * evidence for the product.
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
 * True if containment may stop the candidate. It must reach the threshold without evidence that another user
 * can cause. For example, another user can place a model where a service reads files, so that the service
 * reads the model.
 */
export const isCertain = (one: Pick<Candidate, "root" | "evidence">): boolean =>
  one.root.pid !== UNREADABLE_PID &&
  !isReader(one) &&
  confidenceOf(one.evidence.filter(({ routed, inferred }) => !routed && !inferred)) >= REPORT_THRESHOLD;

/** True if the process only reads model files. Isolation does not stop such a process. */
export const isReader = ({ evidence }: Pick<Candidate, "evidence">): boolean =>
  evidence.every(({ signal, weight }) => signal === "weights" && weight <= WEIGHTS.weightsRead.weight);

/** Stands for a process that the agent has no permission to read. No real process has this pid. */
export const UNREADABLE_PID = 0;
