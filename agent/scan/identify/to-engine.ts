import { timestamp } from "../../../shared/time/clock.ts";
import { type Client, type Engine, LIMITS, type Model } from "../../../shared/wire/heartbeat.ts";
import { tidy } from "../../../shared/wire/text.ts";
import { PROTOCOLS } from "../../catalogue/frameworks.ts";
import { isAlikeQuantised, joinWeights, mergeByName, withoutUndefined } from "../models/served-models.ts";
import { ancestorsOf } from "../processes/ancestors.ts";
import type { Language, Peer, ProcessFacts, Snapshot } from "../system/host.ts";
import { type Candidate, UNREADABLE_PID } from "./candidate.ts";
import { confidenceOf, weighed } from "./confidence.ts";
import {
  hasInterpreterName,
  hasNameOf,
  interpreterOf,
  isForwarder,
  isRenamed,
  programName,
} from "./process-claims.ts";

/** Facts that are needed to convert a candidate to an engine of a heartbeat. */
export type Completion = {
  snapshot: Snapshot;
  peers: ReadonlyMap<string, readonly Peer[]>;
  selfPid: number;
  homes: readonly string[];
  atRest: readonly Model[];
  /** Descriptions of models on disk. They add missing properties to loaded models of the same name. */
  described?: readonly Model[];
  executableSha256?: string | undefined;
  package?: string | undefined;
  signer?: string | undefined;
  /**
   * Language that the executable interprets, as determined by its content. Undefined if the executable cannot
   * be read.
   */
  language?: Language | "none" | undefined;
  /** Returns the working directory of a client. Absent if the settings do not enable it. */
  directoryOf?: ((pid: number) => string | undefined) | undefined;
};

/**
 * Converts a candidate to an engine of a heartbeat. `cut` is the number of items that were dropped because of
 * limits.
 */
export function toEngine(candidate: Candidate, completion: Completion): { engine: Engine; cut: number } {
  const { root, heard, listeners } = candidate;
  let cut = 0;
  const limit = <T>(items: readonly T[], max: number): T[] => {
    cut += Math.max(0, items.length - max);
    return items.slice(0, max);
  };
  const { homes, snapshot } = completion;
  const known = heard.map(({ fingerprint }) => fingerprint);
  const listed = mergeByName(known.flatMap(({ models }) => models));
  const models = mergeByName([...joinWeights(listed, candidate.weights), ...completion.atRest]).map((model) =>
    withFacts(model, completion.described ?? []),
  );
  const renamed = renamedOf(candidate, completion.language);
  const engine = withoutUndefined({
    id: candidate.id,
    name: tidy(candidate.name, 80),
    kind: candidate.kind,
    confidence: confidenceOf(candidate.evidence),
    version: known.find(({ version }) => version !== undefined)?.version,
    pid: root.pid === UNREADABLE_PID ? undefined : root.pid,
    processStartedAt: root.startedAtMs === undefined ? undefined : timestamp(root.startedAtMs),
    executable: root.executable && tidy(shortened(root.executable, homes), 260),
    executableSha256: completion.executableSha256,
    package: completion.package && tidy(completion.package, 160),
    signer: completion.signer && tidy(completion.signer, 160),
    renamed,
    user: root.user && tidy(root.user, 64),
    parents: ancestorsOf(root, snapshot).map(({ name }) => tidy(name, 120)),
    container: root.container && tidy(root.container, 100),
    ports: limit([...new Set(listeners.map(({ port }) => port))], LIMITS.PORTS_MAX),
    bind: limit([...new Set(listeners.map(({ address }) => tidy(address, 64)))], LIMITS.PORTS_MAX),
    auth: authOf(known.map(({ auth }) => auth)),
    models: limit(models, LIMITS.MODELS_MAX),
    evidence: limit(weighed(candidate.evidence), LIMITS.EVIDENCE_MAX).map(({ signal, detail, weight }) => ({
      signal,
      detail: tidy(detail, 240),
      weight,
    })),
    clients: limit(clientsOf(candidate, completion), LIMITS.CLIENTS_MAX),
  });
  return { engine, cut };
}

function withFacts(model: Model, described: readonly Model[]): Model {
  const twin =
    model.loaded && described.find((one) => one.name === model.name && isAlikeQuantised(one, model));
  return twin ? { ...twin, ...model } : model;
}

/**
 * Whether the executable was renamed.
 *
 * Undefined if the executable is unknown. Also undefined if the product was not identified by responses, by
 * memory or by the script of a renamed interpreter. A proxy forwards responses of another process, so for a
 * proxy only a model in its own memory counts.
 *
 * An interpreter with a usual interpreter name is never renamed. An interpreter with another name is renamed
 * if it can run the product.
 */
function renamedOf(
  { entry, root, evidence }: Candidate,
  content: Completion["language"],
): boolean | undefined {
  if (!entry || !root.executable || PROTOCOLS.has(entry.id)) return undefined;
  const holds = evidence.some((one) => one.weight > 0 && ["weights", "library", "gpu"].includes(one.signal));
  const answers = evidence.some((one) => one.weight > 0 && one.signal === "http");
  const isProven = holds || (answers && !isForwarder(root.executable));
  const runsProduct = evidence.some((one) => one.weight > 0 && one.signal === "binary");
  const language = content ?? interpreterOf(programName(root.executable)) ?? "none";
  if (language === "none") return isProven ? isRenamed(entry, root.executable) : undefined;
  const isUsual = entry.runsOn?.some((one) => one === language) ?? false;
  // If the content cannot be read, the language is derived from the name of the executable, which is then an
  // interpreter's name.
  const isCopy = isUsual && !hasInterpreterName(root.executable) && !hasNameOf(entry, root.executable);
  if (isCopy && (isProven || runsProduct)) return true;
  if (!isProven) return undefined;
  const isNamed = evidence.some((one) => one.weight > 0 && ["binary", "name"].includes(one.signal));
  return isNamed || isUsual ? false : undefined;
}

function authOf(answers: readonly Engine["auth"][]): Engine["auth"] {
  if (answers.includes("open")) return "open";
  return answers.includes("required") ? "required" : "unknown";
}

function clientsOf(candidate: Candidate, completion: Completion): Client[] {
  const own = new Set([completion.selfPid, ...candidate.members.map(({ pid }) => pid)]);
  const clients = new Map<number | string, Client>();
  for (const listener of candidate.listeners) {
    for (const peer of completion.peers.get(listener.key) ?? []) {
      if ("remote" in peer) {
        const before = clients.get(peer.remote)?.connections ?? 0;
        clients.set(peer.remote, { remote: tidy(peer.remote, 64), connections: before + peer.connections });
      } else if (!own.has(peer.pid)) {
        const before = clients.get(peer.pid)?.connections ?? 0;
        const process = completion.snapshot.processes.get(peer.pid);
        if (process) clients.set(peer.pid, localClient(process, before + peer.connections, completion));
      }
    }
  }
  return [...clients.values()];
}

function localClient(process: ProcessFacts, connections: number, completion: Completion): Client {
  const directory = completion.directoryOf?.(process.pid);
  return withoutUndefined({
    name: tidy(process.name, 120),
    pid: process.pid,
    executable: process.executable && tidy(shortened(process.executable, completion.homes), 260),
    directory: directory === undefined ? undefined : tidy(shortened(directory, completion.homes), 260),
    connections,
  });
}

/**
 * Default locations of home directories. Needed for home directories created after the last listing. Excludes
 * `Shared` and `Public`.
 */
const HOME =
  /^(?:\/(?:var\/)?home\/[^/]+|\/Users\/(?!Shared(?:\/|$))[^/]+|(?:\\\\\?\\)?[a-z]:[\\/]Users[\\/](?!Public(?:[\\/]|$))[^\\/]+)(?=[\\/]|$)/i;
const WINDOWS = /^[a-z]:[\\/]/i;

/**
 * Replaces the home directory in a path with `~`, to remove the user name. The comparison ignores case for
 * Windows paths.
 */
export function shortened(path: string, homes: readonly string[]): string {
  const plain = comparable(path);
  const home = homes.find((one) => {
    const start = comparable(one);
    return one.length > 1 && plain.startsWith(start) && /^[\\/]?$/.test(path.charAt(one.length));
  });
  const length = home?.length ?? HOME.exec(path)?.[0].length;
  return length === undefined ? path : `~${path.slice(length)}`;
}

const comparable = (path: string): string =>
  WINDOWS.test(path) ? path.toLowerCase().replaceAll("/", "\\") : path;
