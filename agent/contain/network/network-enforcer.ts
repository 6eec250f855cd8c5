import type { Enforcer, Order, Proof } from "../modes/enforcer.ts";
import { isLoopback } from "./addresses.ts";
import { type Endpoint, NOTHING_SENT } from "./firewall.ts";
import {
  followAddresses,
  forgetRules,
  type NetworkContext,
  type NetworkDeps,
  networkContext,
  putIfChanged,
  putRules,
  sampleAddresses,
  wantedRules,
} from "./network-context.ts";

/**
 * Maximum number of attempts to reach the control plane. Right after the rules are installed, a name lookup
 * or a TLS handshake can fail at first.
 */
const REACH_TRIES_MAX = 3;
/**
 * Maximum number of attempts in total. An attempt that found a new address does not count towards
 * {@link REACH_TRIES_MAX}.
 */
const ROTATING_TRIES_MAX = 12;
const REACH_PAUSE_MS = 500;
const ROLL_BACK_TRIES_MAX = 3;
/** An address reserved for documentation, which no host has (RFC 5737). */
const UNUSED_ENDPOINT: Endpoint = { address: "192.0.2.1", port: 443 };
/** The discard port (RFC 863). The control plane does not use it. */
const DISCARD_PORT = 9;

/**
 * Mode `network`: restricts the network to the control plane, name servers and link maintenance. The rules
 * are applied in one step and proven by connection attempts. They are rolled back if they block the control
 * plane.
 */
export function networkEnforcer(deps: NetworkDeps): Enforcer {
  const context = networkContext(deps);
  return {
    apply: (_order, signal) => apply(context, signal),
    release: (order, signal) => release(context, order, signal),
    reassert: (order, signal) => reassert(context, order, signal),
  };
}

async function apply(context: NetworkContext, signal: AbortSignal): Promise<Proof> {
  const { deps, target } = context;
  await sampleAddresses(context, signal);
  const refusal = await whyNot(context);
  if (refusal) return { outcome: "failed", reason: refusal };
  const fault = await putRules(context, await wantedRules(context));
  if (fault) {
    // Some firewalls apply rules one by one. Remove the rules that were applied before the fault.
    await deps.firewall.remove(false);
    return { outcome: "failed", reason: fault };
  }
  if (!(await isReached(context, signal, true))) {
    if (signal.aborted) throw new Error("the agent was stopped before the isolation was proven");
    const stuck = await rollBack(deps, signal);
    context.sent = undefined;
    const end = stuck === undefined ? "the rules were rolled back" : "the rules could not be rolled back";
    return {
      outcome: "failed",
      reason: `${target.what} was unreachable right after the rules were applied; ${end}`,
    };
  }
  context.lastProbes = { controlPlaneReachable: true, forbiddenBlocked: await isForbiddenBlocked(context) };
  return { outcome: "applied", probes: context.lastProbes };
}

/** Restores modified rules. Once proven, the isolation stays in force during an outage of the control plane. */
async function reassert(context: NetworkContext, { isQuick }: Order, signal: AbortSignal): Promise<Proof> {
  const { deps, target, addresses } = context;
  let fault: string | undefined;
  let repaired: string | undefined;
  // Restore the rules before names are resolved, which can take seconds.
  if (addresses.all().length > 0) {
    const altered = await deps.firewall.altered();
    if (altered !== undefined && altered !== NOTHING_SENT)
      repaired = `the isolation rules were modified (${altered})`;
    if (altered !== undefined) fault = await putRules(context, await wantedRules(context));
  }
  if (!isQuick) await followAddresses(context);
  if (addresses.all().length === 0) fault = `${target.what}'s name ${target.name} has no address`;
  else fault ??= await putIfChanged(context);
  if (fault) {
    context.lastProbes = undefined;
    const probes = { controlPlaneReachable: await deps.reach(signal), forbiddenBlocked: false };
    const reason = `the rules could not be restored: ${fault}`;
    return { outcome: "applied", reason, probes, ...(repaired !== undefined && { repaired }) };
  }
  if (!(context.lastProbes?.controlPlaneReachable && context.lastProbes.forbiddenBlocked)) {
    context.lastProbes = {
      controlPlaneReachable: await deps.reach(signal),
      forbiddenBlocked: await isForbiddenBlocked(context),
    };
  }
  return { outcome: "applied", probes: context.lastProbes, ...(repaired !== undefined && { repaired }) };
}

async function release(context: NetworkContext, order: Order, signal: AbortSignal): Promise<Proof> {
  const fault = await context.deps.firewall.remove(order.wasInForce);
  forgetRules(context);
  if (fault) return { outcome: "failed", reason: `the rules could not be removed: ${fault}` };
  return {
    outcome: "applied",
    probes: { controlPlaneReachable: await isReached(context, signal, false), forbiddenBlocked: null },
  };
}

/**
 * Tries to reach the control plane. `isFollowing`: true to update the rules for addresses that appear during
 * the attempts.
 */
async function isReached(
  context: NetworkContext,
  signal: AbortSignal,
  isFollowing: boolean,
): Promise<boolean> {
  const { deps } = context;
  let counted = 0;
  for (let tries = 1; tries <= ROTATING_TRIES_MAX && !signal.aborted; tries++) {
    if (await deps.reach(signal)) return true;
    const isNew = isFollowing && (await followAddresses(context));
    if (isNew) await putIfChanged(context);
    if (!isNew && ++counted >= REACH_TRIES_MAX) return false;
    await deps.sleep(REACH_PAUSE_MS, signal);
  }
  return false;
}

/** Removes the rules, with retries. If they remained, the host could receive no release from the control plane. */
async function rollBack({ firewall, sleep }: NetworkDeps, signal: AbortSignal): Promise<string | undefined> {
  let stuck = await firewall.remove(true);
  for (let tries = 1; stuck !== undefined && tries < ROLL_BACK_TRIES_MAX; tries++) {
    await sleep(REACH_PAUSE_MS, signal);
    stuck = await firewall.remove(true);
  }
  return stuck;
}

/** Tries two forbidden connections: to another port on the host of the control plane, and to an unused address. */
async function isForbiddenBlocked({ deps, target, addresses }: NetworkContext): Promise<boolean> {
  const otherPort = addresses
    .all()
    .filter((address) => !isLoopback(address))
    .slice(0, 1)
    .map((address) => ({ address, port: target.port === DISCARD_PORT ? DISCARD_PORT + 1 : DISCARD_PORT }));
  return deps.firewall.refuses([...otherPort, UNUSED_ENDPOINT]);
}

/**
 * Returns the reason why this isolation would disconnect the agent, or undefined if no reason is known.
 * Changes nothing.
 */
async function whyNot({ deps, target, addresses }: NetworkContext): Promise<string | undefined> {
  const { name, port, what } = target;
  const all = addresses.all();
  if (all.length === 0) return `${what}'s name ${name} has no address`;
  if (deps.proxy && all.every(isLoopback))
    return `the proxy ${name}:${port} runs on this host, and mode network would block its connections; set the agent's proxy to one on another host; nothing was changed`;
  const tunnels = await Promise.all(all.map((address) => deps.tunnelTo?.({ address, port })));
  if (tunnels.every((device) => device !== undefined))
    return `${what} is reached through the VPN device ${tunnels[0]}, which mode network would block; give the host a route outside the VPN, or use mode stop-engines; nothing was changed`;
  return undefined;
}
