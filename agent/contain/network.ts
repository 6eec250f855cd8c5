import type { Log } from "../log.ts";
import { isLoopback, isPlainAddress } from "./addresses.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "./enforcer.ts";
import type { Endpoint, Firewall } from "./firewall.ts";

/** `control` right after applying: a name server or a handshake may need a moment. */
const REACH_TRIES_MAX = 3;
const REACH_PAUSE_MS = 500;
const ROLL_BACK_TRIES_MAX = 3;
/** Addresses of a control plane behind a name that keeps changing: the newest count. */
const ADDRESSES_MAX = 32;
/** RFC 5737: an address for documentation, where nothing lives. */
const NOWHERE: Endpoint = { address: "192.0.2.1", port: 443 };
/** RFC 863: a port of the control plane's own host that is not the control plane's. */
const DISCARD_PORT = 9;

export type NetworkDeps = {
  firewall: Firewall;
  edgeUrl: string;
  /** All addresses of a name. Rejects when there are none. */
  resolve: (name: string) => Promise<string[]>;
  /** Name servers that this host asks, loopback stubs replaced by those they ask. */
  resolvers: () => Promise<string[]>;
  /** Addresses of the control plane seen before: at boot there are rules to be put before there are names. */
  load: () => string[];
  save: (addresses: readonly string[]) => void;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

type Probes = NonNullable<Proof["probes"]>;

/** Mode `network`: applied whole or not at all, proven by trying, undone when it cuts itself off. */
export function networkEnforcer(deps: NetworkDeps): Enforcer {
  let addresses = deps.load().filter(isPlainAddress);
  /** What the firewall says of our rules while nobody has altered them. */
  let intact: string | undefined;
  /** Name servers that the rules let through. */
  let resolvers: readonly string[] = [];
  let lastProbes: Probes | undefined;

  const url = new URL(deps.edgeUrl);
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const { firewall } = deps;

  /** Follows the name; addresses seen before stay, for connections to them may still be open. */
  async function follow(): Promise<boolean> {
    const found = isPlainAddress(name) ? [name] : await deps.resolve(name).catch(() => []);
    const merged = [...new Set([...found.filter(isPlainAddress), ...addresses])].slice(0, ADDRESSES_MAX);
    const isNew = merged.some((address) => !addresses.includes(address));
    addresses = merged;
    if (isNew) deps.save(addresses);
    return isNew;
  }

  /** Undefined when the rules stand, else why not. */
  async function put(): Promise<string | undefined> {
    const control = addresses.map((address) => ({ address, port }));
    const asked = await deps.resolvers();
    const fault = await firewall.restrict({ control, resolvers: asked });
    if (fault) return fault;
    resolvers = asked;
    intact = await firewall.standing();
    return undefined;
  }

  async function reached(signal: AbortSignal): Promise<boolean> {
    for (let tries = 1; tries <= REACH_TRIES_MAX && !signal.aborted; tries++) {
      if (await deps.reach(signal)) return true;
      if (tries < REACH_TRIES_MAX) await deps.sleep(REACH_PAUSE_MS, signal);
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
      .filter((address) => !isLoopback(address))
      .slice(0, 1)
      .map((address) => ({ address, port: port === DISCARD_PORT ? DISCARD_PORT + 1 : DISCARD_PORT }));
    return firewall.refuses([...elsewhere, NOWHERE]);
  }

  async function apply(_order: Order, signal: AbortSignal): Promise<Proof> {
    await follow();
    if (addresses.length === 0)
      return { outcome: "failed", reason: `the control plane's name ${name} has no address` };
    const fault = await put();
    if (fault) {
      // Not every firewall takes all or nothing: what it took before it failed goes too.
      await firewall.remove(false);
      return { outcome: "failed", reason: fault };
    }
    if (!(await reached(signal))) {
      if (signal.aborted) throw new Error("stopped before the isolation was proven");
      const stuck = await rollBack(signal);
      intact = undefined;
      const end = stuck === undefined ? "rolled back" : "and the rules could not be rolled back";
      return { outcome: "failed", reason: `the control plane was unreachable right after applying; ${end}` };
    }
    lastProbes = { controlPlaneReachable: true, forbiddenBlocked: await forbiddenBlocked() };
    return { outcome: "applied", probes: lastProbes };
  }

  /** An outage of the control plane changes nothing here: once proven, the host stays contained. */
  async function reassert(_order: Order, signal: AbortSignal): Promise<Proof> {
    let fault: string | undefined;
    // Before any name server is asked, which may take its time.
    if (addresses.length > 0 && (intact === undefined || (await firewall.standing()) !== intact)) {
      if (intact !== undefined) deps.log("warn", "the isolation rules were altered; putting them back");
      fault = await put();
      lastProbes = undefined;
    }
    const hasNewAddress = await follow();
    // A laptop in another network asks other name servers, and finds the control plane by name only through them.
    const hasNewResolver = (await deps.resolvers()).some((address) => !resolvers.includes(address));
    if (addresses.length === 0) fault = "the control plane's name has no address";
    else if (hasNewAddress || hasNewResolver) {
      fault = await put();
      lastProbes = undefined;
    }
    if (fault) {
      lastProbes = undefined;
      const probes = { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: false };
      return { outcome: "applied", reason: `the rules could not be put back: ${fault}`, probes };
    }
    if (!(lastProbes?.controlPlaneReachable && lastProbes.forbiddenBlocked)) {
      lastProbes = {
        controlPlaneReachable: await deps.reach(signal),
        forbiddenBlocked: await forbiddenBlocked(),
      };
    }
    return { outcome: "applied", probes: lastProbes };
  }

  async function release(order: Order, signal: AbortSignal): Promise<Proof> {
    const fault = await firewall.remove(order.wasInForce);
    intact = undefined;
    lastProbes = undefined;
    if (fault) return { outcome: "failed", reason: `the rules could not be removed: ${fault}` };
    return {
      outcome: "applied",
      probes: { controlPlaneReachable: await reached(signal), forbiddenBlocked: null },
    };
  }

  return { apply, release, reassert };
}
