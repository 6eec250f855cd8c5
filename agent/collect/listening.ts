import type { Collector } from "../../shared/wire/heartbeat.ts";
import type { Heard } from "./candidates.ts";
import { type Fingerprint, type FingerprintDeps, fingerprint, refreshModels } from "./fingerprint.ts";
import type { Listener, Snapshot } from "./host.ts";

/** Models come and go while the process stays: an identified engine is asked for them this often. */
const REFRESH_MS = 30_000;
/** An answer that was not settled is asked again after this long, then twice as long, and so on. */
const RETRY_MS = 5000;
const RETRY_MS_MAX = 3_600_000;
/** The first scan waits for slow servers, so that a single scan is complete; later ones go on without them. */
const FIRST_WAIT_MS = 5000;
const WAIT_MS = 500;

/** `sockets`: keys of the listeners that were asked. */
type Known = { fingerprint?: Fingerprint; nextAtMs: number; retryMs: number; sockets: ReadonlySet<string> };

export type Listening = {
  /** Asks what is new or due. `heard` is the same list as before while it says the same. */
  update(
    snapshot: Snapshot,
    likelyOf: (listener: Listener) => ReadonlySet<string>,
    signal?: AbortSignal,
  ): Promise<{ heard: Heard[]; collector: Collector }>;
};

/** Remembers what every listener is, by its process and port: an unchanged one is not probed again. */
export function createListening(deps: FingerprintDeps & { selfPid: number }): Listening {
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<void>>();
  let waitMs = FIRST_WAIT_MS;
  let last: { groups: ReadonlyMap<string, readonly Listener[]>; of: readonly Listener[] } | undefined;
  let concluded: ReturnType<typeof conclude> | undefined;
  return {
    update: async (snapshot, likelyOf, signal) => {
      const groups = groupsOf(snapshot);
      const nowMs = deps.elapsed();
      for (const [key, listeners] of groups) {
        if (asking.has(key) || !isDue(known.get(key), listeners, nowMs)) continue;
        const answered = ask(known.get(key), listeners, likelyOf, signal)
          .then((found) => settle(key, found))
          .finally(() => asking.delete(key));
        asking.set(key, answered);
      }
      if (asking.size > 0) await soon(Promise.all(asking.values()), waitMs);
      waitMs = WAIT_MS;
      concluded ??= conclude(groups);
      return concluded;
    },
  };

  function groupsOf(snapshot: Snapshot): ReadonlyMap<string, readonly Listener[]> {
    if (last?.of === snapshot.listeners) return last.groups;
    const groups = groupListeners(snapshot, deps.selfPid);
    for (const key of known.keys()) if (!groups.has(key)) known.delete(key);
    last = { groups, of: snapshot.listeners };
    concluded = undefined;
    return groups;
  }

  function settle(key: string, found: Known): void {
    if (known.get(key)?.fingerprint !== found.fingerprint) concluded = undefined;
    known.set(key, found);
  }

  async function ask(
    before: Known | undefined,
    listeners: readonly Listener[],
    likelyOf: (listener: Listener) => ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<Known> {
    const first = listeners[0]!;
    const engine = before?.fingerprint && isNoted(before.fingerprint) && before.fingerprint;
    const isSame = before && !isAnew(before, listeners);
    const refreshed = engine && isSame ? await refreshModels(deps, engine, signal) : undefined;
    const found = refreshed ?? (await fingerprint(deps, whereOf(first), likelyOf(first), signal));
    const nowMs = deps.elapsed();
    const asked = { fingerprint: found, sockets: new Set(listeners.map(({ key }) => key)) };
    if (isNoted(found)) return { ...asked, nextAtMs: nowMs + REFRESH_MS, retryMs: RETRY_MS };
    if (found.settled) return { ...asked, nextAtMs: Number.POSITIVE_INFINITY, retryMs: RETRY_MS };
    const retryMs = before?.retryMs ?? RETRY_MS;
    return { ...asked, nextAtMs: nowMs + retryMs, retryMs: Math.min(retryMs * 2, RETRY_MS_MAX) };
  }

  function conclude(groups: ReadonlyMap<string, readonly Listener[]>): {
    heard: Heard[];
    collector: Collector;
  } {
    const heard: Heard[] = [];
    let unsettled = 0;
    for (const [key, listeners] of groups) {
      const found = known.get(key)?.fingerprint;
      if (!found?.settled) unsettled += 1;
      if (!found) continue;
      for (const listener of listeners) heard.push({ listener, fingerprint: found });
    }
    if (unsettled === 0)
      return { heard, collector: { name: "http", status: "ok", detail: `${groups.size} listeners asked` } };
    const detail = `${unsettled} of ${groups.size} listeners did not answer in full`;
    return { heard, collector: { name: "http", status: "partial", detail } };
  }
}

/** A process can close its socket and listen anew on the same port, as something else. */
const isAnew = ({ sockets }: Known, listeners: readonly Listener[]): boolean =>
  listeners.some(({ key }) => !sockets.has(key));

const isDue = (known: Known | undefined, listeners: readonly Listener[], nowMs: number): boolean =>
  known === undefined || known.nextAtMs <= nowMs || isAnew(known, listeners);

/** Waits for the answers, but no longer than `waitMs`. */
async function soon(answers: Promise<unknown>, waitMs: number): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([answers, late]);
  clearTimeout(timer);
}

const whereOf = ({ reachableAt, port, inside }: Listener) => ({
  address: reachableAt!,
  port,
  ...(inside && { inside }),
});

const isNoted = (found: Fingerprint): boolean =>
  found.judgement.winner !== undefined || found.shape !== undefined;

/** Listeners of one process on one port are one server, whatever the number of addresses. */
function groupListeners(snapshot: Snapshot, selfPid: number): Map<string, Listener[]> {
  const groups = new Map<string, Listener[]>();
  for (const listener of snapshot.listeners) {
    if (listener.pid === selfPid || listener.reachableAt === undefined) continue;
    const owner = listener.pid === undefined ? listener.key : snapshot.processes.get(listener.pid)?.key;
    const key = `${owner} ${listener.port}`;
    groups.set(key, [...(groups.get(key) ?? []), listener]);
  }
  // IPv4 first: the one address every server of a dual-stack pair really answers on.
  for (const group of groups.values()) group.sort((a, b) => rankOf(a) - rankOf(b));
  return groups;
}

const rankOf = ({ reachableAt }: Listener): number =>
  reachableAt?.startsWith("127.") ? 0 : reachableAt === "::1" ? 1 : 2;
