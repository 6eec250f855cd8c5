import type { Policy } from "../table/items/policy.ts";
import type { Engine, Heartbeat, Store } from "../wire/heartbeat.ts";
import type { Technique } from "./atlas.ts";

/** Parts of a heartbeat that rules evaluate. */
type Observed = Pick<
  Heartbeat,
  "engines" | "stores" | "collectors" | "containment" | "agent" | "host" | "spool"
>;

/** Evidence that more than one machine uses the identity. It results from several heartbeats. */
export type IdentityConflict = {
  /** Machines that alternately report with this identity. The machine that was seen first comes first. */
  machines: readonly { hostname: string; since: string }[];
  /**
   * Another machine to which the edge refused a session because its mainboard differs. Absent if there was no
   * refusal.
   */
  refused?: { hostname: string | undefined; since: string };
  /**
   * The host with the same mainboard that was isolated when this machine enrolled. Absent if there was no
   * such host.
   */
  isolatedBefore?: { assetId: string; hostname: string };
};

/** Input of a rule. `at` is the time of the heartbeat as fixed-width UTC. */
export type RuleInput = {
  heartbeat: Observed;
  policy: Policy;
  at: string;
  identity?: IdentityConflict | undefined;
};

type RuleFacts = {
  id: string;
  title: string;
  /** MITRE ATLAS technique to which this finding can belong. */
  atlas: Technique;
  /** Points of a finding, from 1 to 100. A finding with 70 or more points is CRITICAL, otherwise WARNING. */
  points: number;
  /**
   * Maximum number of points, for rules whose points depend on the facts. An open incident escalates if its
   * points increase.
   */
  pointsMax?: number;
  /** Recommended action for the person who reads the incident. */
  remediation: string;
};

/** The facts of a case as a sentence. Includes the points if the rule has several levels. */
export type Case = { explanation: string; points: number };

/** A rule about one engine. `applies` returns the facts of the case, or undefined if the rule does not match. */
export type EngineRule = RuleFacts & {
  about: "engine";
  applies(engine: Engine, scene: RuleInput): string | Case | undefined;
  /** Like `applies`, for a product that is not running. Only present for rules about models on disk. */
  appliesAtRest?(store: Store, scene: RuleInput): string | Case | undefined;
};
export type HostRule = RuleFacts & { about: "host"; applies(scene: RuleInput): string | Case | undefined };
export type Rule = EngineRule | HostRule;

/** Subject of findings about the whole host, in place of an engine. */
export const HOST = { id: "host", name: "This host" } as const;

/**
 * Minimum confidence at which a process with model weights counts as an engine. Weights that are resident in
 * memory reach it. Weaker evidence of weights reaches it together with a second signal.
 */
const HELD_CONFIDENCE_MIN = 70;

/** True for a process whose evidence of model weights is too weak for it to count as an engine. */
export const isInDoubt = ({ id, confidence }: Pick<Engine, "id" | "confidence">): boolean =>
  id === "unknown-weights" && confidence < HELD_CONFIDENCE_MIN;

/**
 * True if the weak evidence includes an inference library. Backup or search programs read model files, but
 * load no such library.
 */
export const likelyHolds = (engine: Pick<Engine, "id" | "confidence" | "evidence">): boolean =>
  isInDoubt(engine) && engine.evidence.some(({ signal, weight }) => signal === "library" && weight > 0);

export const processOf = (engine: Engine): string =>
  `${engine.pid === undefined ? "process not readable" : `pid ${engine.pid}`}${engine.ports.length > 0 ? `, port ${engine.ports[0]}` : ""}`;

/** Lists up to three names, followed by the number of further names. */
export function listed(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length > 3 ? ` and ${distinct.length - 3} more` : "";
  return `${distinct.slice(0, 3).join(", ")}${more}`;
}

/** Returns the sentence with the given names, or undefined if there are no names. */
export const whenAny = (names: readonly string[], sentence: (names: string) => string): string | undefined =>
  names.length === 0 ? undefined : sentence(listed(names));

/**
 * Points that increase with a count. The result is `points`, plus `more` each time `count` doubles, starting
 * at `from`. Because of the doubling, small changes of the count cause no escalation.
 */
export const grown = (points: number, more: number, count: number, from = 1): number =>
  points + more * Math.max(0, Math.floor(Math.log2(count / from)));
