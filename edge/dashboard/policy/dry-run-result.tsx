import { plural, RiskBadge } from "../components/badges.tsx";
import { Icon } from "../components/icon.tsx";
import { Empty } from "../components/layout.tsx";
import { Moment } from "../components/time.tsx";
import type { DryRun, Tried } from "./dry-run.ts";

/** Shows the findings that an unsaved policy would have, by rule, with counts and examples. */
export const DryRunResult = ({ result }: { result: DryRun }) => (
  <section id="dry-run" class="card" aria-labelledby="dry-run-title" tabindex={-1}>
    <div class="card-head">
      <h2 id="dry-run-title">Result of the dry run</h2>
    </div>
    <p class="strip ok" role="status">
      <Icon name="info" />
      <span>
        {`Nothing was saved. The rules of this policy were applied to ${plural(result.states, "recorded state")} of ${plural(result.hosts, "host")} `}
        {result.hosts < result.hostsInAll &&
          `(out of ${result.hostsInAll.toLocaleString("en")}; hosts with AI are included first) `}
        since <Moment at={result.since} />
        {`. A dry run does not include the baseline, the LLM review, or the rules ${result.notJudged.join(", ")}, because recorded states lack the data they need.`}
      </span>
    </p>
    {result.rules.length === 0 ? (
      <Empty title="This policy would have no findings" icon="ok" />
    ) : (
      <table class="assets dry-run">
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">Examples</th>
            <th scope="col" class="number">
              Hosts with findings, this policy
            </th>
            <th scope="col" class="number">
              Hosts with findings, recorded
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
      <td data-label="Examples">
        {examples.length === 0 ? (
          <span class="muted">no findings</span>
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
      <td data-label="Hosts with findings, this policy" class="number">
        {would.hosts.toLocaleString("en")}
        <p class="muted small">{plural(would.states, "state")}</p>
      </td>
      <td data-label="Hosts with findings, recorded" class="number">
        {did.hosts.toLocaleString("en")}
        <p class="muted small">{plural(did.states, "state")}</p>
      </td>
    </tr>
  );
};
