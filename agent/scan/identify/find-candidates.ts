import type { CatalogEntry } from "../../catalogue/entry.ts";
import { FRAMEWORKS } from "../../catalogue/frameworks.ts";
import { unmappedWeightsByPid } from "../models/unmapped-weights.ts";
import type { Heard } from "../probe/probe-listeners.ts";
import { isTcp, type Listener, type ProcessFacts, type Snapshot, type WeightFile } from "../system/host.ts";
import { type Candidate, type Facts, type Found, RUNS_MODELS, UNREADABLE_PID } from "./candidate.ts";
import {
  claimEvidence,
  fromAnswers,
  held,
  hintEvidence,
  httpEvidence,
  libraryEvidence,
  portEvidence,
  readEvidence,
  shapeEvidence,
} from "./candidate-evidence.ts";
import { confidenceOf, evidenceOf, REPORT_THRESHOLD } from "./confidence.ts";
import { joinCandidates } from "./join-candidates.ts";
import { computing, holdsModel, readsOnly } from "./model-holders.ts";
import { type Claim, isForwarder } from "./process-claims.ts";

/**
 * Facts with two additions: the listening sockets of each process, including sockets that were not probed,
 * and weights that are probably in the memory of the process.
 */
type Known = Facts & {
  sockets: ReadonlyMap<number | undefined, readonly Listener[]>;
  unmapped: ReadonlyMap<number, Found[]>;
};

/**
 * All engines on this host whose confidence reaches the threshold. Child processes are joined to their parent
 * processes.
 */
export function findCandidates(given: Facts): Candidate[] {
  const sockets = Map.groupBy(given.snapshot.listeners, ({ pid }) => pid);
  const facts = { ...given, sockets, unmapped: unmappedWeightsByPid(given) };
  const byPid = new Map<number, Heard[]>();
  const ownerless = new Map<string, { listener: Listener; heard: Heard[] }>();
  for (const heard of facts.heard) {
    const { listener } = heard;
    const pid = ownerOf(heard, facts);
    if (pid === undefined && isTcp(listener)) {
      // Sockets of one user on the same port and network belong to one server with several addresses.
      const { uid, port, network = "" } = listener;
      const key = `${uid} ${port} ${network}`;
      const before = ownerless.get(key) ?? { listener, heard: [] };
      before.heard.push(heard);
      ownerless.set(key, before);
    } else if (pid === undefined) continue;
    else if (pid !== facts.selfPid) byPid.set(pid, [...(byPid.get(pid) ?? []), heard]);
  }
  const { weights } = facts.snapshot;
  const pids = new Set([
    ...byPid.keys(),
    ...facts.claims.keys(),
    ...weights.keys(),
    ...facts.unmapped.keys(),
    ...computing(facts.snapshot),
  ]);
  pids.delete(facts.selfPid);
  const candidates: Candidate[] = [];
  for (const pid of pids) {
    const process = facts.snapshot.processes.get(pid);
    if (process) candidates.push(...candidatesOf(process, byPid.get(pid) ?? [], facts));
  }
  for (const { listener, heard } of ownerless.values()) {
    candidates.push(...candidatesOf(unreadable(listener, facts.snapshot), heard, facts));
  }
  const joined = joinCandidates(candidates, facts);
  return joined.filter((candidate) => confidenceOf(candidate.evidence) >= REPORT_THRESHOLD);
}

/** A placeholder for the unreadable owner of a socket. The only known fact is the user. */
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

/**
 * The process that holds the socket of a listener. For a Docker port forwarder, returns the process in the
 * container.
 */
function ownerOf({ listener }: Heard, { snapshot }: Facts): number | undefined {
  if (listener.pid === undefined) return undefined;
  return behindForwarder(listener.pid, snapshot) ?? listener.pid;
}

/** The process at the target of a port forwarder. Undefined if two containers have the target address. */
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

function candidatesOf(process: ProcessFacts, heard: readonly Heard[], facts: Known): Candidate[] {
  const weights = facts.snapshot.weights.get(process.pid) ?? [];
  const claims = facts.claims.get(process.pid) ?? [];
  const claimed = bestClaim(claims, hasModel(process.pid, facts), facts.catalogue);
  const byProduct = new Map<CatalogEntry, Heard[]>();
  for (const one of heard) {
    const entry = one.fingerprint.judgement.winner?.entry;
    if (!entry || isPartOf(entry, claimed, claims)) continue;
    byProduct.set(entry, [...(byProduct.get(entry) ?? []), one]);
  }
  if (byProduct.size > 0) return identified(process, heard, byProduct, facts);
  const shaped = heard.filter(({ fingerprint }) => fingerprint.shape !== undefined);
  if (claimed) {
    const speaks = claimed.openai ? shaped : [];
    const evidence = [
      ...claimEvidence(claims, claimed.id),
      ...held(process, weights, facts),
      ...(facts.unmapped.get(process.pid) ?? []),
      ...fromAnswers(speaks, process, shapeEvidence),
      ...fromAnswers(heard, process, (own) => [...hintEvidence(claimed, own), ...portEvidence(claimed, own)]),
    ];
    const sockets = listeningOf(process, heard, isOwn(claims, claimed), facts);
    return [candidate(claimed, process, sockets, weights, evidence)];
  }
  return nameless(process, { heard, shaped }, weights, facts);
}

/** True if a response of this framework or protocol comes from the product that is already known for the process. */
const isPartOf = (
  entry: CatalogEntry,
  claimed: CatalogEntry | undefined,
  claims: readonly Claim[],
): boolean => {
  if (!claimed || claimed.id === entry.id || !isOwn(claims, claimed)) return false;
  return FRAMEWORKS.has(entry.id) || (entry.kind === "mcp" && claimed.kind !== "mcp");
};

/**
 * One candidate for each product that responds from the process. If the process has another product, an MCP
 * endpoint is assigned to that product.
 */
function identified(
  process: ProcessFacts,
  heard: readonly Heard[],
  byProduct: ReadonlyMap<CatalogEntry, readonly Heard[]>,
  facts: Known,
): Candidate[] {
  const weights = facts.snapshot.weights.get(process.pid) ?? [];
  const claims = facts.claims.get(process.pid) ?? [];
  const answering = new Set([...byProduct.values()].flat());
  const unnamed = heard.filter((one) => !answering.has(one));
  // A web server can forward requests to an MCP server that is unrelated to the other backends of the web
  // server.
  const canJoin = process.executable === undefined || !isForwarder(process.executable);
  const isEndpoint = ({ kind }: CatalogEntry): boolean => canJoin && kind === "mcp";
  const products = [...byProduct].filter(([entry]) => !isEndpoint(entry));
  const endpoints = products.length === 0 ? [] : [...byProduct].filter(([entry]) => isEndpoint(entry));
  return (products.length === 0 ? [...byProduct] : products).map(([entry, answered], at) => {
    const ofEndpoints = at === 0 ? endpoints.flatMap(([, list]) => list) : [];
    const own = isOwn(claims, entry);
    const all = own ? [...answered, ...unnamed] : answered;
    const evidence = [
      ...fromAnswers(answered, process, httpEvidence),
      ...fromAnswers(ofEndpoints, process, httpEvidence).map((one) => ({ ...one, weight: 0 })),
      ...claimEvidence(claims, entry.id),
      // The memory of the process is evidence for each product that it serves.
      ...held(process, weights, facts),
      ...(facts.unmapped.get(process.pid) ?? []),
      ...fromAnswers(all, process, (list) => portEvidence(entry, list)),
    ];
    const sockets = listeningOf(process, [...all, ...ofEndpoints], own, facts);
    return candidate(entry, process, sockets, weights, evidence);
  });
}

/**
 * True if the process is the product itself and not a proxy in front of the product. In that case, the other
 * ports of the process belong to the product too, such as a gRPC port or an inference API that only accepts
 * POST.
 */
const isOwn = (claims: readonly Claim[], { id }: CatalogEntry): boolean =>
  claims.some(({ product, signal }) => product === id && signal !== "name");

const READS = "Program that reads model files";
const LIKELY = "Process that likely holds model weights";
const HOLDS = "Unknown process with model weights";

/** True if the process has weights, computes on a GPU, or probably has weights in anonymous memory. */
const hasModel = (pid: number, { snapshot, unmapped }: Known): boolean =>
  holdsModel(pid, snapshot) || unmapped.has(pid);

function nameless(
  process: ProcessFacts,
  { heard, shaped }: { heard: readonly Heard[]; shaped: readonly Heard[] },
  weights: readonly WeightFile[],
  facts: Known,
): Candidate[] {
  const isReading = readsOnly(process, { weights, shaped }, facts);
  // Evidence of weights in anonymous memory already includes the GPU. Separate GPU evidence would count the
  // GPU twice.
  const unmapped = holdsModel(process.pid, facts.snapshot) ? undefined : facts.unmapped.get(process.pid);
  const inMemory = unmapped
    ? [...unmapped, ...libraryEvidence(process, facts)]
    : held(process, weights, facts);
  const evidence = [
    ...(isReading ? readEvidence(weights) : inMemory),
    ...fromAnswers(shaped, process, shapeEvidence),
  ];
  if (hasModel(process.pid, facts)) {
    const name = isReading ? READS : unmapped && shaped.length === 0 ? LIKELY : HOLDS;
    const product = { id: "unknown-weights", name, kind: "weights" } as const;
    // Any port of a process that holds a model can serve the model. Containment blocks all these ports.
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
 * Listening sockets of a candidate. If the process is the product or holds a model, all its listening sockets
 * are reported, because a socket that does not use HTTP or was not probed can also serve the model.
 */
function listeningOf(
  process: ProcessFacts,
  heard: readonly Heard[],
  isProduct: boolean,
  facts: Known,
): Pick<Candidate, "heard" | "listeners"> {
  // A unix socket has neither port nor address.
  const answered = heard.map(({ listener }) => listener).filter(isTcp);
  const takesAll = isProduct || hasModel(process.pid, facts);
  const own = takesAll && process.pid !== UNREADABLE_PID ? (facts.sockets.get(process.pid) ?? []) : [];
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

/** The product with the strongest claim. If the process has a model, a name alone counts only for products that run models. */
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
