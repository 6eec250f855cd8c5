import type { Log } from "../../platform/log.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "../modes/enforcer.ts";
import { isLoopback, isPlainAddress } from "./addresses.ts";
import { ADDRESSES_MAX, createControlAddresses } from "./control-addresses.ts";
import { type Endpoint, type Firewall, type Links, type NetworkRules, NOTHING_SENT } from "./firewall.ts";

/** Right after applying: a name server or a handshake may need a moment. */
const REACH_TRIES_MAX = 3;
/** A try that brought a new address to light is not counted, up to this many in all. */
const ROTATING_TRIES_MAX = 12;
const REACH_PAUSE_MS = 500;
const ROLL_BACK_TRIES_MAX = 3;
/** For so long a rotating name is asked before anything is cut. It ends sooner when this many answers in a row are old. */
const SAMPLING_MS_MAX = 5000;
const STALE_SAMPLES_MAX = 3;
/** More name servers than any system asks (resolv.conf(5): three). */
const RESOLVERS_MAX = 8;
/** RFC 5737: an address for documentation, where nothing lives. */
const NOWHERE: Endpoint = { address: "192.0.2.1", port: 443 };
/** RFC 863: a port of the control plane's own host that is not the control plane's. */
const DISCARD_PORT = 9;

export type NetworkDeps = {
  firewall: Firewall;
  edgeUrl: string;
  /** The proxy that the agent's requests to the control plane go through. */
  proxy?: { name: string; port: number } | undefined;
  /** All addresses of a name. Rejects when there are none. */
  resolve: (name: string) => Promise<string[]>;
  /** Name servers that this host asks, loopback stubs replaced by those they ask. */
  resolvers: () => Promise<string[]>;
  /** Users whose programs may ask any name server while none is known. Absent: root. */
  resolverUsers?: (() => Promise<number[]>) | undefined;
  links: () => Promise<Links>;
  /** Addresses that this process has open TCP connections to on a port. Absent where they cannot be listed. */
  connected?: ((port: number) => Promise<string[]>) | undefined;
  /** Name of the tunnel device (VPN) that packets to this endpoint leave through; undefined when it is none. */
  tunnelTo?: ((endpoint: Endpoint) => Promise<string | undefined>) | undefined;
  /** Addresses of the control plane seen before: at boot there are rules to be put before there are names. */
  load: () => string[];
  save: (addresses: readonly string[]) => void;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds by a monotonic clock. */
  elapsed: () => number;
  log: Log;
};

type Probes = NonNullable<Proof["probes"]>;

/** Mode `network`: applied whole or not at all, proven by trying, undone when it cuts itself off. */
export function networkEnforcer(deps: NetworkDeps): Enforcer {
  const { firewall } = deps;
  const { name, port, what } = targetOf(deps);
  const addresses = createControlAddresses(deps.load().filter(isPlainAddress), deps.elapsed);
  /** Name servers named last: while none is named, those stay, for a file that is being written opens nothing. */
  let resolvers: string[] = [];
  /** What the firewall was asked for last. */
  let sent: string | undefined;
  let lastProbes: Probes | undefined;

  async function resolved(): Promise<string[]> {
    const found = isPlainAddress(name) ? [name] : await deps.resolve(name).catch(() => []);
    return found.filter(isPlainAddress);
  }

  /** True when an address came or went. */
  async function follow(): Promise<boolean> {
    const connected = ((await deps.connected?.(port)) ?? []).filter(isPlainAddress);
    const isChanged = addresses.see({ resolved: await resolved(), connected });
    if (isChanged) deps.save(addresses.all());
    return isChanged;
  }

  /** Before anything is cut: a name that gives another address each time is asked until it says nothing new. */
  async function followAll(signal: AbortSignal): Promise<void> {
    await follow();
    if (isPlainAddress(name)) return;
    // It shows by an open connection which of the addresses works.
    await deps.reach(signal);
    let stale = 0;
    const startedAtMs = deps.elapsed();
    const isInTime = (): boolean => deps.elapsed() - startedAtMs < SAMPLING_MS_MAX;
    while (stale < STALE_SAMPLES_MAX && isInTime() && !signal.aborted) {
      stale = (await follow()) ? 0 : stale + 1;
      if (addresses.all().length >= ADDRESSES_MAX) return;
    }
  }

  async function wanted(): Promise<NetworkRules> {
    const named = (await deps.resolvers()).filter(isPlainAddress).slice(0, RESOLVERS_MAX);
    if (named.length > 0) resolvers = named;
    const users = resolvers.length > 0 ? undefined : await deps.resolverUsers?.();
    return {
      control: addresses
        .all()
        .sort()
        .map((address) => ({ address, port })),
      resolvers: [...resolvers].sort(),
      ...(users && { resolverUsers: users }),
      links: await deps.links(),
    };
  }

  /** Undefined when the rules stand, else why not. */
  async function put(rules: NetworkRules): Promise<string | undefined> {
    sent = undefined;
    lastProbes = undefined;
    const fault = await firewall.restrict(rules);
    if (fault) return fault;
    sent = JSON.stringify(rules);
    return undefined;
  }

  /** Puts the rules again when what this host talks to has changed: addresses that came, and those that went. */
  async function putIfChanged(): Promise<string | undefined> {
    const rules = await wanted();
    return JSON.stringify(rules) === sent ? undefined : put(rules);
  }

  async function reached(signal: AbortSignal, isFollowing: boolean): Promise<boolean> {
    let counted = 0;
    for (let tries = 1; tries <= ROTATING_TRIES_MAX && !signal.aborted; tries++) {
      if (await deps.reach(signal)) return true;
      const isNew = isFollowing && (await follow());
      if (isNew) await putIfChanged();
      if (!isNew && ++counted >= REACH_TRIES_MAX) return false;
      await deps.sleep(REACH_PAUSE_MS, signal);
    }
    return false;
  }

  /** Not given up at once: the control plane, which could order it again, cannot be reached. */
  async function rollBack(signal: AbortSignal): Promise<string | undefined> {
    let stuck = await firewall.remove(true);
    for (let tries = 1; stuck !== undefined && tries < ROLL_BACK_TRIES_MAX; tries++) {
      await deps.sleep(REACH_PAUSE_MS, signal);
      stuck = await firewall.remove(true);
    }
    return stuck;
  }

  /** Tries what must not work: another port of the control plane's host, and an address where nothing lives. */
  async function forbiddenBlocked(): Promise<boolean> {
    const elsewhere = addresses
      .all()
      .filter((address) => !isLoopback(address))
      .slice(0, 1)
      .map((address) => ({ address, port: port === DISCARD_PORT ? DISCARD_PORT + 1 : DISCARD_PORT }));
    return firewall.refuses([...elsewhere, NOWHERE]);
  }

  /** Why this isolation would cut off the agent, found before anything is cut; undefined when nothing is known. */
  async function whyNot(): Promise<string | undefined> {
    const all = addresses.all();
    if (all.length === 0) return `${what}'s name ${name} has no address`;
    if (deps.proxy && all.every(isLoopback))
      return `the proxy ${name}:${port} runs on this host, and its own connections would be cut; set proxy of the agent to one beyond this host; nothing was changed`;
    const tunnels = await Promise.all(all.map((address) => deps.tunnelTo?.({ address, port })));
    if (tunnels.every((device) => device !== undefined))
      return `${what} is reached through the VPN device ${tunnels[0]}, which mode network would cut off; give the host a way to it beside the VPN, or use stop-engines; nothing was changed`;
    return undefined;
  }

  async function apply(_order: Order, signal: AbortSignal): Promise<Proof> {
    await followAll(signal);
    const refusal = await whyNot();
    if (refusal) return { outcome: "failed", reason: refusal };
    const fault = await put(await wanted());
    if (fault) {
      // Not every firewall takes all or nothing: what it took before it failed goes too.
      await firewall.remove(false);
      return { outcome: "failed", reason: fault };
    }
    if (!(await reached(signal, true))) {
      if (signal.aborted) throw new Error("stopped before the isolation was proven");
      const stuck = await rollBack(signal);
      sent = undefined;
      const end = stuck === undefined ? "rolled back" : "and the rules could not be rolled back";
      return { outcome: "failed", reason: `${what} was unreachable right after applying; ${end}` };
    }
    lastProbes = { controlPlaneReachable: true, forbiddenBlocked: await forbiddenBlocked() };
    return { outcome: "applied", probes: lastProbes };
  }

  /** An outage of the control plane changes nothing here: once proven, the host stays contained. */
  async function reassert({ isQuick }: Order, signal: AbortSignal): Promise<Proof> {
    let fault: string | undefined;
    let repaired: string | undefined;
    // Before any name server is asked, which may take its time.
    if (addresses.all().length > 0) {
      const altered = await firewall.altered();
      if (altered !== undefined && altered !== NOTHING_SENT)
        repaired = `the isolation rules were altered (${altered})`;
      if (altered !== undefined) fault = await put(await wanted());
    }
    if (!isQuick) await follow();
    if (addresses.all().length === 0) fault = `${what}'s name ${name} has no address`;
    else fault ??= await putIfChanged();
    if (fault) {
      lastProbes = undefined;
      const probes = { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: false };
      const reason = `the rules could not be put back: ${fault}`;
      return { outcome: "applied", reason, probes, ...(repaired !== undefined && { repaired }) };
    }
    if (!(lastProbes?.controlPlaneReachable && lastProbes.forbiddenBlocked)) {
      lastProbes = {
        controlPlaneReachable: await deps.reach(signal),
        forbiddenBlocked: await forbiddenBlocked(),
      };
    }
    return { outcome: "applied", probes: lastProbes, ...(repaired !== undefined && { repaired }) };
  }

  async function release(order: Order, signal: AbortSignal): Promise<Proof> {
    const fault = await firewall.remove(order.wasInForce);
    sent = undefined;
    lastProbes = undefined;
    if (fault) return { outcome: "failed", reason: `the rules could not be removed: ${fault}` };
    return {
      outcome: "applied",
      probes: { controlPlaneReachable: await reached(signal, false), forbiddenBlocked: null },
    };
  }

  return { apply, release, reassert };
}

/** Whom the agent connects to: the control plane, or the proxy before it. */
function targetOf({ edgeUrl, proxy }: Pick<NetworkDeps, "edgeUrl" | "proxy">) {
  if (proxy) return { ...proxy, what: "the proxy" };
  const url = new URL(edgeUrl);
  return {
    name: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
    what: "the control plane",
  };
}
