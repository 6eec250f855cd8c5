import type { Rule } from "./rule.ts";
import { APPROVAL } from "./rules/approval.ts";
import { EXPOSURE } from "./rules/exposure.ts";
import { HEALTH } from "./rules/health.ts";
import { IDENTITY } from "./rules/identity.ts";
import { ORIGIN } from "./rules/origin.ts";
import { USE } from "./rules/use.ts";

/**
 * Every rule there is, in one table. A rule looks at one scene (heartbeat, policy, time) and at nothing else.
 * docs/rules.md is held to it by a test.
 */
export const RULES: readonly Rule[] = [...APPROVAL, ...EXPOSURE, ...ORIGIN, ...USE, ...HEALTH, ...IDENTITY];

export const RULES_BY_ID: ReadonlyMap<string, Rule> = new Map(RULES.map((rule) => [rule.id, rule]));
