import type { Policy } from "../table/items/policy.ts";
import type { Engine, Heartbeat, Store } from "../wire/heartbeat.ts";
import type { Technique } from "./atlas.ts";

/** Parts of a heartbeat that rules evaluate. */
type Observed = Pick<
  Heartbeat,
  "engines" | "stores" | "collectors" | "containment" | "agent" | "host" | "spool"
>;

/** Evidence that the identity is used by more than one machine. Needs more than one heartbeat. */
export type IdentityConflict = {
  /** Machines that report under this identity alternately, the first seen first. */
  machines: readonly { hostname: string; since: string }[];
  /** Another machine to which the edge refused a session, because its mainboard differs. */
  refused?: { hostname: string | undefined; since: string };
  /** The host with the same mainboard that was isolated when this machine enrolled. */
  isolatedBefore?: { assetId: string; hostname: string };
};

/** Input of a rule. `at`: time of the heartbeat, fixed-width UTC. */
export type RuleInput = {
  heartbeat: Observed;
  policy: Policy;
  at: string;
  identity?: IdentityConflict | undefined;
};

type RuleFacts = {
  id: string;
  title: string;
  /** MITRE ATLAS technique that this finding may be a step of. */
  atlas: Technique;
  /** 1 to 100. From 70 on the finding is CRITICAL, otherwise WARNING. */
  points: number;
  /**
   * Maximum of points, for rules whose points depend on the facts. An open incident escalates when the points
   * grow.
   */
  pointsMax?: number;
  /** Recommended action, for the person who reads the incident. */
  remediation: string;
};

/** The facts of a case as a sentence, with its points if the rule has several levels. */
export type Case = { explanation: string; points: number };

/** `applies` returns the facts of the case, or undefined when the rule does not match. */
export type EngineRule = RuleFacts & {
  about: "engine";
  applies(engine: Engine, scene: RuleInput): string | Case | undefined;
  /** Like `applies`, for a product that does not run. For rules about models on disk. */
  appliesAtRest?(store: Store, scene: RuleInput): string | Case | undefined;
};
export type HostRule = RuleFacts & { about: "host"; applies(scene: RuleInput): string | Case | undefined };
export type Rule = EngineRule | HostRule;

/** Used in place of the engine in findings about the whole host. */
export const HOST = { id: "host", name: "This host" } as const;

/** Minimum confidence of resident model weights, or of weights with a second sign of an engine. */
const HELD_CONFIDENCE_MIN = 70;

/** True for a process with signs of model weights that are too weak to call it an engine. */
export const isInDoubt = ({ id, confidence }: Pick<Engine, "id" | "confidence">): boolean =>
  id === "unknown-weights" && confidence < HELD_CONFIDENCE_MIN;

/**
 * True if the weak signs include an inference library. Backup or search programs read model files, but load
 * no such library.
 */
export const likelyHolds = (engine: Pick<Engine, "id" | "confidence" | "evidence">): boolean =>
  isInDoubt(engine) && engine.evidence.some(({ signal, weight }) => signal === "library" && weight > 0);

export const processOf = (engine: Engine): string =>
  `${engine.pid === undefined ? "owner not readable" : `pid ${engine.pid}`}${engine.ports.length > 0 ? `, port ${engine.ports[0]}` : ""}`;

/** Up to three names, and the number of further ones. */
export function listed(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length > 3 ? ` and ${distinct.length - 3} more` : "";
  return `${distinct.slice(0, 3).join(", ")}${more}`;
}

/** The sentence with the given names. Undefined when there are no names. */
export const whenAny = (names: readonly string[], sentence: (names: string) => string): string | undefined =>
  names.length === 0 ? undefined : sentence(listed(names));

/**
 * Points that grow with a count: `points`, plus `more` each time `count` doubles, starting at `from`.
 * Doubling avoids an escalation for each small change of the count.
 */
export const grown = (points: number, more: number, count: number, from = 1): number =>
  points + more * Math.max(0, Math.floor(Math.log2(count / from)));
