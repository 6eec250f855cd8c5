import type { Engine, Evidence } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import type { Listener, ModelOnDisk, ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import { confidenceOf, REPORT_THRESHOLD, WEIGHTS } from "./confidence.ts";
import type { Claim } from "./process-claims.ts";

/**
 * Evidence with a mark if containment does not count it.
 * `routed`: the response came through a port forwarder or from an address in another network namespace. It is attributed to
 * the process by addresses, not by its socket.
 * `inferred`: concluded from amounts of memory and reads. A large request of another user can cause the same amounts.
 */
export type Found = Evidence & { routed?: true; inferred?: true };

/** A possible engine: one product, its main process, and all processes, responses and evidence that belong to it. */
export type Candidate = {
  id: string;
  name: string;
  kind: Engine["kind"];
  entry?: CatalogEntry;
  root: ProcessFacts;
  /** Other processes of a cluster. None of them is a parent of another. */
  siblings?: ProcessFacts[];
  members: ProcessFacts[];
  heard: Heard[];
  /** Listeners of `heard`. If the process is the product or holds a model, all its listening sockets. */
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
  /** Weights that were mapped for a while, see lasting-weights.ts. */
  lasting?: ReadonlySet<string>;
  /** Models in the directories of the catalogue that were read so far. */
  modelsOnDisk?: readonly ModelOnDisk[];
};

/** Kinds that load weights themselves. Weights in a process with the name of such a product are evidence for it. */
export const RUNS_MODELS = new Set<Engine["kind"]>([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "rag",
]);

/**
 * True if containment may act on the candidate: its evidence is enough without the evidence that another user can cause. For
 * example, a user can make a service read a model by placing it where the service reads files.
 */
export const isCertain = (one: Pick<Candidate, "root" | "evidence">): boolean =>
  one.root.pid !== UNREADABLE_PID &&
  !isReader(one) &&
  confidenceOf(one.evidence.filter(({ routed, inferred }) => !routed && !inferred)) >= REPORT_THRESHOLD;

/** True if the only evidence is that the process reads model files. An isolation does not stop such a process. */
export const isReader = ({ evidence }: Pick<Candidate, "evidence">): boolean =>
  evidence.every(({ signal, weight }) => signal === "weights" && weight <= WEIGHTS.weightsRead.weight);

/** Stands for a process that the agent may not read. No real process has this pid. */
export const UNREADABLE_PID = 0;
