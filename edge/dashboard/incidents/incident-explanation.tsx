import { ATLAS_VERSION, TECHNIQUES } from "../../../shared/policy/atlas.ts";
import type { Adjudication, TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { Badge, RiskBadge } from "../components/badges.tsx";
import { Ago } from "../components/time.tsx";

const SOURCES = {
  rule: "A rule of your policy. The same rule applies to all hosts.",
  baseline:
    "The baseline. The finding is new for the host or the organisation. No rule of the policy is violated.",
  ai: "A language model. It assessed the facts below. No rule of the policy is violated.",
} as const;

/**
 * Name of a MITRE ATLAS technique in the pinned release. If an older incident has a technique that is not in
 * this release, the technique's id is shown instead.
 */
const nameOf = (technique: string): string =>
  Object.hasOwn(TECHNIQUES, technique) ? TECHNIQUES[technique as keyof typeof TECHNIQUES] : technique;

/**
 * Explains why the incident exists and what to do about it. Says whether a rule, the baseline or a language
 * model found it.
 */
export const Explanation = ({
  incident,
  state,
  now,
}: {
  incident: IncidentView;
  /** The newest state of the host. Absent if the incident is resolved. */
  state: TelemetryChange | undefined;
  now: number;
}) => {
  const { title, remediation, atlas, source = "rule" } = incident;
  return (
    <section id="incident-explanation" class="card" data-live aria-labelledby="incident-explanation-title">
      <h2 id="incident-explanation-title">{title ?? "Why this is an incident"}</h2>
      <dl class="facts wide">
        <div class="whole">
          <dt>Remediation</dt>
          <dd>
            {remediation ??
              "No remediation is recorded for this incident. See the rule and the explanation above."}
          </dd>
        </div>
        <div>
          <dt>Source</dt>
          <dd>{SOURCES[source]}</dd>
        </div>
        {atlas !== undefined && (
          <div>
            <dt>MITRE ATLAS {ATLAS_VERSION} technique</dt>
            <dd>
              <a href={`https://atlas.mitre.org/techniques/${encodeURIComponent(atlas)}`} rel="noreferrer">
                {nameOf(atlas)}
              </a>{" "}
              <code>{atlas}</code>
            </dd>
          </div>
        )}
        {(incident.reopens ?? 0) > 0 && (
          <div>
            <dt>Reopened</dt>
            <dd>{incident.reopens === 1 ? "once" : `${incident.reopens} times`}</dd>
          </div>
        )}
        {incident.escalatedAt !== undefined && (
          <div>
            <dt>Escalated</dt>
            <dd>
              <Ago at={incident.escalatedAt} now={now} />
            </dd>
          </div>
        )}
      </dl>
      {(state?.novelty?.length ?? 0) > 0 && (
        <div>
          <h3>New on this host according to the baseline</h3>
          <ul class="plain-list">
            {state!.novelty!.map((words) => (
              <li>
                <bdi>{words}</bdi>
              </li>
            ))}
          </ul>
        </div>
      )}
      {state?.adjudication && <LlmReview adjudication={state.adjudication} />}
    </section>
  );
};

/**
 * The LLM review of the host, with its model, text, and effect on the score. The panel states that a language
 * model wrote the text.
 */
const LlmReview = ({ adjudication }: { adjudication: Adjudication }) => (
  <div class="opinion">
    <h3>
      <Badge tone="info" icon="info">
        Written by a language model
      </Badge>
    </h3>
    {adjudication.outcome === "judged" ? (
      <>
        <blockquote>
          <bdi dir="ltr">{adjudication.explanation}</bdi>
        </blockquote>
        <p class="muted small">
          This is an assessment of the whole host, not a finding of a rule.{" "}
          <bdi class="mono">{adjudication.model}</bdi> reviewed the host because the rules and the baseline
          were not conclusive. Its rating is <RiskBadge risk={adjudication.risk} />{" "}
          {`${adjudication.score}. The risk score of the host changed from ${adjudication.before} to ${adjudication.after}.`}
        </p>
      </>
    ) : (
      <p class="muted">
        No LLM review yet: <bdi>{adjudication.reason}</bdi>. Until then, only the rules and the baseline
        determine the risk score.
      </p>
    )}
  </div>
);
