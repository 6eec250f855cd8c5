import type { Collector } from "../../../shared/wire/heartbeat.ts";
import { type AnyListener, isTcp, type Sighting } from "../system/host.ts";
import type { Target } from "./connection.ts";
import { type Fingerprint, fingerprint, refreshModels } from "./fingerprint.ts";
import type { FingerprintDeps } from "./inquiry.ts";
import { createByteBudget } from "./kept-answer.ts";
import { pathPrefix } from "./path-prefix.ts";

/** Models come and go while the process stays: an identified engine is asked for them this often. */
const REFRESH_MS = 30_000;
/** Delay before the next attempt at a slow server that has responded to something. */
const PROGRESS_MS = 1000;
/** An answer that was not settled is asked again after this long, then twice as long, and so on. */
const RETRY_MS = 5000;
const RETRY_MS_MAX = 3_600_000;
/** The first scan waits for slow servers, so that a single scan is complete; later ones go on without them. */
const WAITS = { firstMs: 5000, laterMs: 500 };
/** Listeners probed at the same time. The limit keeps sockets that never respond from delaying the others. */
export const ASKING_MAX = 32;

/** `sockets`: keys of the listeners that were asked. */
type Known = { fingerprint?: Fingerprint; nextAtMs: number; retryMs: number; sockets: ReadonlySet<string> };

/** Products worth asking a listener about first, by what is known so far. They also decide what fits two equally. */
export type LikelyOf = (listener: AnyListener) => ReadonlySet<string>;

export type Listening = {
  /** Begins to ask what is new or due. What fits two equally is decided in {@link Listening.update}: all is known then. */
  begin(sighting: Sighting, likelyOf: LikelyOf, signal?: AbortSignal): void;
  /** Asks what is new or due and waits for it. `heard` is the same list as before while it says the same. */
  update(
    sighting: Sighting,
    likelyOf: LikelyOf,
    signal?: AbortSignal,
  ): Promise<{
    heard: Heard[];
    collector: Collector;
    /** What there was no time for: questions that are still open, and those that the next attempt asks. */
    waiting: readonly string[];
  }>;
};

/** Remembers what every listener is, by its process and port: an unchanged one is not probed again. */
export function createListening(
  deps: FingerprintDeps & { selfPid: number; isSuspect?: (pid: number) => boolean },
  waits: { firstMs: number; laterMs: number } = WAITS,
): Listening {
  const known = new Map<string, Known>();
  const inquiry = {
    ...deps,
    kept: deps.kept ?? createByteBudget(),
    waiting: deps.waiting ?? createByteBudget(),
  };
  const asking = new Map<string, Promise<void>>();
  /** Listeners that are due in this scan and not probed yet, in order. */
  let queue: { key: string; begin: () => Promise<Known> }[] = [];
  let waitMs = waits.firstMs;
  let last: { groups: ReadonlyMap<string, readonly AnyListener[]>; of: readonly AnyListener[] } | undefined;
  let concluded: ReturnType<typeof conclude> | undefined;
  /** Whoever began to ask before all was known waits for it before they decide. */
  let whole: PromiseWithResolvers<void> | undefined;
  return {
    begin: (sighting, likelyOf, signal) => {
      whole ??= Promise.withResolvers();
      askDue(sighting, likelyOf, signal);
    },
    update: async (sighting, likelyOf, signal) => {
      whole?.resolve();
      whole = undefined;
      const groups = askDue(sighting, likelyOf, signal);
      if (asking.size > 0) await soon(idle, waitMs);
      waitMs = waits.laterMs;
      concluded ??= conclude(groups);
      const { heard, unsettled } = concluded;
      const unasked = queue.filter(({ key }) => !known.has(key)).length;
      return { heard, collector: report(groups.size, unsettled, unasked), waiting: waitingOf(unasked) };
    },
  };

  function waitingOf(unasked: number): string[] {
    const open = new Set(asking.keys());
    for (const [key, { fingerprint }] of known) if (fingerprint?.rest?.isHopeful()) open.add(key);
    const count = open.size + unasked;
    return count > 0 ? [`${count} listeners have not answered everything yet`] : [];
  }

  function askDue(sighting: Sighting, likelyOf: LikelyOf, signal: AbortSignal | undefined) {
    const groups = groupsOf(sighting);
    const nowMs = deps.elapsed();
    const due = [...groups].filter(
      ([key, listeners]) => !asking.has(key) && isDue(known.get(key), listeners, nowMs),
    );
    const isNew = ([key]: (typeof due)[number]): boolean => !known.has(key);
    const turns = inTurn(due);
    queue = [...turns.filter(isNew), ...turns.filter((one) => !isNew(one))].map(([key, listeners]) => ({
      key,
      begin: () => ask(known.get(key), listeners, { likelyOf, signal, processes: sighting.processes }),
    }));
    proceed();
    return groups;
  }

  function proceed(): void {
    while (asking.size < ASKING_MAX) {
      const next = queue.shift();
      if (!next) return;
      const answered = next
        .begin()
        .then((found) => settle(next.key, found))
        .finally(() => {
          asking.delete(next.key);
          proceed();
        });
      asking.set(next.key, answered);
      // Whoever waits for it is told; it may fail when nobody does.
      answered.catch(() => undefined);
    }
  }

  /** Until all that is due was asked. */
  async function idle(): Promise<void> {
    while (asking.size > 0) await Promise.all(asking.values());
  }

  function groupsOf(sighting: Sighting): ReadonlyMap<string, readonly AnyListener[]> {
    if (last?.of === sighting.listeners) return last.groups;
    const groups = groupListeners(sighting, deps.selfPid);
    for (const key of known.keys()) if (!groups.has(key)) forget(key);
    last = { groups, of: sighting.listeners };
    concluded = undefined;
    return groups;
  }

  function forget(key: string): void {
    known.get(key)?.fingerprint?.rest?.close();
    known.delete(key);
  }

  function settle(key: string, found: Known): void {
    if (known.get(key)?.fingerprint !== found.fingerprint) concluded = undefined;
    known.set(key, found);
  }

  async function ask(
    before: Known | undefined,
    listeners: readonly AnyListener[],
    { likelyOf, signal, processes }: Asking,
  ): Promise<Known> {
    const first = listeners[0]!;
    const all = whole?.promise;
    const likelyInTheEnd = async () => {
      await all;
      return likelyOf(first);
    };
    const engine = before?.fingerprint && isNoted(before.fingerprint) && before.fingerprint;
    const isSame = before && !isAnew(before, listeners);
    if (!isSame) before?.fingerprint?.rest?.close();
    const rest = isSame ? before.fingerprint?.rest : undefined;
    const refreshed = engine && isSame && !rest ? await refreshModels(inquiry, engine, signal) : undefined;
    const options = { signal, likelyInTheEnd, rest };
    const prefix = rest || refreshed ? undefined : pathPrefix(processes.get(first.pid ?? -1)?.argv ?? []);
    // Whether it is a suspect is known with its memory.
    if (prefix !== undefined) await all;
    const askAt = (where: Omit<Target, "tls">) => fingerprint(inquiry, where, likelyOf(first), options);
    const isPrefixed = prefix !== undefined && first.pid !== undefined && deps.isSuspect?.(first.pid);
    const found =
      refreshed ??
      (isPrefixed ? await askBehind(whereOf(first), prefix, askAt) : await askAt(whereOf(first)));
    const nowMs = deps.elapsed();
    const asked = { fingerprint: found, sockets: new Set(listeners.map(({ key }) => key)) };
    if (found.rest?.hasProgressed()) return { ...asked, nextAtMs: nowMs + PROGRESS_MS, retryMs: RETRY_MS };
    if (isNoted(found) && !found.rest) return { ...asked, nextAtMs: nowMs + REFRESH_MS, retryMs: RETRY_MS };
    if (found.settled) return { ...asked, nextAtMs: Number.POSITIVE_INFINITY, retryMs: RETRY_MS };
    const retryMs = before?.retryMs ?? (found.rest?.isSilent() ? PROGRESS_MS : RETRY_MS);
    return { ...asked, nextAtMs: nowMs + retryMs, retryMs: Math.min(retryMs * 2, RETRY_MS_MAX) };
  }

  function conclude(groups: ReadonlyMap<string, readonly AnyListener[]>): {
    heard: Heard[];
    unsettled: number;
  } {
    const heard: Heard[] = [];
    let unsettled = 0;
    for (const [key, listeners] of groups) {
      const found = known.get(key)?.fingerprint;
      if (!found?.settled) unsettled += 1;
      if (!found) continue;
      for (const listener of listeners) heard.push({ listener, fingerprint: found });
    }
    return { heard, unsettled };
  }
}

/** Inputs of a probe other than the listener itself. */
type Asking = {
  likelyOf: LikelyOf;
  signal: AbortSignal | undefined;
  processes: Sighting["processes"];
};

/**
 * Probes below the path prefix, then also without it if that identified nothing: the prefix may belong to a reverse proxy
 * that strips it.
 */
async function askBehind(
  where: Omit<Target, "tls">,
  prefix: string,
  askAt: (where: Omit<Target, "tls">) => Promise<Fingerprint>,
): Promise<Fingerprint> {
  const behind = await askAt({ ...where, prefix });
  if (isNoted(behind) && tells(behind) > 0) return behind;
  const plain = await askAt(where);
  const isBetter = isNoted(behind) && (!isNoted(plain) || tells(behind) > tells(plain));
  (isBetter ? plain : behind).rest?.close();
  return isBetter ? behind : plain;
}

const tells = ({ models, auth, version }: Fingerprint): number =>
  Number(models.length > 0) + Number(auth !== "unknown") + Number(version !== undefined);

/** The first listener of each process, then the second of each, and so on. */
function inTurn(groups: [key: string, listeners: readonly AnyListener[]][]) {
  const before = new Map<number | undefined, number>();
  const turns = groups.map((group) => {
    const { pid } = group[1][0]!;
    const turn = before.get(pid) ?? 0;
    before.set(pid, turn + 1);
    return { group, turn };
  });
  return turns.sort((a, b) => a.turn - b.turn).map(({ group }) => group);
}

function report(total: number, unsettled: number, unasked: number): Collector {
  if (unsettled === 0) return { name: "http", status: "ok", detail: `${total} listeners asked` };
  const rest = unasked > 0 ? `, ${unasked} of them not asked yet` : "";
  const detail = `${unsettled} of ${total} listeners did not answer in full${rest}`;
  return { name: "http", status: "partial", detail };
}

/** A process can close its socket and listen anew on the same port, as something else. */
const isAnew = ({ sockets }: Known, listeners: readonly AnyListener[]): boolean =>
  listeners.some(({ key }) => !sockets.has(key));

const isDue = (known: Known | undefined, listeners: readonly AnyListener[], nowMs: number): boolean =>
  known === undefined || known.nextAtMs <= nowMs || isAnew(known, listeners);

/** Waits for the answers, but no longer than `waitMs`. */
async function soon(answers: () => Promise<unknown>, waitMs: number): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([answers(), late]);
  clearTimeout(timer);
}

const whereOf = (listener: AnyListener): Omit<Target, "tls"> => {
  if (!isTcp(listener)) return { address: "", port: 0, unix: listener.unix };
  const { reachableAt, port, inside } = listener;
  return { address: reachableAt!, port, ...(inside && { inside }) };
};

const isNoted = (found: Fingerprint): boolean =>
  found.judgement.winner !== undefined || found.shape !== undefined;

/** Listeners of one process on one port are one server, whatever the number of addresses. */
function groupListeners({ listeners, processes }: Sighting, selfPid: number): Map<string, AnyListener[]> {
  const groups = new Map<string, AnyListener[]>();
  for (const listener of listeners) {
    if (listener.pid === selfPid || (isTcp(listener) && listener.reachableAt === undefined)) continue;
    const owner = listener.pid === undefined ? listener.key : processes.get(listener.pid)?.key;
    const key = `${owner} ${isTcp(listener) ? listener.port : listener.key}`;
    groups.set(key, [...(groups.get(key) ?? []), listener]);
  }
  // IPv4 first: the one address every server of a dual-stack pair really answers on.
  for (const group of groups.values()) group.sort((a, b) => rankOf(a) - rankOf(b));
  return groups;
}

function rankOf(listener: AnyListener): number {
  const address = isTcp(listener) ? listener.reachableAt : undefined;
  return address?.startsWith("127.") ? 0 : address === "::1" ? 1 : 2;
}

/** A listener that was asked, and what it turned out to be. */
export type Heard = { listener: AnyListener; fingerprint: Fingerprint };
