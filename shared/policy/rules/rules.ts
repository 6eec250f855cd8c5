import type { Rule } from "../rule.ts";
import { APPROVAL } from "./approval.ts";
import { EXPOSURE } from "./exposure.ts";
import { HEALTH } from "./health.ts";
import { IDENTITY } from "./identity.ts";
import { ORIGIN } from "./origin.ts";
import { USE } from "./use.ts";

/**
 * All rules in one table. The result of a rule depends only on its scene: heartbeat, policy, time and use of
 * the identity. A test compares this table with docs/rules.md.
 */
export const RULES: readonly Rule[] = [...APPROVAL, ...EXPOSURE, ...ORIGIN, ...USE, ...HEALTH, ...IDENTITY];

export const RULES_BY_ID: ReadonlyMap<string, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));
