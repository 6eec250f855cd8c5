import type { Rule } from "../rule.ts";
import { APPROVAL } from "./approval.ts";
import { EXPOSURE } from "./exposure.ts";
import { HEALTH } from "./health.ts";
import { IDENTITY } from "./identity.ts";
import { ORIGIN } from "./origin.ts";
import { USE } from "./use.ts";

/**
 * Every rule there is, in one table. A rule looks at one scene (heartbeat, policy, time) and at nothing else.
 * docs/rules.md is held to it by a test.
 */
export const RULES: readonly Rule[] = [...APPROVAL, ...EXPOSURE, ...ORIGIN, ...USE, ...HEALTH, ...IDENTITY];

export const RULES_BY_ID: ReadonlyMap<string, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));
