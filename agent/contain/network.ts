import { isIP } from "node:net";
import type { RunCommand } from "../command.ts";
import type { Log } from "../log.ts";
import type { Enforcer, Order, Proof, ReachControlPlane } from "./enforcer.ts";
import { COUNTER, type Endpoint, networkRules, packetsIn, removeTable, TABLE } from "./nftables.ts";

/** `control` right after applying: a name server or a handshake may need a moment. */
const REACH_TRIES_MAX = 3;
const REACH_PAUSE_MS = 500;
/** Addresses of a control plane behind a name that keeps changing: the newest count. */
const ADDRESSES_MAX = 32;
const COMMAND_NOT_FOUND = 127;
/** RFC 5737: an address for documentation, where nothing lives. */
const NOWHERE: Endpoint = { address: "192.0.2.1", port: 443 };
/** RFC 863: a port of the control plane's own host that is not the control plane's. */
const DISCARD_PORT = 9;

export type NetworkDeps = {
  run: RunCommand;
  edgeUrl: string;
  /** All addresses of a name. Rejects when there are none. */
  resolve: (name: string) => Promise<string[]>;
  /** Name servers that this host asks, loopback stubs replaced by those they ask. */
  resolvers: () => string[];
  /** Whether a TCP connection came about. */
  connect: (endpoint: Endpoint) => Promise<boolean>;
  reach: ReachControlPlane;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  log: Log;
};

type Probes = NonNullable<Proof["probes"]>;

/** Mode `network` by nftables: applied whole or not at all, proven by trying, undone when it cuts itself off. */
export function networkEnforcer(deps: NetworkDeps): Enforcer {
  let addresses: string[] = [];
  /** What `nft list` says of our table while nobody has altered it. */
  let intact: string | undefined;
  let lastProbes: Probes | undefined;

  const url = new URL(deps.edgeUrl);
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80);
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const nft = (rules: string) => deps.run(["nft", "-f", "-"], rules);
  const listing = async (): Promise<string | undefined> => {
    const { code, stdout } = await deps.run(["nft", "--stateless", "list", "table", ...TABLE.split(" ")]);
    return code === 0 ? stdout : undefined;
  };

  /** Follows the name; addresses seen before stay, for connections to them may still be open. */
  async function follow(): Promise<boolean> {
    const found = isIP(name) ? [name] : await deps.resolve(name).catch(() => []);
    const merged = [...new Set([...found, ...addresses])].slice(0, ADDRESSES_MAX);
    const isNew = merged.some((address) => !addresses.includes(address));
    addresses = merged;
    return isNew;
  }

  /** Undefined when the rules stand, else why not; then nothing was changed. */
  async function put(): Promise<string | undefined> {
    const control = addresses.map((address) => ({ address, port }));
    const { code, stderr } = await nft(networkRules({ control, resolvers: deps.resolvers() }));
    if (code === COMMAND_NOT_FOUND) return "nft is not installed on this host";
    if (code !== 0) return `nft refused the rules: ${stderr.trim().split("\n")[0]}`;
    intact = await listing();
    return undefined;
  }

  async function reached(signal: AbortSignal): Promise<boolean> {
    for (let tries = 1; tries <= REACH_TRIES_MAX && !signal.aborted; tries++) {
      if (await deps.reach(signal)) return true;
      if (tries < REACH_TRIES_MAX) await deps.sleep(REACH_PAUSE_MS, signal);
    }
    return false;
  }

  async function refusedPackets(): Promise<number> {
    const { stdout } = await deps.run(["nft", "-j", "list", "counter", ...TABLE.split(" "), COUNTER]);
    return packetsIn(stdout) ?? 0;
  }

  /**
   * Tries what must not work. Proven only when no connection came about and our own counter moved: a host that
   * has no route there in the first place proves nothing.
   */
  async function forbiddenBlocked(): Promise<boolean> {
    const elsewhere = addresses
      .filter((address) => !/^(127\.|::1$)/.test(address))
      .slice(0, 1)
      .map((address) => ({ address, port: port === DISCARD_PORT ? DISCARD_PORT + 1 : DISCARD_PORT }));
    const before = await refusedPackets();
    const connected = await Promise.all([...elsewhere, NOWHERE].map(deps.connect));
    return connected.every((each) => !each) && (await refusedPackets()) > before;
  }

  async function apply(_order: Order, signal: AbortSignal): Promise<Proof> {
    await follow();
    if (addresses.length === 0)
      return { outcome: "failed", reason: `the control plane's name ${name} has no address` };
    const fault = await put();
    if (fault) return { outcome: "failed", reason: fault };
    if (!(await reached(signal))) {
      if (signal.aborted) throw new Error("stopped before the isolation was proven");
      const undone = await nft(removeTable);
      intact = undefined;
      const end = undone.code === 0 ? "rolled back" : "and the rules could not be rolled back";
      return { outcome: "failed", reason: `the control plane was unreachable right after applying; ${end}` };
    }
    lastProbes = { controlPlaneReachable: true, forbiddenBlocked: await forbiddenBlocked() };
    return { outcome: "applied", probes: lastProbes };
  }

  /** An outage of the control plane changes nothing here: once proven, the host stays contained. */
  async function reassert(_order: Order, signal: AbortSignal): Promise<Proof> {
    const hasNewAddress = await follow();
    const isIntact = intact !== undefined && (await listing()) === intact;
    if (!isIntact || hasNewAddress) {
      if (intact !== undefined && !isIntact)
        deps.log("warn", "the isolation rules were altered; putting them back");
      const fault = addresses.length === 0 ? "the control plane's name has no address" : await put();
      if (fault) {
        lastProbes = undefined;
        const probes = { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: false };
        return { outcome: "applied", reason: `the rules could not be put back: ${fault}`, probes };
      }
      lastProbes = undefined;
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
    const { code, stderr } = await nft(removeTable);
    intact = undefined;
    lastProbes = undefined;
    // Rules that were never put in place need no nft to be gone.
    const isGone = code === 0 || (code === COMMAND_NOT_FOUND && !order.wasInForce);
    if (!isGone)
      return { outcome: "failed", reason: `the rules could not be removed: ${stderr.trim().split("\n")[0]}` };
    return {
      outcome: "applied",
      probes: { controlPlaneReachable: await reached(signal), forbiddenBlocked: null },
    };
  }

  return { apply, release, reassert };
}
