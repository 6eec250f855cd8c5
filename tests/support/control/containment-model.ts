import { isRepeated } from "../../../agent/contain/state/repairs.ts";
import {
  containmentOf,
  endsAction,
  isDirectiveDue,
  isNewDirective,
  isProof,
  isSetBackBy,
  refusedChange,
  statusAfter,
} from "../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../shared/table/items/asset/asset.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../shared/wire/heartbeat.ts";

/**
 * A model of one asset with two admins, a table, an edge node with a cache, an agent with its own clock, a
 * queue and workers. All decisions come from shared/containment/containment-state.ts, as in the product. The
 * network can deliver each message at any time, any number of times, or never.
 */

export const RULES = {
  /**
   * Replaces the signature check of isSignedReport(). In this model, a report counts as signed unless it is
   * forged, because only the agent has the device key.
   */
  isSigned: (report: { isForged?: true }) => report.isForged !== true,
  containmentOf,
  endsAction,
  isDirectiveDue,
  isNewDirective,
  isProof,
  isSetBackBy,
  isRepeated,
  refusedChange,
  statusAfter,
};
let rules = RULES;
/** Replaces rules with broken ones. Tests use broken rules to check that the model detects the fault. */
export function playBy(other: Partial<typeof RULES>): void {
  rules = { ...RULES, ...other };
}

type Action = "isolate" | "release";
/**
 * Result of a directive on the host. `holes`: the agent applied the isolation, but a probe could still reach
 * the host.
 */
type Outcome = "none" | "applied" | "holes" | "failed";
/** A containment report. `wasShut`: true if the host was really contained when the agent sent the report. */
type Report = {
  generation: number;
  action: Action;
  outcome: Outcome;
  at: number;
  wasShut: boolean;
  /**
   * Time of the second proof of an isolation. A host sends this proof after it was restored from a snapshot,
   * and `at` then has the same value. Absent in all other reports.
   */
  again?: number;
  /** Number of repairs during the interval of this report. Absent if the agent repaired nothing. */
  repairs?: number;
  /** True if a compromised edge node made the report. Such a node knows every session key, but no device key. */
  isForged?: true;
};
type Directive = { action: Action; exp: number };
/**
 * The request of one admin. `done`: the change was committed but the response was lost, so the admin retries
 * with the same idempotency key.
 */
type Request = { action: Action; version: number; done: boolean } | null;

export type World = {
  now: number;
  generation: number;
  status: AssetItem["status"];
  proof: Report | null;
  /** The report of a host that was restored to a time before its proven release. Null if no host was restored. */
  setBack: { generation: number; since: number; at: number } | null;
  open: boolean;
  records: number;
  accepted: number;
  /** Directives that the control plane has issued. Index 0 is generation 1. */
  issued: Directive[];
  admins: [Request, Request];
  /** Generation of the directive in the edge's cache. 0 means that no action is open. */
  cached: number;
  /** Generations of the directives that the edge has sent. */
  handed: number[];
  /** Reports in the queue. The model never removes a report, so workers can read each report again. */
  reports: Report[];
  agent: {
    report: Report | null;
    underway: boolean;
    shut: boolean;
    skew: number;
    /** A snapshot of the isolated host. Null if the host can no longer be restored to a snapshot. */
    saved: Report | null;
  };
  /** Number of faults that can still happen. */
  faults: number;
  isPutBack: boolean;
  isTampered: boolean;
};

/**
 * Limits of the model. `isPutBack`: one of the faults restores the host to a snapshot of its isolation.
 * `isTampered`: the only fault is that someone changes the rules, which the agent repairs at its next check.
 */
export type Bounds = {
  isolations: number;
  faults: number;
  ticks: number;
  isPutBack?: boolean;
  isTampered?: boolean;
};

/**
 * Interval between two steps of the clock, in milliseconds. Ticks are even and expiry times are odd, so they
 * never fall on the same millisecond.
 */
const TICK = 2;
const LIFETIME = 1;
const stamps = Array.from({ length: 64 }, (_, at) => timestamp(1_790_000_000_000 + (at - 16) * 1000));
const stamp = (at: number): string => stamps[at + 16]!;
const ms = (at: number): number => Date.parse(stamp(at));

export const initial = (bounds: Bounds): World => ({
  now: 0,
  generation: 0,
  status: "ACTIVE",
  proof: null,
  setBack: null,
  open: false,
  records: 0,
  accepted: 0,
  issued: [],
  admins: [null, null],
  cached: 0,
  handed: [],
  reports: [],
  agent: { report: null, underway: false, shut: false, skew: 0, saved: null },
  faults: bounds.faults,
  isPutBack: bounds.isPutBack ?? false,
  isTampered: bounds.isTampered ?? false,
});

function wire(report: Report): ContainmentReport {
  const { generation, action, outcome, at } = report;
  return {
    generation,
    action,
    mode: "network",
    outcome: outcome === "holes" ? "applied" : outcome,
    at: stamp(at),
    ...(outcome !== "none" && {
      probes: { controlPlaneReachable: true, forbiddenBlocked: outcome === "applied" },
    }),
  };
}

type Contained = Pick<AssetItem, "status" | "generation" | "wish" | "proof" | "setBack">;

function assetOf({ status, generation, issued, proof, setBack }: World): Contained {
  const directive = issued[generation - 1];
  if (!directive) return { status, generation };
  const { action, exp } = directive;
  const wish = { generation, action, mode: "network", requestedAt: stamp(0), expiresAt: stamp(exp) } as const;
  return {
    status,
    generation,
    wish: { ...wish, directive: "" },
    ...(proof && { proof: wire(proof) }),
    ...(setBack && { setBack: { ...setBack, at: stamp(setBack.at) } }),
  };
}

export const shown = (world: World) => rules.containmentOf(assetOf(world), undefined, ms(world.now)).state;

const mayRelease = (world: World): boolean =>
  rules.refusedChange(assetOf(world), "release", ms(world.now)) === undefined;

/**
 * Returns the same world without the members that can no longer have an effect. Generations and proof times
 * only grow ({@link violation} checks this), so an outdated report stays outdated. The two admins are sorted,
 * because they are interchangeable.
 */
function normal(world: World): World {
  const asset = assetOf(world);
  const { saved } = world.agent;
  // The host can still be restored. A directive that the host could apply after the restoration is not
  // outdated.
  const mayGoBack = saved !== null && world.faults > 0;
  const obeyed = (mayGoBack ? saved : world.agent.report) ?? { generation: 0 };
  const handed = world.handed.filter((generation) => rules.isNewDirective({ generation }, obeyed)).sort();
  const live = new Set([...handed, world.generation, world.cached]);
  const admins = world.admins
    .map((request) => (request && !request.done && request.version !== world.records ? null : request))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) as World["admins"];
  return {
    ...world,
    handed,
    admins,
    agent: { ...world.agent, saved: mayGoBack ? saved : null },
    setBack: world.setBack && settledBack(world.setBack, world.generation),
    reports: world.reports.filter((report) => mayCount(asset, report)).sort((a, b) => a.at - b.at),
    issued: world.issued.map((directive, index) =>
      live.has(index + 1) ? directive : { ...directive, exp: -1 },
    ),
  };
}

type SetBack = NonNullable<World["setBack"]>;

/**
 * Reduces the report of a restored host to its time once the report is settled. Only the time still has an
 * effect.
 */
const settledBack = (back: SetBack, generation: number): SetBack =>
  back.since === generation ? back : { generation: 0, since: 0, at: back.at };

/**
 * True if a report can still count. A report of a restored host counts even after its release is proven, so
 * the model keeps the report until then. Any other late report cannot count, because the agent's times grow.
 * The model still keeps late reports during one isolation, to detect a worker that accepts them.
 */
const mayCount = (asset: Contained, report: Report): boolean =>
  rules.isSigned(report) &&
  (rules.isProof(asset, wire(report)) ||
    ((report.again !== undefined || asset.generation <= 2) &&
      report.action === "isolate" &&
      report.generation < asset.generation &&
      stamp(report.at) > (asset.setBack?.at ?? "")));

type Step = { name: string; world: World };

/** Yields every world that can come next. */
export function* steps(world: World, bounds: Bounds): Generator<Step> {
  for (const step of allSteps(world, bounds)) yield { ...step, world: normal(step.world) };
}

function* allSteps(world: World, bounds: Bounds): Generator<Step> {
  yield* adminSteps(world, bounds);
  yield* edgeSteps(world);
  yield* workerSteps(world);
  yield* agentSteps(world);
  if (world.isTampered) yield* tamperSteps(world);
  if (world.now < bounds.ticks * TICK)
    yield { name: "time passes", world: { ...world, now: world.now + TICK } };
}

function* adminSteps(world: World, bounds: Bounds): Generator<Step> {
  for (const who of [0, 1] as const) {
    const request = world.admins[who];
    const put = (next: Request, more: Partial<World> = {}): World => ({
      ...world,
      ...more,
      admins: who === 0 ? [next, world.admins[1]] : [world.admins[0], next],
    });
    if (request === null) {
      for (const action of ["isolate", "release"] as const) {
        if (
          action === "isolate" &&
          world.issued.filter((d) => d.action === "isolate").length >= bounds.isolations
        )
          continue;
        // The edge rejects a change that its rules refuse. It returns status 409 and changes nothing.
        if (rules.refusedChange(assetOf(world), action, ms(world.now)) !== undefined) continue;
        yield {
          name: `admin ${who} reads to ${action}`,
          world: put({ action, version: world.records, done: false }),
        };
      }
      continue;
    }
    if (request.done) {
      yield { name: `admin ${who} repeats and gets the first answer`, world: put(null) };
      continue;
    }
    // The condition of the transaction failed. The admin's node reads the asset and decides again.
    if (request.version !== world.records) continue;
    const committed = commit(world, request.action);
    yield { name: `admin ${who} commits ${request.action}`, world: put(null, committed) };
    if (world.faults > 0 && !world.isTampered) {
      const faults = world.faults - 1;
      const lost = put({ ...request, done: true }, { ...committed, faults });
      yield { name: `admin ${who} commits ${request.action}, answer lost`, world: lost };
    }
  }
}

/**
 * Commits a change as one transaction: all writes or none. The transaction fails if another change was
 * committed first.
 */
function commit(world: World, action: Action): Partial<World> {
  return {
    generation: world.generation + 1,
    status: rules.statusAfter(action),
    open: true,
    records: world.records + 1,
    accepted: world.accepted + 1,
    issued: [...world.issued, { action, exp: world.now + LIFETIME }],
  };
}

function* edgeSteps(world: World): Generator<Step> {
  const cached = world.open ? world.generation : 0;
  if (cached !== world.cached) yield { name: "edge refreshes", world: { ...world, cached } };
  const { report } = world.agent;
  const reports =
    report && !world.reports.some((each) => same(each, report)) ? [...world.reports, report] : world.reports;
  const directive = world.issued[world.cached - 1];
  const action = directive && { generation: world.cached, expiresAtMs: ms(directive.exp) };
  const isDue = action && rules.isDirectiveDue(action, report?.generation ?? 0, ms(world.now));
  const handed =
    isDue && !world.handed.includes(world.cached) ? [...world.handed, world.cached] : world.handed;
  if (reports !== world.reports || handed !== world.handed)
    yield { name: "heartbeat", world: { ...world, reports, handed } };
  yield* forgeries(world);
}

/**
 * Reports forged by a compromised node in the name of the host. They claim that the newest directive is
 * applied, or that the previous isolation is in force again.
 */
function* forgeries(world: World): Generator<Step> {
  const { generation, now: at } = world;
  const newest = world.issued[generation - 1];
  if (!newest) return;
  const claims: [number, Action][] = [[generation, newest.action]];
  if (newest.action === "release") claims.push([generation - 1, "isolate"]);
  for (const [claimed, action] of claims) {
    const shut = world.agent.shut;
    const forged: Report = {
      ...{ generation: claimed, action, outcome: "applied", at: at + TICK, wasShut: shut },
      isForged: true,
    };
    if (world.reports.some((each) => same(each, forged))) continue;
    const reports = [...world.reports, forged];
    yield { name: `edge forges ${action} ${claimed}`, world: { ...world, reports } };
  }
}

const isOlder = (a: Report, b: Report): boolean =>
  a.generation < b.generation || (a.generation === b.generation && a.at < b.at);

const same = (a: Report, b: Report): boolean =>
  a.generation === b.generation && a.at === b.at && a.again === b.again && a.isForged === b.isForged;

/**
 * Steps of the workers. Reports never leave the queue, so a worker can process a report late, twice, in
 * parallel or in any order.
 */
function* workerSteps(world: World): Generator<Step> {
  for (const report of world.reports) {
    const asset = assetOf(world);
    const { generation, outcome } = report;
    const { setBack } = world;
    if (!rules.isSigned(report)) continue;
    if (rules.isSetBackBy(asset, wire(report))) {
      const setBack = { generation, since: world.generation, at: report.at };
      yield {
        name: `worker hears of generation ${generation} again`,
        world: { ...world, setBack, open: true },
      };
    }
    if (!rules.isProof(asset, wire(report))) continue;
    // A restored host starts its release again, so the release is open again.
    const open = !rules.endsAction(asset, wire(report));
    const name = `worker takes generation ${generation} ${outcome}`;
    yield { name, world: { ...world, proof: report, open, setBack: setBack && settledBack(setBack, 0) } };
  }
}

function* agentSteps(world: World): Generator<Step> {
  const { agent } = world;
  const clock = world.now + agent.skew;
  const become = (next: Partial<World["agent"]>, faults = world.faults): World => ({
    ...world,
    faults,
    agent: { ...agent, ...next },
  });
  if (agent.skew !== 0) yield { name: "agent's clock is set right", world: become({ skew: 0 }) };
  else if (world.faults > 0 && !world.isTampered)
    for (const skew of [-TICK, TICK])
      yield { name: `agent's clock goes ${skew}`, world: become({ skew }, world.faults - 1) };
  if (agent.underway) return yield* carryOut(world, clock, become);
  for (const generation of world.handed) {
    const { action, exp } = world.issued[generation - 1]!;
    if (!(clock < exp) || !rules.isNewDirective({ generation }, agent.report ?? { generation: 0 })) continue;
    // Time of the agent's next report. It always grows, even within a tick and after the clock is set back.
    const at = Math.max(clock, (agent.report?.at ?? clock - 1) + 1);
    const report: Report = { generation, action, outcome: "none", at, wasShut: agent.shut };
    yield { name: `agent begins ${action} ${generation}`, world: become({ report, underway: true }) };
  }
  const { report, saved } = agent;
  if (saved && world.faults > 0 && report && report.generation > saved.generation) {
    // The machine or its state directory was restored from a snapshot. The host is contained, and the agent
    // knows it. The agent notices the gap in time and sends a new proof of the stored isolation.
    const at = Math.max(clock, report.at) + 1;
    const back = { report: { ...saved, at, again: at }, shut: true };
    yield {
      name: `host is put back to generation ${saved.generation}`,
      world: become(back, world.faults - 1),
    };
  }
  if (report?.action !== "isolate") return;
  const at = Math.max(clock, report.at + 1);
  if (report.outcome === "applied" && world.faults > 0 && !world.isTampered) {
    const holes: Report = { ...report, outcome: "holes", at, wasShut: false };
    yield { name: "rules are torn", world: become({ shut: false, report: holes }, world.faults - 1) };
  }
  if (report.outcome === "holes") {
    const mended: Report = { ...report, outcome: "applied", at, wasShut: true };
    yield { name: "agent puts the rules back", world: become({ shut: true, report: mended }) };
  }
}

/**
 * Steps in which someone changes the rules between two checks. The next check reports the change for the
 * whole interval.
 */
function* tamperSteps(world: World): Generator<Step> {
  const { report, underway } = world.agent;
  if (underway || report?.action !== "isolate") return;
  const at = Math.max(world.now + world.agent.skew, report.at + 1);
  const of = (repairs: number): Report => {
    const outcome = rules.isRepeated({ count: repairs, what: "" }) ? "failed" : "applied";
    const { repairs: _, ...rest } = report;
    return { ...rest, outcome, at, wasShut: true, ...(repairs > 0 && { repairs }) };
  };
  const become = (next: Report, faults: number): World => ({
    ...world,
    faults,
    agent: { ...world.agent, shut: true, report: next },
  });
  const { repairs = 0 } = report;
  if (report.outcome !== "applied" && repairs === 0) return;
  if (world.faults > 0)
    yield { name: "rules are altered and put back", world: become(of(repairs + 1), world.faults - 1) };
  if (repairs > 0) yield { name: "the rules stay quiet", world: become(of(0), world.faults) };
}

function* carryOut(
  world: World,
  clock: number,
  become: (next: Partial<World["agent"]>, faults?: number) => World,
): Generator<Step> {
  const report = world.agent.report!;
  const at = Math.max(clock, report.at + 1);
  const shut = report.action === "isolate";
  const settled: Report = { ...report, outcome: "applied", at, wasShut: shut };
  const saved = shut && world.isPutBack ? settled : world.agent.saved;
  yield {
    name: `agent ${report.action} applied`,
    world: become({ shut, underway: false, report: settled, saved }),
  };
  if (world.faults === 0 || world.isTampered) return;
  // A failed isolation was rolled back. A failed release left the host unchanged.
  const left = report.action === "isolate" ? false : world.agent.shut;
  const failed: Report = { ...report, outcome: "failed", at, wasShut: left };
  yield {
    name: `agent ${report.action} failed`,
    world: become({ shut: left, underway: false, report: failed }, world.faults - 1),
  };
  if (world.agent.shut !== shut)
    yield {
      name: `agent dies within ${report.action}, starts again`,
      world: become({ shut }, world.faults - 1),
    };
}

/** Checks the invariants of every world and every step. Returns the first violation as text, or undefined. */
export function violation(world: World, before?: World): string | undefined {
  const asset = assetOf(world);
  const { wish } = asset;
  const state = shown(world);
  if (world.records !== world.accepted || world.records !== world.generation)
    return "custody records are not one per accepted change";
  if (before && world.generation < before.generation) return "the generation shrank";
  if (before?.proof && world.proof && isOlder(world.proof, before.proof))
    return "a proof was replaced by an older one";
  const wasPutBack = world.agent.report?.again !== before?.agent.report?.again;
  if (before && !wasPutBack && (world.agent.report?.generation ?? 0) < (before.agent.report?.generation ?? 0))
    return "the agent went back to an older generation";
  if ((world.agent.report?.generation ?? 0) > world.generation) return "the agent is ahead of every admin";
  const isFreed = wish?.action === "release" && state === "active";
  if (world.setBack && !world.isPutBack) return "a host is said to be put back that was not";
  if (state === "active" && world.setBack?.since === world.generation)
    return "active is shown, the host says that it is isolated";
  if (world.open !== (wish !== undefined && !isFreed))
    return "the open action is not the one wished and unproven";
  const proof = world.proof?.generation === world.generation ? world.proof : undefined;
  if (state === "enforced" && !(proof?.action === "isolate" && proof.outcome === "applied" && proof.wasShut))
    return "enforced is shown without proof of that generation";
  if (state === "enforced" && (proof?.repairs ?? 0) > 1)
    return "enforced is shown of an interval in which the rules were altered repeatedly";
  if (isFreed && !(proof?.action === "release" && !proof.wasShut))
    return "active is shown, the host was not freed";
  if (
    wish?.action === "release" &&
    ["pending", "enforced", "acknowledged", "failed", "expired"].includes(state)
  )
    return "an isolation is shown after its release";
  if (wish?.action === "isolate" && !mayRelease(world)) return "an isolated asset cannot be released";
  if (state === "release-failed" && !mayRelease(world)) return "a failed release cannot be asked for again";
  return undefined;
}
