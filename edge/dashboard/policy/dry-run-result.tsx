import { plural, RiskBadge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { Moment } from "../components/time.tsx";
import type { DryRun, Tried } from "./dry-run.ts";

/** What a policy that is not saved would have found: by rule, with counts and examples. */
export const DryRunResult = ({ result }: { result: DryRun }) => (
  <section id="dry-run" class="card" aria-labelledby="dry-run-title" tabindex={-1}>
    <div class="card-head">
      <h2 id="dry-run-title">What this policy would have found</h2>
    </div>
    <p class="strip ok" role="status">
      <Icon name="info" />
      <span>
        Nothing was saved. {plural(result.states, "recorded state")} of {plural(result.hosts, "host")}{" "}
        {result.hosts < result.hostsInAll &&
          `(of ${result.hostsInAll.toLocaleString("en")}, those with AI first) `}
        since <Moment at={result.since} /> were judged again by the rules. The baseline and the language model
        do not run here, and telemetry does not hold what {result.notJudged.join(", ")} ask for.
      </span>
    </p>
    {result.rules.length === 0 ? (
      <Empty title="No rule would have found anything" icon="ok" />
    ) : (
      <table class="assets dry-run">
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">For example</th>
            <th scope="col" class="number">
              Hosts then
            </th>
            <th scope="col" class="number">
              Hosts as recorded
            </th>
          </tr>
        </thead>
        <tbody>
          {result.rules.map((tried) => (
            <TriedRule tried={tried} />
          ))}
        </tbody>
      </table>
    )}
  </section>
);

const TriedRule = ({ tried }: { tried: Tried }) => {
  const { rule, title, risk, would, did, examples } = tried;
  return (
    <tr>
      <th scope="row">
        {title}
        <p class="muted small">
          <code>{rule}</code>
        </p>
        <RiskBadge risk={risk} />
      </th>
      <td data-label="For example">
        {examples.length === 0 ? (
          <span class="muted">nothing any more</span>
        ) : (
          <ul class="plain-list">
            {examples.map(({ assetId, hostname, explanation }) => (
              <li>
                <a href={`/assets/${assetId}`}>
                  <bdi>{hostname}</bdi>
                </a>
                : <bdi>{explanation}</bdi>
              </li>
            ))}
          </ul>
        )}
      </td>
      <td data-label="Hosts then" class="number">
        {would.hosts.toLocaleString("en")}
        <p class="muted small">{plural(would.states, "state")}</p>
      </td>
      <td data-label="Hosts as recorded" class="number">
        {did.hosts.toLocaleString("en")}
        <p class="muted small">{plural(did.states, "state")}</p>
      </td>
    </tr>
  );
};
