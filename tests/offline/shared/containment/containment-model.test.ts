import { afterEach, describe, expect, test } from "bun:test";
import {
  containmentOf,
  endsAction,
  isDirectiveDue,
  isNewDirective,
  isProof,
  isSetBackBy,
  refusedChange,
} from "../../../../shared/containment/containment-state.ts";
import type { AssetItem } from "../../../../shared/table/items/asset/asset.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";
import {
  type Bounds,
  initial,
  playBy,
  RULES,
  shown,
  steps,
  violation,
  type World,
} from "../../../support/control/containment-model.ts";

const STATES_MAX = 600_000;
const BOUNDS: Bounds = { isolations: 2, faults: 1, ticks: 1 };
const PUT_BACK: Bounds = { isolations: 1, faults: 1, ticks: 1, isPutBack: true };
const TAMPERED: Bounds = { isolations: 1, faults: 2, ticks: 1, isTampered: true };
const REPEATED = "enforced is shown of an interval in which the rules were altered repeatedly";
const PUT_BACK_SHOWN = "active is shown, the host says that it is isolated";

type Explored = {
  worlds: World[];
  /**
   * For each world, the number of the previous world on the shortest path. `names` has the step between the
   * two worlds.
   */
  from: Int32Array;
  names: string[];
  edges: [number, number][];
  shownStates: Set<string>;
  depth: number;
  problem?: string;
};

function explore(bounds: Bounds): Explored {
  const start = initial(bounds);
  const seen = new Map<string, number>([[JSON.stringify(start), 0]]);
  const found: Explored = {
    worlds: [start],
    from: new Int32Array(STATES_MAX),
    names: [""],
    edges: [],
    shownStates: new Set(),
    depth: 0,
  };
  const depths = [0];
  for (let at = 0; at < found.worlds.length; at++) {
    const world = found.worlds[at]!;
    found.shownStates.add(shown(world));
    for (const { name, world: next } of steps(world, bounds)) {
      const wrong = violation(next, world);
      if (wrong) return { ...found, problem: `${wrong}\n${[...wayTo(found, at), name].join("\n")}` };
      const key = JSON.stringify(next);
      let id = seen.get(key);
      if (id === undefined) {
        id = found.worlds.length;
        if (id >= STATES_MAX) throw new Error(`more than ${STATES_MAX} states: the bounds are too wide`);
        seen.set(key, id);
        found.worlds.push(next);
        found.from[id] = at;
        found.names.push(name);
        depths.push(depths[at]! + 1);
      }
      found.edges.push([at, id]);
    }
  }
  return { ...found, depth: depths.at(-1)! };
}

function wayTo(found: Explored, to: number): string[] {
  const way: string[] = [];
  for (let at = to; at !== 0; at = found.from[at]!) way.unshift(found.names[at]!);
  return way;
}

/** Finds a world from which no path leads to a host that is released and shown as released. Returns its number. */
function stranded({ worlds, edges }: Explored): number | undefined {
  const before: number[][] = worlds.map(() => []);
  for (const [from, to] of edges) before[to]!.push(from);
  const isFree = (world: World) => shown(world) === "active" && !world.agent.shut && !world.agent.underway;
  const queue = worlds.flatMap((world, id) => (isFree(world) ? [id] : []));
  const good = new Set(queue);
  for (let id = queue.pop(); id !== undefined; id = queue.pop())
    for (const earlier of before[id]!)
      if (!good.has(earlier)) {
        good.add(earlier);
        queue.push(earlier);
      }
  const lost = worlds.findIndex((_, id) => !good.has(id));
  return lost === -1 ? undefined : lost;
}

describe("the containment machine", () => {
  test.each([
    ["of two isolations", BOUNDS],
    ["of a host put back to its isolation", PUT_BACK],
    ["of a host whose rules are altered repeatedly", TAMPERED],
  ])(
    "every interleaving of two administrators, edge, agent, queue and workers keeps the invariants, and every host can be released: %s",
    (what, bounds) => {
      const found = explore(bounds);
      expect(found.problem).toBeUndefined();
      const lost = stranded(found);
      expect(lost === undefined ? undefined : wayTo(found, lost).join("\n")).toBeUndefined();
      console.log(
        `containment model ${what}: ${found.worlds.length} states, ${found.edges.length} transitions, depth ${found.depth}`,
      );
      expect(found.worlds.length).toBeGreaterThan(bounds.isTampered ? 5000 : 10_000);
      expect([...found.shownStates].sort()).toEqual(
        ["active", "enforced", "expired", "failed", "pending", "release-failed", "releasing"].sort(),
      );
    },
    300_000,
  );

  afterEach(() => playBy(RULES));
  const broken: [string, Partial<typeof RULES>, string][] = [
    [
      "a worker that takes a proof of any generation",
      { isProof: (asset, report) => report.generation > 0 && (asset.proof?.at ?? "") < report.at },
      "the open action is not the one wished and unproven",
    ],
    [
      "a worker that lets an older report of the generation win",
      { isProof: (asset, report) => report.generation === asset.generation },
      "a proof was replaced by an older one",
    ],
    [
      "an agent that goes back",
      { isNewDirective: (directive, obeyed) => directive.generation !== obeyed.generation },
      "the agent went back to an older generation",
    ],
    [
      "a failed release that ends the action",
      { endsAction: (_asset, { action }) => action === "release" },
      "the open action is not the one wished and unproven",
    ],
    [
      "a release that cannot be asked for again",
      {
        refusedChange: (asset, action) =>
          (action === "isolate") === (asset.status === "ISOLATED") ? "no" : undefined,
      },
      "a failed release cannot be asked for again",
    ],
    ["an agent that reports what it repaired as enforced", { isRepeated: () => false }, REPEATED],
    [
      "a worker that does not listen to a host that was put back",
      { isSetBackBy: () => false },
      "no way leads to a free host",
    ],
    [
      "a dashboard that does not show that a host was put back",
      { containmentOf: ({ setBack: _, ...asset }, ...more) => RULES.containmentOf(asset, ...more) },
      PUT_BACK_SHOWN,
    ],
    [
      "a worker that believes whatever an edge node says in the host's name",
      { isSigned: () => true },
      "enforced is shown without proof of that generation",
    ],
    [
      "a worker that takes what is late for a step back",
      {
        isSetBackBy: ({ wish, proof }, report) =>
          wish !== undefined &&
          proof !== undefined &&
          endsAction({ wish }, proof) &&
          report.action === "isolate" &&
          report.generation < wish.generation,
      },
      "a host is said to be put back that was not",
    ],
    [
      "a dashboard that believes the wish",
      {
        containmentOf: (asset, presence, nowMs) =>
          asset.status === "ISOLATED"
            ? { state: "enforced", offline: false }
            : RULES.containmentOf(asset, presence, nowMs),
      },
      "enforced is shown without proof of that generation",
    ],
  ];
  test.each(broken)("detects %s", (_what, rules, problem) => {
    playBy(rules);
    const isAboutPutBack = ["no way leads to a free host", PUT_BACK_SHOWN].includes(problem);
    const found = explore(isAboutPutBack ? PUT_BACK : problem === REPEATED ? TAMPERED : BOUNDS);
    const isStranded = !found.problem && stranded(found) !== undefined;
    expect(isStranded ? "no way leads to a free host" : found.problem).toStartWith(problem);
  });
});

/** Failures that are described in bug reports of containment products. */
describe("a known failure of containment does not happen here:", () => {
  const NOW_MS = 1_790_000_000_000;
  const wish = (generation: number, action: "isolate" | "release") => ({
    generation,
    action,
    mode: "network" as const,
    requestedAt: timestamp(NOW_MS),
    expiresAt: timestamp(NOW_MS + 60_000),
    directive: "x",
  });
  const report = (generation: number, more: Partial<ContainmentReport> = {}): ContainmentReport => ({
    generation,
    action: "isolate",
    mode: "network",
    outcome: "applied",
    at: timestamp(NOW_MS),
    probes: { controlPlaneReachable: true, forbiddenBlocked: true },
    ...more,
  });
  type Contained = Pick<AssetItem, "status" | "generation" | "wish" | "proof" | "setBack">;
  const isolating: Contained = { status: "ISOLATED", generation: 1, wish: wish(1, "isolate") };
  const releasing: Contained = { status: "ACTIVE", generation: 2, wish: wish(2, "release") };
  const stateOf = (asset: Contained, nowMs = NOW_MS) => containmentOf(asset, undefined, nowMs).state;

  test("repeated isolate while isolating", () => {
    expect(refusedChange(isolating, "isolate", NOW_MS)).toBe("the asset is already ISOLATED");
    expect(refusedChange({ ...isolating, proof: report(1) }, "isolate", NOW_MS)).toBeDefined();
    expect(refusedChange(releasing, "isolate", NOW_MS)).toBeUndefined();
  });

  test("release while pending", () => {
    expect(stateOf(isolating)).toBe("pending");
    expect(refusedChange(isolating, "release", NOW_MS)).toBeUndefined();
    // An agent that received only the release obeys it. After that, the agent ignores the earlier isolation.
    expect(isNewDirective({ generation: 2 }, { generation: 0 })).toBe(true);
    expect(isNewDirective({ generation: 1 }, { generation: 2 })).toBe(false);
  });

  test("release while releasing is refused, and allowed when that release failed or expired", () => {
    expect(refusedChange(releasing, "release", NOW_MS)).toBe("the asset is ACTIVE, not ISOLATED");
    expect(refusedChange(releasing, "release", NOW_MS + 60_001)).toBeUndefined();
    const failed = report(2, { action: "release", outcome: "failed", reason: "nft is gone" });
    expect(refusedChange({ ...releasing, proof: failed }, "release", NOW_MS)).toBeUndefined();
    const done = report(2, { action: "release" });
    expect(refusedChange({ ...releasing, proof: done }, "release", NOW_MS + 60_001)).toBeDefined();
  });

  test("a late success counts for its own generation only, even after the directive expired", () => {
    expect(isProof(isolating, report(1))).toBe(true);
    expect(stateOf({ ...isolating, proof: report(1) }, NOW_MS + 60_001)).toBe("enforced");
    expect(isProof(releasing, report(1))).toBe(false);
  });

  test("success logged as failure: the newer report counts, in any order of delivery", () => {
    const failed = report(1, {
      outcome: "failed",
      reason: "nft is not installed",
      at: timestamp(NOW_MS - 1),
    });
    expect(isProof({ ...isolating, proof: failed }, report(1))).toBe(true);
    expect(isProof({ ...isolating, proof: report(1) }, failed)).toBe(false);
    expect(stateOf({ ...isolating, proof: report(1) })).toBe("enforced");
  });

  test("isolated shown after release", () => {
    expect(stateOf({ ...releasing, proof: report(1) })).toBe("releasing");
    expect(stateOf({ ...releasing, proof: report(2, { action: "release" }) })).toBe("active");
    expect(endsAction(releasing, report(2, { action: "release", outcome: "failed" }))).toBe(false);
  });

  test("a host restored to a snapshot of its isolation is not shown as released, and can be released", () => {
    const proof = report(2, { action: "release" });
    const freed = { ...releasing, proof };
    const later = timestamp(NOW_MS + 1);
    const again = (more: Partial<ContainmentReport> = {}) => report(1, { at: later, ...more });
    // A report from before the proof of the release has merely arrived late and is ignored.
    expect(isSetBackBy(freed, again({ at: proof.at }))).toBe(false);
    expect(isSetBackBy(freed, again())).toBe(true);
    expect(isSetBackBy(freed, again({ outcome: "failed" }))).toBe(true);
    expect(isSetBackBy(freed, again({ action: "release" }))).toBe(false);
    expect(isSetBackBy(freed, { ...proof, at: later })).toBe(false);
    expect(isSetBackBy({ ...releasing, proof: report(1) }, again())).toBe(false);
    expect(isSetBackBy({ ...freed, revokedAt: later }, again())).toBe(false);
    const back = { ...freed, setBack: { generation: 1, since: 2, at: later } };
    expect(isSetBackBy(back, again({ at: timestamp(NOW_MS + 2) }))).toBe(false);
    const shown = containmentOf(back, undefined, NOW_MS);
    expect(shown).toMatchObject({ state: "releasing", reason: expect.stringContaining("generation 1") });
    expect(stateOf(back, NOW_MS + 60_001)).toBe("release-failed");
    for (const at of [NOW_MS, NOW_MS + 60_001]) expect(refusedChange(back, "release", at)).toBeUndefined();
    // The next request starts a new isolation, so the restore is no longer relevant.
    const isolated = { ...back, status: "ISOLATED" as const, generation: 3, wish: wish(3, "isolate") };
    expect(stateOf(isolated)).toBe("pending");
  });

  test("a host released by code is shown as such, and its isolation stays open until an administrator ends it", () => {
    const reason = "released at the host with code 01JD8Z";
    const freed = { ...isolating, proof: report(1, { action: "release", reason }) };
    expect(stateOf(freed)).toBe("released-offline");
    expect(endsAction(freed, freed.proof)).toBe(false);
    expect(refusedChange(freed, "release", NOW_MS)).toBeUndefined();
  });

  test("a release that a host ignored because of a restored table can be requested again", () => {
    const stuck = { ...releasing, proof: report(2) };
    expect(stateOf(stuck)).toBe("release-failed");
    expect(refusedChange(stuck, "release", NOW_MS)).toBeUndefined();
    const free = { ...isolating, proof: report(1, { action: "release" }) };
    expect([stateOf(free), refusedChange(free, "release", NOW_MS)]).toEqual(["failed", undefined]);
  });

  test("counters that count pending as done", () => {
    const fleet = [
      isolating,
      { ...isolating, proof: report(1, { outcome: "none", probes: undefined }) },
      {
        ...isolating,
        proof: report(1, { probes: { controlPlaneReachable: true, forbiddenBlocked: false } }),
      },
      { ...isolating, proof: report(1) },
      releasing,
    ];
    const counted = Object.groupBy(fleet, (asset) => stateOf(asset));
    expect(Object.fromEntries(Object.entries(counted).map(([state, { length }]) => [state, length]))).toEqual(
      {
        pending: 2,
        failed: 1,
        enforced: 1,
        releasing: 1,
      },
    );
  });

  test("a directive is sent until it expires or was obeyed", () => {
    const action = { generation: 2, expiresAtMs: NOW_MS + 1 };
    expect(isDirectiveDue(action, 1, NOW_MS)).toBe(true);
    expect(isDirectiveDue(action, 2, NOW_MS)).toBe(false);
    expect(isDirectiveDue(action, 1, NOW_MS + 1)).toBe(false);
  });
});
