import type { Risk } from "../../table/items/asset/risk.ts";
import type { Finding } from "../../table/items/asset/telemetry.ts";
import { tidy } from "../../wire/text.ts";
import { type Case, HOST, type Rule, type RuleInput } from "../rule.ts";
import { RULES } from "../rules/rules.ts";

export const CRITICAL_POINTS = 70;
/** Maximum number of findings per heartbeat. Those with the most points are kept. */
export const FINDINGS_MAX = 40;

export type Evaluation = { risk: Risk; score: number; findings: Finding[] };

/**
 * Evaluates all rules for one heartbeat and one policy. Returns one finding per rule and engine, with the
 * total score and risk.
 */
export function evaluate(scene: RuleInput): Evaluation {
  const found = new Map<string, Finding>();
  const { disabledRules } = scene.policy;
  for (const rule of RULES) {
    if (disabledRules.includes(rule.id)) continue;
    for (const { subject, said } of casesOf(rule, scene)) {
      if (said === undefined) continue;
      const name = `${rule.id} ${subject.id}`;
      const points = pointsOf(rule, said);
      // If several processes of one engine match, the case with the most points counts.
      if ((found.get(name)?.points ?? 0) >= points) continue;
      found.set(name, {
        rule: rule.id,
        engine: subject.id,
        engineName: subject.name,
        risk: points >= CRITICAL_POINTS ? "CRITICAL" : "WARNING",
        points,
        explanation: tidy(typeof said === "string" ? said : said.explanation, 400),
      });
    }
  }
  return sum([...found.values()]);
}

/** Applies a rule to each of its subjects: to the host, or to every engine and store. */
function casesOf(
  rule: Rule,
  scene: RuleInput,
): { subject: { id: string; name: string }; said: string | Case | undefined }[] {
  if (rule.about === "host") return [{ subject: HOST, said: rule.applies(scene) }];
  const { engines, stores = [] } = scene.heartbeat;
  const running = engines.map((engine) => ({ subject: engine, said: rule.applies(engine, scene) }));
  const { appliesAtRest } = rule;
  if (!appliesAtRest) return running;
  return [...running, ...stores.map((store) => ({ subject: store, said: appliesAtRest(store, scene) }))];
}

const pointsOf = ({ points, pointsMax = points }: Rule, said: string | Case): number =>
  typeof said === "string" ? points : Math.max(points, Math.min(said.points, pointsMax));

/**
 * Risk and score of a list of findings. The risk is that of the worst finding. The score is the sum of the
 * points, at most 100.
 */
export function sum(all: readonly Finding[]): Evaluation {
  const findings = [...all].sort((a, b) => b.points - a.points || (nameOf(a) < nameOf(b) ? -1 : 1));
  findings.length = Math.min(findings.length, FINDINGS_MAX);
  const points = findings.reduce((total, finding) => total + finding.points, 0);
  const isCritical = findings.some((finding) => finding.risk === "CRITICAL");
  const risk = isCritical ? "CRITICAL" : findings.length > 0 ? "WARNING" : "INFO";
  return { risk, score: Math.min(100, points), findings };
}

const nameOf = ({ rule, engine }: Finding): string => `${rule} ${engine}`;
