import { ATLAS_VERSION, TECHNIQUES } from "../../../shared/policy/atlas.ts";
import type { Adjudication, TelemetryChange } from "../../../shared/table/items/asset/telemetry.ts";
import type { IncidentView } from "../../control/incidents/list-incidents.ts";
import { Badge, RiskBadge } from "../components/badges.tsx";
import { Ago } from "../components/time.tsx";

const SOURCES = {
  rule: "A rule of the policy: a fact about the host, the same for everybody.",
  baseline: "The baseline: it is new for this host or this organisation, which by itself breaks no rule.",
  ai: "A language model: an opinion on the facts below, which no rule made.",
} as const;

/** As the pinned release has it; an id of an older incident that is not in it stands for itself. */
const nameOf = (technique: string): string =>
  Object.hasOwn(TECHNIQUES, technique) ? TECHNIQUES[technique as keyof typeof TECHNIQUES] : technique;

/** What kind of thing it is, what to do about it, and whose word it is. */
export const Explanation = ({
  incident,
  state,
  now,
}: {
  incident: IncidentView;
  /** The newest state of the host; absent when the incident is not about it any more. */
  state: TelemetryChange | undefined;
  now: number;
}) => {
  const { title, remediation, atlas, source = "rule" } = incident;
  return (
    <section id="incident-explanation" class="card" data-live aria-labelledby="incident-explanation-title">
      <h2 id="incident-explanation-title">{title ?? "Why it is an incident"}</h2>
      <dl class="facts wide">
        <div class="whole">
          <dt>What to do</dt>
          <dd>
            {remediation ??
              "No remedy is recorded with it. The rule's name and the facts above say what broke."}
          </dd>
        </div>
        <div>
          <dt>Whose word it is</dt>
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
            <dt>Came back</dt>
            <dd>{incident.reopens === 1 ? "once" : `${incident.reopens} times`} after it was resolved</dd>
          </div>
        )}
        {incident.escalatedAt !== undefined && (
          <div>
            <dt>Got worse</dt>
            <dd>
              <Ago at={incident.escalatedAt} now={now} />
            </dd>
          </div>
        )}
      </dl>
      {(state?.novelty?.length ?? 0) > 0 && (
        <div>
          <h3>New in the host's whole state, by the baseline</h3>
          <ul class="plain-list">
            {state!.novelty!.map((words) => (
              <li>
                <bdi>{words}</bdi>
              </li>
            ))}
          </ul>
        </div>
      )}
      {state?.adjudication && <Opinion adjudication={state.adjudication} />}
    </section>
  );
};

/** Never to be taken for a finding: it says that it is an opinion, of which model, and what it moved. */
const Opinion = ({ adjudication }: { adjudication: Adjudication }) => (
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
          An opinion on the host's whole state, not a finding. <bdi class="mono">{adjudication.model}</bdi>{" "}
          was asked because rules and baseline left a doubt; the host's score was{" "}
          {String(adjudication.before)} before and {String(adjudication.after)} after. Its own word:{" "}
          <RiskBadge risk={adjudication.risk} /> {String(adjudication.score)}.
        </p>
      </>
    ) : (
      <p class="muted">
        No verdict: <bdi>{adjudication.reason}</bdi>. Until there is one, rules and baseline alone decide.
      </p>
    )}
  </div>
);
