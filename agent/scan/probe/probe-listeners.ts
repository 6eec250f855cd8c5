import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { AnyListener, Sighting } from "../system/host.ts";
import type { Target } from "./connection.ts";
import { type Fingerprint, fingerprint, refreshModels } from "./fingerprint.ts";
import { createByteBudget } from "./kept-answer.ts";
import { groupListeners, type ListenerGroups, roundRobin, targetOf } from "./listener-groups.ts";
import { pathPrefix } from "./path-prefix.ts";
import type { FingerprintDeps } from "./probe-session.ts";

/** Interval in ms between two requests for the model list of an identified engine. */
const REFRESH_MS = 30_000;
/** Delay in ms before the next attempt at a slow server that has already responded to some requests. */
const PROGRESS_MS = 1000;
/**
 * Delay in ms before an unsettled listener is probed again. It doubles with each attempt up to {@link
 * RETRY_MS_MAX}.
 */
const RETRY_MS = 5000;
const RETRY_MS_MAX = 3_600_000;
/**
 * Maximum time in ms for which a scan waits for probes. The first scan waits longer, so that a single scan is
 * complete even with slow servers.
 */
const WAITS = { firstMs: 5000, laterMs: 500 };
/**
 * Maximum number of listeners probed at the same time. Probes run in parallel so that sockets that never
 * respond do not delay other listeners.
 */
export const ASKING_MAX = 32;

/** A probed listener with its result. */
export type Heard = { listener: AnyListener; fingerprint: Fingerprint };

/**
 * Returns the likely products of a listener, based on known facts about its process. Their paths are
 * requested first. If several products fit equally well, a likely product wins.
 */
export type LikelyOf = (listener: AnyListener) => ReadonlySet<string>;

/** Result for a group of listeners. `sockets` contains the keys of the listeners at the time of the probe. */
type Known = { fingerprint: Fingerprint; nextAtMs: number; retryMs: number; sockets: ReadonlySet<string> };

type ProberDeps = FingerprintDeps & { selfPid: number; isSuspect?: (pid: number) => boolean };

/** Inputs of a probe, except the listener itself. */
type ProbeContext = {
  likelyOf: LikelyOf;
  signal: AbortSignal | undefined;
  processes: Sighting["processes"];
};

type Outcome = { heard: Heard[]; unsettled: number };

/** Probes listeners and caches each result by process and port. Unchanged listeners are not probed again. */
export class ListenerProber {
  readonly #deps: ProberDeps;
  readonly #waits: { firstMs: number; laterMs: number };
  readonly #known = new Map<string, Known>();
  readonly #inFlight = new Map<string, Promise<void>>();
  /** Groups that are due in this scan but whose probe has not started yet, in order. */
  #queue: { key: string; probe: () => Promise<Known> }[] = [];
  #isFirst = true;
  #last: { groups: ListenerGroups; of: readonly AnyListener[] } | undefined;
  #outcome: Outcome | undefined;
  /**
   * Set between begin() and update(). If several products fit equally well, a running probe waits for this
   * promise before it decides.
   */
  #snapshotComplete: PromiseWithResolvers<void> | undefined;

  constructor(deps: ProberDeps, waits: { firstMs: number; laterMs: number } = WAITS) {
    this.#deps = {
      ...deps,
      kept: deps.kept ?? createByteBudget(),
      waiting: deps.waiting ?? createByteBudget(),
    };
    this.#waits = waits;
  }

  /**
   * Starts to probe new and due listeners before the snapshot is complete. If several products fit a listener
   * equally well, its probe decides only after {@link update} is called.
   */
  begin(sighting: Sighting, likelyOf: LikelyOf, signal?: AbortSignal): void {
    this.#snapshotComplete ??= Promise.withResolvers();
    this.#probeDue(sighting, likelyOf, signal);
  }

  /**
   * Probes new and due listeners and waits for the results, for a limited time. While no result changes,
   * `heard` is the same array as before. `waiting` describes how many listeners are still being probed.
   */
  async update(
    sighting: Sighting,
    likelyOf: LikelyOf,
    signal?: AbortSignal,
  ): Promise<{ heard: Heard[]; collector: Collector; waiting: readonly string[] }> {
    this.#snapshotComplete?.resolve();
    this.#snapshotComplete = undefined;
    const groups = this.#probeDue(sighting, likelyOf, signal);
    const { firstMs, laterMs } = this.#waits;
    if (this.#inFlight.size > 0) await atMost(this.#isFirst ? firstMs : laterMs, this.#idle());
    this.#isFirst = false;
    this.#outcome ??= this.#outcomeOf(groups);
    const { heard, unsettled } = this.#outcome;
    const unasked = this.#queue.filter(({ key }) => !this.#known.has(key)).length;
    const collector = report(groups.size, unsettled, unasked);
    return { heard, collector, waiting: this.#waitingFor(unasked) };
  }

  #waitingFor(unasked: number): string[] {
    const open = new Set(this.#inFlight.keys());
    for (const [key, { fingerprint }] of this.#known) if (fingerprint.rest?.isHopeful()) open.add(key);
    const count = open.size + unasked;
    return count > 0 ? [`${count} listeners are still being probed`] : [];
  }

  #probeDue(sighting: Sighting, likelyOf: LikelyOf, signal: AbortSignal | undefined): ListenerGroups {
    const groups = this.#groupsOf(sighting);
    const nowMs = this.#deps.elapsed();
    const due = roundRobin(
      [...groups].filter(
        ([key, listeners]) => !this.#inFlight.has(key) && isDue(this.#known.get(key), listeners, nowMs),
      ),
    );
    const isNew = ([key]: (typeof due)[number]): boolean => !this.#known.has(key);
    const ordered = [...due.filter(isNew), ...due.filter((one) => !isNew(one))];
    const context = { likelyOf, signal, processes: sighting.processes };
    this.#queue = ordered.map(([key, listeners]) => ({
      key,
      probe: () => this.#probe(this.#known.get(key), listeners, context),
    }));
    this.#startQueued();
    return groups;
  }

  #startQueued(): void {
    while (this.#inFlight.size < ASKING_MAX) {
      const next = this.#queue.shift();
      if (!next) return;
      const done = next
        .probe()
        .then((found) => this.#settle(next.key, found))
        .finally(() => {
          this.#inFlight.delete(next.key);
          this.#startQueued();
        });
      this.#inFlight.set(next.key, done);
      // #idle() reports the failure to a caller that waits. If no caller waits, an unhandled rejection must
      // not end the agent.
      done.catch(() => undefined);
    }
  }

  /** Resolves when no probe is queued or in flight. */
  async #idle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight.values());
  }

  #groupsOf(sighting: Sighting): ListenerGroups {
    if (this.#last?.of === sighting.listeners) return this.#last.groups;
    const groups = groupListeners(sighting, this.#deps.selfPid);
    for (const key of this.#known.keys()) if (!groups.has(key)) this.#forget(key);
    this.#last = { groups, of: sighting.listeners };
    this.#outcome = undefined;
    return groups;
  }

  #forget(key: string): void {
    this.#known.get(key)?.fingerprint.rest?.close();
    this.#known.delete(key);
  }

  #settle(key: string, found: Known): void {
    if (this.#known.get(key)?.fingerprint !== found.fingerprint) this.#outcome = undefined;
    this.#known.set(key, found);
  }

  /** Refreshes the models of an identified engine, resumes an unfinished attempt, or probes from the start. */
  async #probe(
    before: Known | undefined,
    listeners: readonly AnyListener[],
    context: ProbeContext,
  ): Promise<Known> {
    const isSame = before !== undefined && !isReplaced(before, listeners);
    if (!isSame) before?.fingerprint.rest?.close();
    const rest = isSame ? before.fingerprint.rest : undefined;
    const canRefresh = isSame && !rest && isIdentified(before.fingerprint);
    const refreshed = canRefresh
      ? await refreshModels(this.#deps, before.fingerprint, context.signal)
      : undefined;
    const found = refreshed ?? (await this.#fingerprint(listeners[0]!, context, rest));
    const sockets = new Set(listeners.map(({ key }) => key));
    return { fingerprint: found, sockets, ...nextAttempt(found, before, this.#deps.elapsed()) };
  }

  async #fingerprint(
    listener: AnyListener,
    { likelyOf, signal, processes }: ProbeContext,
    rest: Fingerprint["rest"],
  ): Promise<Fingerprint> {
    const complete = this.#snapshotComplete?.promise;
    const likelyInTheEnd = async () => {
      await complete;
      return likelyOf(listener);
    };
    const probeAt = (target: Omit<Target, "tls">) =>
      fingerprint(this.#deps, target, likelyOf(listener), { signal, likelyInTheEnd, rest });
    const { pid } = listener;
    const prefix = rest || pid === undefined ? undefined : pathPrefix(processes.get(pid)?.argv ?? []);
    if (prefix === undefined || pid === undefined) return probeAt(targetOf(listener));
    // Suspects are known only after the memory of the processes was read.
    await complete;
    return this.#deps.isSuspect?.(pid)
      ? probeBelowPrefix(targetOf(listener), prefix, probeAt)
      : probeAt(targetOf(listener));
  }

  #outcomeOf(groups: ListenerGroups): Outcome {
    const heard: Heard[] = [];
    let unsettled = 0;
    for (const [key, listeners] of groups) {
      const found = this.#known.get(key)?.fingerprint;
      if (!found?.settled) unsettled += 1;
      if (!found) continue;
      for (const listener of listeners) heard.push({ listener, fingerprint: found });
    }
    return { heard, unsettled };
  }
}

/** Time of the next attempt, and the delay for the attempt after that. */
function nextAttempt(
  found: Fingerprint,
  before: Known | undefined,
  nowMs: number,
): Pick<Known, "nextAtMs" | "retryMs"> {
  if (found.rest?.hasProgressed()) return { nextAtMs: nowMs + PROGRESS_MS, retryMs: RETRY_MS };
  if (isIdentified(found) && !found.rest) return { nextAtMs: nowMs + REFRESH_MS, retryMs: RETRY_MS };
  if (found.settled) return { nextAtMs: Number.POSITIVE_INFINITY, retryMs: RETRY_MS };
  const retryMs = before?.retryMs ?? (found.rest?.isSilent() ? PROGRESS_MS : RETRY_MS);
  return { nextAtMs: nowMs + retryMs, retryMs: Math.min(retryMs * 2, RETRY_MS_MAX) };
}

/**
 * Probes below the path prefix. If this identifies nothing or finds no details, also probes without the
 * prefix, because a reverse proxy may strip the prefix. Returns the better result.
 */
async function probeBelowPrefix(
  target: Omit<Target, "tls">,
  prefix: string,
  probeAt: (target: Omit<Target, "tls">) => Promise<Fingerprint>,
): Promise<Fingerprint> {
  const below = await probeAt({ ...target, prefix });
  if (isIdentified(below) && detailCount(below) > 0) return below;
  const plain = await probeAt(target);
  const isBelowBetter =
    isIdentified(below) && (!isIdentified(plain) || detailCount(below) > detailCount(plain));
  (isBelowBetter ? plain : below).rest?.close();
  return isBelowBetter ? below : plain;
}

const detailCount = ({ models, auth, version }: Fingerprint): number =>
  Number(models.length > 0) + Number(auth !== "unknown") + Number(version !== undefined);

function report(total: number, unsettled: number, unasked: number): Collector {
  if (unsettled === 0) return { name: "http", status: "ok", detail: `${total} listeners probed` };
  const rest = unasked > 0 ? `, ${unasked} of them not started yet` : "";
  const detail = `${unsettled} of ${total} listeners not probed completely${rest}`;
  return { name: "http", status: "partial", detail };
}

/**
 * True if the process closed a socket and opened another one on the same port. The new socket may belong to
 * another server.
 */
const isReplaced = ({ sockets }: Known, listeners: readonly AnyListener[]): boolean =>
  listeners.some(({ key }) => !sockets.has(key));

const isDue = (known: Known | undefined, listeners: readonly AnyListener[], nowMs: number): boolean =>
  known === undefined || known.nextAtMs <= nowMs || isReplaced(known, listeners);

const isIdentified = (found: Fingerprint): boolean =>
  found.judgement.winner !== undefined || found.shape !== undefined;

/** Waits until the work is finished, at most `waitMs`. */
async function atMost(waitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: Timer | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
