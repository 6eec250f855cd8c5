import type { Evidence } from "../../../shared/wire/heartbeat.ts";
import { ancestorsOf } from "../processes/ancestors.ts";
import type { ProcessFacts } from "../system/host.ts";
import { type Candidate, type Facts, RUNS_MODELS, UNREADABLE_PID } from "./candidate.ts";
import { claimEvidence } from "./candidate-evidence.ts";
import { confidenceOf, REPORT_THRESHOLD } from "./confidence.ts";

/** Ids of candidates that can be child processes of any product that runs models. */
const USUAL_CHILDREN = new Set(["llama-cpp", "unknown-weights", "openai-compatible"]);

/**
 * Joins all candidates of one engine: its child processes, the other processes of its cluster, and its
 * unreadable processes.
 */
export const joinCandidates = (candidates: readonly Candidate[], facts: Facts): Candidate[] =>
  foldHidden(mergeClusters(joinChildren(candidates, facts)));

/**
 * Joins each candidate to its topmost ancestor with the same product, or with a product that starts such
 * child processes. Parent and child must belong to the same user, because a process proves nothing about a
 * parent process of another user.
 */
function joinChildren(candidates: readonly Candidate[], { snapshot, claims }: Facts): Candidate[] {
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
  /**
   * Evidence that the child belongs to the parent: the executable of the child is in the directory of the
   * parent application.
   */
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

/** Regular expressions by product. Each finds the cluster name in the command lines of the cluster's processes. */
const CLUSTERS: Readonly<Record<string, RegExp>> = {
  // Ray passes the session name to raylet, gcs_server and the dashboard (python/ray/_private/node.py).
  "ray-serve": /\bsession_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+_\d+\b/,
};

/** Groups processes with the same cluster and user under the process that started first. */
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
 * If an unreadable process and a socket without a known owner have the same user and product, joins them. The
 * result is an engine without a pid, because nothing proves that the process owns the socket.
 */
function foldHidden(candidates: readonly Candidate[]): Candidate[] {
  const ownerless = candidates.filter(({ root }) => root.pid === UNREADABLE_PID);
  return candidates.filter((hidden) => {
    const { id, root, heard, weights } = hidden;
    if (root.executable !== undefined || root.uid === undefined) return true;
    if (root.pid === UNREADABLE_PID || heard.length + weights.length > 0) return true;
    const served = ownerless.find((one) => one.id === id && one.root.uid === root.uid);
    for (const one of hidden.evidence)
      served?.evidence.push({ ...one, detail: `process ${root.pid} of the same user: ${one.detail}` });
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
    // If the child is another product, its responses are not evidence for the parent. Its weights and its GPU
    // memory are.
    const counts = same || one.signal === "weights" || one.signal === "gpu";
    parent.evidence.push({
      ...one,
      weight: counts ? one.weight : 0,
      detail: `${what} ${child.root.pid}: ${one.detail}`,
    });
  }
}
