import type { Engine, Evidence } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import type { Listener, ModelOnDisk, ProcessFacts, Snapshot, WeightFile } from "../system/host.ts";
import { confidenceOf, REPORT_THRESHOLD, WEIGHTS } from "./confidence.ts";
import type { Claim } from "./process-claims.ts";

/**
 * `routed`: an answer that came by an address of another network namespace or through a port forwarder. That it is the
 * process's own is concluded from addresses, not from its socket, so containment does not count it.
 * `inferred`: concluded from amounts of memory and of reads. A large request of another user can cause the same amounts,
 * so containment does not count it either.
 */
export type Found = Evidence & { routed?: true; inferred?: true };

/** An engine in the making: one product, the process it is reported as, and everything that belongs to it. */
export type Candidate = {
  id: string;
  name: string;
  kind: Engine["kind"];
  entry?: CatalogEntry;
  root: ProcessFacts;
  /** Further processes that started on their own: of a cluster, none of which is the parent of the others. */
  siblings?: ProcessFacts[];
  members: ProcessFacts[];
  heard: Heard[];
  /** Where it listens: those of `heard`, and all sockets of a process that is itself the product or holds a model. */
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
  /** Weights that stay mapped, see lasting-weights.ts. */
  lasting?: ReadonlySet<string>;
  /** Models in the directories of the catalogue, as far as they were read. */
  modelsOnDisk?: readonly ModelOnDisk[];
};

/** Kinds that hold weights themselves: for these, weights in a process of that name speak for the product. */
export const RUNS_MODELS = new Set<Engine["kind"]>([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "rag",
]);
/**
 * Whether the process itself shows what it is: containment acts on no conclusion that another user can bring about. One
 * who leaves a model where a service reads files makes that service read it.
 */
export const isCertain = (one: Pick<Candidate, "root" | "evidence">): boolean =>
  one.root.pid !== UNREADABLE_PID &&
  !isReader(one) &&
  confidenceOf(one.evidence.filter(({ routed, inferred }) => !routed && !inferred)) >= REPORT_THRESHOLD;

/** Known by files that it reads alone: as far as can be seen no engine that an isolation would have to stop. */
export const isReader = ({ evidence }: Pick<Candidate, "evidence">): boolean =>
  evidence.every(({ signal, weight }) => signal === "weights" && weight <= WEIGHTS.weightsRead.weight);

/** No process has this number: it stands for the owner of a socket that the agent may not look at. */
export const UNREADABLE_PID = 0;
