import type { Engine, Evidence } from "../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { type Claim, sharedLibrary } from "./claims.ts";
import { confidenceOf, evidenceOf, REPORT_THRESHOLD, WEIGHTS } from "./confidence.ts";
import type { Fingerprint } from "./fingerprint.ts";
import type { GpuUse, Listener, ProcessFacts, Snapshot, WeightFile } from "./host.ts";
import { lastingKey } from "./lasting-weights.ts";
import { baseName } from "./models.ts";
import { repositoryOf } from "./repository.ts";

/** A listener that was asked, and what it turned out to be. */
export type Heard = { listener: Listener; fingerprint: Fingerprint };

/**
 * `routed`: an answer that came by an address of another network namespace or through a port forwarder. That it is the
 * process's own is concluded from addresses, not from its socket, so containment does not count it.
 */
export type Found = Evidence & { routed?: true };

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
};

/** With the listening sockets of each process, whether or not they were asked. */
type Known = Facts & { sockets: ReadonlyMap<number | undefined, readonly Listener[]> };

const ANCESTORS_MAX = 8;

/** Kinds that hold weights themselves: for these, weights in a process of that name speak for the product. */
const RUNS_MODELS = new Set<Engine["kind"]>([
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "rag",
]);
/** What such a product starts as child processes of its own. */
const USUAL_CHILDREN = new Set(["llama-cpp", "unknown-weights", "openai-compatible"]);

/** Every engine of this host that the evidence supports: children joined to their parents, the doubtful left out. */
export function findCandidates(given: Facts): Candidate[] {
  const facts = { ...given, sockets: Map.groupBy(given.snapshot.listeners, ({ pid }) => pid) };
  const byPid = new Map<number, Heard[]>();
  const ownerless = new Map<string, Heard[]>();
  for (const heard of facts.heard) {
    const pid = ownerOf(heard, facts);
    if (pid === undefined) {
      // Sockets of one user on one port of one network are one server, whatever the number of addresses.
      const { uid, port, network = "" } = heard.listener;
      const key = `${uid} ${port} ${network}`;
      ownerless.set(key, [...(ownerless.get(key) ?? []), heard]);
    } else if (pid !== facts.selfPid) byPid.set(pid, [...(byPid.get(pid) ?? []), heard]);
  }
  const { weights } = facts.snapshot;
  const pids = new Set([
    ...byPid.keys(),
    ...facts.claims.keys(),
    ...weights.keys(),
    ...computing(facts.snapshot),
  ]);
  pids.delete(facts.selfPid);
  const candidates: Candidate[] = [];
  for (const pid of pids) {
    const process = facts.snapshot.processes.get(pid);
    if (process) candidates.push(...candidatesOf(process, byPid.get(pid) ?? [], facts));
  }
  for (const heard of ownerless.values()) {
    candidates.push(...candidatesOf(unreadable(heard[0]!.listener, facts.snapshot), heard, facts));
  }
  const joined = foldHidden(mergeClusters(join(candidates, facts)));
  return joined.filter((candidate) => confidenceOf(candidate.evidence) >= REPORT_THRESHOLD);
}

/**
 * Whether the process itself shows what it is: containment acts on no conclusion that another user can bring about. One
 * who leaves a model where a service reads files makes that service read it.
 */
export const isCertain = (one: Pick<Candidate, "root" | "evidence">): boolean =>
  one.root.pid !== UNREADABLE_PID &&
  !isReader(one) &&
  confidenceOf(one.evidence.filter(({ routed }) => !routed)) >= REPORT_THRESHOLD;

/** Known by files that it reads alone: as far as can be seen no engine that an isolation would have to stop. */
export const isReader = ({ evidence }: Pick<Candidate, "evidence">): boolean =>
  evidence.every(({ signal, weight }) => signal === "weights" && weight <= WEIGHTS.weightsRead.weight);

/** No process has this number: it stands for the owner of a socket that the agent may not look at. */
export const UNREADABLE_PID = 0;

/** What the socket alone tells of its owner: the account, by name where another process of it has one. */
function unreadable({ key, uid }: Listener, { processes }: Snapshot): ProcessFacts {
  const kin = uid === undefined ? undefined : [...processes.values()].find((one) => one.uid === uid);
  const user = kin?.user ?? (uid === undefined ? undefined : String(uid));
  return {
    pid: UNREADABLE_PID,
    parentPid: UNREADABLE_PID,
    key,
    name: "",
    argv: [],
    ...(uid !== undefined && { uid }),
    ...(user !== undefined && { user }),
  };
}

/** The process that holds the socket of a listener; behind a port forwarder of Docker, the one in the container. */
function ownerOf({ listener }: Heard, { snapshot }: Facts): number | undefined {
  if (listener.pid === undefined) return undefined;
  return behindForwarder(listener.pid, snapshot) ?? listener.pid;
}

/** The process at the forwarder's target. Undefined when two containers have that address: either could be the target. */
function behindForwarder(forwarder: number, { forwards, listeners }: Snapshot): number | undefined {
  const target = forwards?.get(forwarder);
  if (!target) return undefined;
  const there = listeners.filter(
    ({ network, reachableAt, port }) =>
      network !== undefined && reachableAt === target.address && port === target.port,
  );
  const owners = new Set(there.map(({ pid }) => pid));
  return owners.size === 1 ? there[0]!.pid : undefined;
}

const isRouted = ({ listener }: Heard, process: ProcessFacts): boolean =>
  process.pid !== UNREADABLE_PID &&
  (listener.pid !== process.pid || (listener.network !== undefined && listener.inside === undefined));

const asRouted = (evidence: Evidence[]): Found[] => evidence.map((one) => ({ ...one, routed: true }));

function candidatesOf(process: ProcessFacts, heard: readonly Heard[], facts: Known): Candidate[] {
  const weights = facts.snapshot.weights.get(process.pid) ?? [];
  const claims = facts.claims.get(process.pid) ?? [];
  const byProduct = new Map<CatalogEntry, Heard[]>();
  for (const one of heard) {
    const entry = one.fingerprint.judgement.winner?.entry;
    if (entry) byProduct.set(entry, [...(byProduct.get(entry) ?? []), one]);
  }
  if (byProduct.size > 0) {
    const unnamed = heard.filter(({ fingerprint }) => fingerprint.judgement.winner === undefined);
    return [...byProduct].map(([entry, answered]) => {
      // What the process has in memory belongs to all it serves.
      const evidence = [
        ...fromAnswers(answered, process, httpEvidence),
        ...claimEvidence(claims, entry.id),
        ...held(process, weights, facts),
      ];
      const all = isOwn(claims, entry) ? [...answered, ...unnamed] : answered;
      return candidate(entry, process, listeningOf(process, all, isOwn(claims, entry), facts), weights, [
        ...evidence,
        ...fromAnswers(all, process, (own) => portEvidence(entry, own)),
      ]);
    });
  }
  const claimed = bestClaim(claims, hasModel(process.pid, facts.snapshot), facts.catalogue);
  const shaped = heard.filter(({ fingerprint }) => fingerprint.shape !== undefined);
  if (claimed) {
    const speaks = claimed.openai ? shaped : [];
    const evidence = [
      ...claimEvidence(claims, claimed.id),
      ...held(process, weights, facts),
      ...fromAnswers(speaks, process, shapeEvidence),
      ...fromAnswers(heard, process, (own) => [...hintEvidence(claimed, own), ...portEvidence(claimed, own)]),
    ];
    const sockets = listeningOf(process, heard, isOwn(claims, claimed), facts);
    return [candidate(claimed, process, sockets, weights, evidence)];
  }
  return nameless(process, { heard, shaped }, weights, facts);
}

/**
 * Whether the process itself is the product, not a proxy before it. Then what it serves beside what names it is the
 * product's too: a gRPC port, an inference API that only answers POST.
 */
const isOwn = (claims: readonly Claim[], { id }: CatalogEntry): boolean =>
  claims.some(({ product, signal }) => product === id && signal !== "name");

/** Processes that compute on the GPU with a library that runs models: their weights need no file any more. */
export const computing = (snapshot: Snapshot): number[] =>
  [...snapshot.gpu.keys()].filter((pid) => isComputing(pid, snapshot));

const isComputing = (pid: number, { gpu, libraries }: Snapshot): boolean =>
  gpu.get(pid)?.computes === true && sharedLibrary(libraries.get(pid) ?? []) !== undefined;

const hasModel = (pid: number, snapshot: Snapshot): boolean =>
  (snapshot.weights.get(pid)?.length ?? 0) > 0 || isComputing(pid, snapshot);

function nameless(
  process: ProcessFacts,
  { heard, shaped }: { heard: readonly Heard[]; shaped: readonly Heard[] },
  weights: readonly WeightFile[],
  facts: Known,
): Candidate[] {
  const isReading = readsOnly(process, weights, shaped, facts);
  const evidence = [
    ...(isReading ? readEvidence(weights) : held(process, weights, facts)),
    ...fromAnswers(shaped, process, shapeEvidence),
  ];
  if (hasModel(process.pid, facts.snapshot)) {
    const product = {
      id: "unknown-weights",
      name: isReading ? "Program that reads model files" : "Unknown process with model weights",
      kind: "weights",
    } as const;
    // Whatever it answers: a port of a process that holds a model may serve it, and containment refuses these ports.
    const sockets = listeningOf(process, heard, true, facts);
    return [{ ...product, root: process, members: [process], ...sockets, weights: [...weights], evidence }];
  }
  if (shaped.length === 0) return [];
  const product = {
    id: "openai-compatible",
    name: "Unknown OpenAI-compatible server",
    kind: "generic",
  } as const;
  const sockets = listeningOf(process, shaped, false, facts);
  return [{ ...product, root: process, members: [process], ...sockets, weights: [], evidence }];
}

/**
 * Whether weights are all there is, and those only for now or merely open. A search, a checksum, a backup or a torrent
 * reads model files too. An engine keeps them mapped, or also has an inference library, GPU memory or an HTTP answer.
 */
function readsOnly(
  { pid }: ProcessFacts,
  weights: readonly WeightFile[],
  shaped: readonly Heard[],
  { snapshot, lasting }: Known,
): boolean {
  if (weights.length === 0 || shaped.length > 0 || snapshot.gpu.has(pid)) return false;
  if (sharedLibrary(snapshot.libraries.get(pid) ?? []) !== undefined) return false;
  return !weights.some(({ path }) => lasting?.has(lastingKey(pid, path)));
}

const readEvidence = (weights: readonly WeightFile[]): Found[] =>
  weights.map((file) => evidenceOf("weightsRead", `reads model files: ${describeWeights(file)}`));

/**
 * Where a candidate listens. A process that is the product or holds a model is reported with every socket it has: one
 * that does not answer HTTP, or could not be asked, may serve the model as well.
 */
function listeningOf(
  process: ProcessFacts,
  heard: readonly Heard[],
  isProduct: boolean,
  { sockets, snapshot }: Known,
): Pick<Candidate, "heard" | "listeners"> {
  const answered = heard.map(({ listener }) => listener);
  const takesAll = isProduct || hasModel(process.pid, snapshot);
  const own = takesAll && process.pid !== UNREADABLE_PID ? (sockets.get(process.pid) ?? []) : [];
  return { heard: [...heard], listeners: [...new Set([...answered, ...own])] };
}

function candidate(
  entry: CatalogEntry,
  process: ProcessFacts,
  sockets: Pick<Candidate, "heard" | "listeners">,
  weights: readonly WeightFile[],
  evidence: Found[],
): Candidate {
  const { id, name, kind } = entry;
  return {
    id,
    name,
    kind,
    entry,
    root: process,
    members: [process],
    ...sockets,
    weights: [...weights],
    evidence,
  };
}

/** The product a process claims most strongly. A mere name of something that runs no models owns no weights. */
function bestClaim(
  claims: readonly Claim[],
  hasModel: boolean,
  catalogue: ReadonlyMap<string, CatalogEntry>,
): CatalogEntry | undefined {
  const scores = new Map<string, number>();
  for (const claim of claims) {
    const entry = catalogue.get(claim.product);
    if (!entry || (hasModel && claim.signal === "name" && !RUNS_MODELS.has(entry.kind))) continue;
    scores.set(claim.product, (scores.get(claim.product) ?? 0) + evidenceOf(claim.signal, "").weight);
  }
  const [best] = [...scores].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return best && catalogue.get(best[0]);
}

/** What answers show, with a mark on that of answers that did not come from the process's own socket. */
const fromAnswers = (
  heard: readonly Heard[],
  process: ProcessFacts,
  evidenceIn: (heard: readonly Heard[]) => Evidence[],
): Found[] => [
  ...evidenceIn(heard.filter((one) => !isRouted(one, process))),
  ...asRouted(evidenceIn(heard.filter((one) => isRouted(one, process)))),
];

const shapeEvidence = (heard: readonly Heard[]): Evidence[] =>
  heard.map(({ fingerprint }) => evidenceOf("openaiShape", fingerprint.shape!));

/** Of listeners whose answers name a product. */
function httpEvidence(heard: readonly Heard[]): Evidence[] {
  return heard.flatMap(({ listener, fingerprint }) => {
    const { winner, runnersUp } = fingerprint.judgement;
    const where = `${fingerprint.target.tls ? "https" : "http"} port ${listener.port}`;
    return [
      ...winner!.traits.map((trait) =>
        evidenceOf(HTTP_WEIGHTS[trait.weight], `GET ${trait.path} on ${where}: ${trait.says}`),
      ),
      ...runnersUp.map(({ entry }) => evidenceOf("runnerUp", `${where} also answers as ${entry.name}`)),
    ];
  });
}

const HTTP_WEIGHTS = { identity: "httpIdentity", strong: "httpStrong", hint: "httpHint" } as const;

function hintEvidence(entry: CatalogEntry, heard: readonly Heard[]): Evidence[] {
  return heard.flatMap(({ listener, fingerprint }) =>
    fingerprint.judgement.hints
      .filter((fit) => fit.entry.id === entry.id)
      .flatMap((fit) => fit.traits)
      .map((trait) => evidenceOf("httpHint", `GET ${trait.path} on port ${listener.port}: ${trait.says}`)),
  );
}

const claimEvidence = (claims: readonly Claim[], product: string): Evidence[] =>
  claims.filter((claim) => claim.product === product).map((claim) => evidenceOf(claim.signal, claim.detail));

function portEvidence(entry: CatalogEntry, heard: readonly Heard[]): Evidence[] {
  return heard
    .filter(({ listener }) => entry.ports.includes(listener.port))
    .map(({ listener }) =>
      evidenceOf("port", `listens on ${listener.port}, a default port of ${entry.name}`),
    );
}

/** What a process has in memory: weights, libraries that run models, GPU memory. */
function held(process: ProcessFacts, weights: readonly WeightFile[], { snapshot }: Facts): Evidence[] {
  const evidence = weights.map((file) =>
    evidenceOf(file.how === "mapped" ? "weightsMapped" : "weightsOpen", describeWeights(file)),
  );
  const library = sharedLibrary(snapshot.libraries.get(process.pid) ?? []);
  if (library) evidence.push(evidenceOf("libraryShared", `loaded ${baseName(library)}`));
  const gpu = snapshot.gpu.get(process.pid);
  if (gpu) evidence.push(evidenceOf("gpu", describeGpu(gpu)));
  return evidence;
}

/** The driver does not tell how much where a card is shared out (MIG). */
const describeGpu = ({ bytes }: GpuUse): string =>
  bytes === 0 ? "computes on the GPU" : `uses ${Math.round(bytes / 1024 / 1024)} MiB of GPU memory`;

function describeWeights(file: WeightFile): string {
  const { architecture, parameters, quantisation } = file.header ?? {};
  const facts = [file.format, architecture, parameters, quantisation].filter((fact) => fact !== undefined);
  const what = repositoryOf(file.path)?.name ?? baseName(file.path);
  return `${file.how === "mapped" ? "maps" : "has open"} ${what} (${facts.join(", ")})`;
}

/**
 * Joins each candidate to its topmost ancestor of the same product, or of one that starts such children. Only within
 * one user: what a user's process is or holds says nothing about the process of another that started it.
 */
function join(candidates: readonly Candidate[], { snapshot, claims }: Facts): Candidate[] {
  const byPid = new Map<number, Candidate[]>();
  for (const one of candidates) byPid.set(one.root.pid, [...(byPid.get(one.root.pid) ?? []), one]);
  const parentOf = (child: Candidate): Candidate | undefined => {
    let above: Candidate | undefined;
    for (const ancestor of ancestorsOf(child.root, snapshot)) {
      const found = byPid
        .get(ancestor.pid)
        ?.find(
          (one) =>
            isSameUser(one.root, child.root) &&
            (one.id === child.id || absorbs(one, child, vouched(one, child))),
        );
      if (found) above = found;
    }
    return above;
  };
  /** An application's engine runs from the application's own directory, whatever it answers as. */
  const vouched = (parent: Candidate, child: Candidate): Evidence[] =>
    claimEvidence(claims.get(child.root.pid) ?? [], parent.id);
  const joined: Candidate[] = [];
  const parents = new Map(candidates.map((one) => [one, parentOf(one)]));
  for (const one of candidates) if (!parents.get(one)) joined.push(one);
  for (const [child, parent] of parents) {
    if (!parent) continue;
    const top = topOf(parent, parents);
    absorb(top, child, top.id === child.id ? [] : vouched(top, child));
  }
  return joined;
}

const isSameUser = (one: ProcessFacts, other: ProcessFacts): boolean =>
  one.uid === other.uid && (one.uid !== undefined || one.user === other.user);

/** By product, the name of a cluster in the command line of each of its processes. */
const CLUSTERS: Readonly<Record<string, RegExp>> = {
  // python/ray/_private/node.py of Ray: raylet, gcs_server and the dashboard get it, and the command that started them ends.
  "ray-serve": /\bsession_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+_\d+\b/,
};

/** Joins the processes of one cluster, of one user, to the one that started first. */
function mergeClusters(candidates: readonly Candidate[]): Candidate[] {
  const clusters = new Map<string, Candidate>();
  const merged: Candidate[] = [];
  for (const one of [...candidates].sort(byStart)) {
    const { id, root } = one;
    const cluster = CLUSTERS[id]?.exec(root.argv.join(" "))?.[0];
    const key = `${id} ${root.uid ?? root.user} ${root.container ?? ""} ${cluster}`;
    const first = cluster === undefined ? undefined : clusters.get(key);
    if (!first) {
      if (cluster !== undefined) clusters.set(key, one);
      merged.push(one);
      continue;
    }
    absorb(first, one, [], "process");
    first.siblings = [...(first.siblings ?? []), root];
  }
  return merged;
}

const byStart = ({ root: a }: Candidate, { root: b }: Candidate): number =>
  (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0) || a.pid - b.pid;

/**
 * A process that may not be looked into and a socket without a readable owner, of one user and one product: two signs
 * of one engine, as far as can be seen. It is reported once and without a pid, for nothing ties the two together.
 */
function foldHidden(candidates: readonly Candidate[]): Candidate[] {
  const ownerless = candidates.filter(({ root }) => root.pid === UNREADABLE_PID);
  return candidates.filter((hidden) => {
    const { id, root, heard, weights } = hidden;
    if (root.executable !== undefined || root.uid === undefined) return true;
    if (root.pid === UNREADABLE_PID || heard.length + weights.length > 0) return true;
    const served = ownerless.find((one) => one.id === id && one.root.uid === root.uid);
    for (const one of hidden.evidence)
      served?.evidence.push({ ...one, detail: `process ${root.pid} of that user: ${one.detail}` });
    return served === undefined;
  });
}

function topOf(candidate: Candidate, parents: ReadonlyMap<Candidate, Candidate | undefined>): Candidate {
  let top = candidate;
  for (let above = parents.get(top); above; above = parents.get(top)) top = above;
  return top;
}

function absorbs(parent: Candidate, child: Candidate, vouched: readonly Evidence[]): boolean {
  const takes =
    parent.entry?.absorbs?.includes(child.id) ||
    (RUNS_MODELS.has(parent.kind) && USUAL_CHILDREN.has(child.id));
  return Boolean(takes) && confidenceOf([...parent.evidence, ...vouched]) >= REPORT_THRESHOLD;
}

function absorb(
  parent: Candidate,
  child: Candidate,
  vouched: readonly Evidence[],
  what: "child" | "process" = "child",
): void {
  const same = parent.id === child.id;
  parent.members.push(...child.members);
  parent.heard.push(...child.heard);
  parent.listeners.push(...child.listeners);
  parent.weights.push(...child.weights);
  for (const one of vouched)
    parent.evidence.push({ ...one, detail: `${what} ${child.root.pid}: ${one.detail}` });
  for (const one of child.evidence) {
    // Another product's name for the child is no proof of the parent; what the child holds is.
    const counts = same || one.signal === "weights" || one.signal === "gpu";
    parent.evidence.push({
      ...one,
      weight: counts ? one.weight : 0,
      detail: `${what} ${child.root.pid}: ${one.detail}`,
    });
  }
}

/** Parent, grandparent and so on, init left out. */
export function ancestorsOf(process: ProcessFacts, snapshot: Snapshot): ProcessFacts[] {
  const ancestors: ProcessFacts[] = [];
  let parent = snapshot.processes.get(process.parentPid);
  while (parent && parent.pid !== 1 && ancestors.length < ANCESTORS_MAX && !ancestors.includes(parent)) {
    ancestors.push(parent);
    parent = snapshot.processes.get(parent.parentPid);
  }
  return ancestors;
}
