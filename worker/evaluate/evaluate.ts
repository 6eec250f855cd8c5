import type { Finding, Policy, Risk } from "../../shared/table/items.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { RULES } from "./rules.ts";

const CRITICAL_POINTS = 70;

export type Evaluation = { risk: Risk; score: number; findings: Finding[] };

/** Findings of one heartbeat under one policy: one per rule and engine, the worst kept, and what they add up to. */
export function evaluate(heartbeat: Pick<Heartbeat, "engines">, policy: Policy): Evaluation {
  const found = new Map<string, Finding>();
  for (const engine of heartbeat.engines) {
    for (const rule of RULES) {
      const explanation = rule.applies(engine, policy);
      const name = `${rule.id} ${engine.id}`;
      if (explanation === undefined || found.has(name)) continue;
      found.set(name, {
        rule: rule.id,
        engine: engine.id,
        engineName: engine.name,
        risk: rule.points >= CRITICAL_POINTS ? "CRITICAL" : "WARNING",
        points: rule.points,
        explanation: tidy(explanation, 400),
      });
    }
  }
  const findings = [...found.values()];
  const score = Math.min(
    100,
    findings.reduce((sum, finding) => sum + finding.points, 0),
  );
  const isCritical = findings.some((finding) => finding.risk === "CRITICAL");
  return { risk: isCritical ? "CRITICAL" : findings.length > 0 ? "WARNING" : "INFO", score, findings };
}
