import { Badge, plural } from "../components/badges.tsx";
import type { Evidence } from "./report-data.ts";
import { Section } from "./report-section.tsx";

/**
 * Lists duties that the report may support, and says for each duty what the report does not show. The section
 * never claims that a duty is met.
 */
export const DutiesSection = ({ evidence }: { evidence: Evidence }) => (
  <Section id="duties" title="Duties that this evidence may support">
    <p>
      Whether a duty applies depends on the AI system, its risk class and your role. An agent cannot see any
      of these, so a responsible person has to decide.
    </p>
    <dl class="duties">
      {dutiesOf(evidence).map(({ where, shows, silent }) => (
        <div>
          <dt>
            <Badge tone="quiet" icon="info">
              {where}
            </Badge>
          </dt>
          <dd>
            <p>{shows}</p>
            <p class="muted">Not shown: {silent}</p>
          </dd>
        </div>
      ))}
    </dl>
  </Section>
);

/** `shows`: what the report contains about the duty. `silent`: what the report does not show. */
export const dutiesOf = ({ found, done, kept }: Evidence) => [
  {
    where: "EU AI Act, Article 4 (AI literacy)",
    shows: `${plural(found.employeesWithAi, "employee")} had AI on a host. The report lists the engines and models. Training may have to include these people.`,
    silent: "whether anyone was trained, or how well they know the AI they use.",
  },
  {
    where: "EU AI Act, Article 26(5) (monitoring by deployers)",
    shows:
      "Which engines and models ran on which hosts, the incidents they caused, and how each was handled.",
    silent: "how well an AI system performed, or whether it is a high-risk system.",
  },
  {
    where: "EU AI Act, Article 26(6) (keeping logs)",
    shows: `Your settings keep states and incidents for ${plural(kept.retentionDays, "day")}. Custody records do not expire. The article requires deployers of high-risk systems to keep the logs of such a system for at least six months, where the logs are under their control.`,
    silent: "the logs of the AI systems themselves. This report contains only records about these systems.",
  },
  {
    where: "EU AI Act, Article 26(2) (human oversight)",
    shows: done.complete
      ? `${plural(done.records.length, "decision")} by named people in this period, each with time, reason and hash.`
      : "Decisions by named people, each with time, reason and hash. This period has too many decisions to list here.",
    silent: "the competence, training and authority of these people.",
  },
  {
    where: "ISO/IEC 42001:2023, Annex A.4 (resources for AI systems)",
    shows: "An inventory of engines and models on hosts, based on detection and not on a questionnaire.",
    silent: "data resources, human resources, and AI used as a service.",
  },
  {
    where: "ISO/IEC 42001:2023, A.6.2.6 and A.6.2.8 (operation, monitoring, event logs)",
    shows: `Continuous monitoring with known gaps, rules of policy version ${kept.policyVersion}, and a custody log with the verification result above.`,
    silent: "events inside an AI system.",
  },
  {
    where: "ISO/IEC 42001:2023, A.9.2 (responsible use)",
    shows: "Where use violated the policy, and what was done about it.",
    silent: "whether the policy itself is adequate.",
  },
];
