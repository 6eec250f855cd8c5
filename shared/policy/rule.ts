import type { Policy } from "../table/items/policy.ts";
import type { Engine, Heartbeat, Store } from "../wire/heartbeat.ts";
import type { Technique } from "./atlas.ts";

/** What of a heartbeat is judged. */
export type Observed = Pick<
  Heartbeat,
  "engines" | "stores" | "collectors" | "containment" | "agent" | "host" | "spool"
>;

/** What is known about the use of an identity beyond one heartbeat, when something is wrong with it. */
export type IdentityScene = {
  /** Machines that report under this identity in turns, the one that was seen first in front. */
  machines: readonly { hostname: string; since: string }[];
  /** Another machine that the edge refused a session, because its mainboard is another one. */
  refused?: { hostname: string | undefined; since: string };
  /** A host that was isolated had enrolled from this machine's mainboard before. */
  isolatedBefore?: { assetId: string; hostname: string };
};

/** Everything a rule may look at. `at`: time of the heartbeat, fixed-width UTC. */
export type Scene = { heartbeat: Observed; policy: Policy; at: string; identity?: IdentityScene | undefined };

type Said = {
  id: string;
  title: string;
  /** MITRE ATLAS technique this may be a step of. */
  atlas: Technique;
  /** 1-100. From 70 on the finding is CRITICAL, else a WARNING. */
  points: number;
  /** Where the facts can make more of it, up to this many; an open incident escalates when they do. */
  pointsMax?: number;
  /** What to do about it, for the person who reads the incident. */
  remediation: string;
};

/** The facts of a case in one sentence, and its points where the rule has more than one number of them. */
export type Case = { says: string; points: number };

/** All answer with the facts of this case; undefined when the rule does not apply. */
export type EngineRule = Said & {
  about: "engine";
  applies(engine: Engine, scene: Scene): string | Case | undefined;
  /** The same of a product that does not run, where the rule asks for what lies on its disk. */
  appliesAtRest?(store: Store, scene: Scene): string | Case | undefined;
};
export type HostRule = Said & { about: "host"; applies(scene: Scene): string | Case | undefined };
export type Rule = EngineRule | HostRule;

/** Stands for the engine in a finding about the whole host. */
export const HOST = { id: "host", name: "This host" } as const;

/** Lasting weights, or weights with a second sign of an engine, reach at least this. */
const HELD_CONFIDENCE_MIN = 70;

/** True for a process with signs of model weights that are too few to call it an engine. */
export const isInDoubt = ({ id, confidence }: Pick<Engine, "id" | "confidence">): boolean =>
  id === "unknown-weights" && confidence < HELD_CONFIDENCE_MIN;

/** True where these signs begin with an inference library. A backup or a search that reads model files loads none. */
export const likelyHolds = (engine: Pick<Engine, "id" | "confidence" | "evidence">): boolean =>
  isInDoubt(engine) && engine.evidence.some(({ signal, weight }) => signal === "library" && weight > 0);

export const at = (engine: Engine): string =>
  `${engine.pid === undefined ? "owner not readable" : `pid ${engine.pid}`}${engine.ports.length > 0 ? `, port ${engine.ports[0]}` : ""}`;

/** Up to three names, and how many more there are. */
export function listed(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length > 3 ? ` and ${distinct.length - 3} more` : "";
  return `${distinct.slice(0, 3).join(", ")}${more}`;
}

/** The sentence for the names that were found; undefined when there are none. */
export const whenAny = (names: readonly string[], sentence: (names: string) => string): string | undefined =>
  names.length === 0 ? undefined : sentence(listed(names));

/**
 * `points`, and `more` each time `count` is twice what it was, from `from` on. Doubling, so that a number that goes up
 * and down by one is not worse each time.
 */
export const grown = (points: number, more: number, count: number, from = 1): number =>
  points + more * Math.max(0, Math.floor(Math.log2(count / from)));
