import { type HostRule, listed, whenAny } from "../rule.ts";
import { compareVersions } from "../version.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Age of a catalogue called by its date (`2026.11.21`); undefined for one that is not. */
function catalogueAgeDays(catalogue: string, at: string): number | undefined {
  const found = /^(2\d{3})\.(\d\d)\.(\d\d)/.exec(catalogue);
  const madeMs = found ? Date.parse(`${found[1]}-${found[2]}-${found[3]}T00:00:00.000Z`) : Number.NaN;
  return Number.isFinite(madeMs) ? Math.floor((Date.parse(at) - madeMs) / DAY_MS) : undefined;
}

/** Whether the agent sees, tells and obeys. A quiet source is not a clean source. */
export const HEALTH: readonly HostRule[] = [
  {
    id: "silent-collector",
    about: "host",
    title: "The agent is blind in part",
    atlas: "AML.T0015",
    points: 50,
    remediation: "See the collector's own words on the asset's page; most often a right is missing.",
    applies: ({ heartbeat, policy }) =>
      whenAny(
        heartbeat.collectors
          .filter(({ name, status }) => status === "failed" && policy.requiredCollectors.includes(name))
          .map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`)),
        (names) => `The agent cannot look at ${names}: what runs there is not seen.`,
      ),
  },
  {
    id: "missing-collector",
    about: "host",
    title: "The agent does not look at a source it must",
    atlas: "AML.T0015",
    points: 55,
    remediation: "Update the agent; if it is current, find out who changed it.",
    applies: ({ heartbeat, policy }) =>
      whenAny(
        policy.requiredCollectors.filter(
          (required) => !heartbeat.collectors.some(({ name }) => name === required),
        ),
        (names) => `The heartbeat says nothing about ${names}, which the policy requires.`,
      ),
  },
  {
    id: "stale-catalogue",
    about: "host",
    title: "The agent's catalogue is old",
    atlas: "AML.T0015",
    points: 30,
    remediation: "Update the agent: newer engines are not recognised by name.",
    applies: ({ heartbeat, policy, at }) => {
      const days = catalogueAgeDays(heartbeat.agent.catalogue, at);
      return policy.catalogueAgeDaysMax > 0 && days !== undefined && days > policy.catalogueAgeDaysMax
        ? `The agent knows the engines of ${heartbeat.agent.catalogue}, ${days} days ago.`
        : undefined;
    },
  },
  {
    id: "outdated-agent",
    about: "host",
    title: "The agent is older than the policy allows",
    atlas: "AML.T0107",
    points: 30,
    remediation: "Update the agent to the version the policy names.",
    applies: ({ heartbeat, policy }) =>
      policy.agentVersionMin !== undefined &&
      compareVersions(heartbeat.agent.version, policy.agentVersionMin) === -1
        ? `The agent is version ${heartbeat.agent.version}, older than ${policy.agentVersionMin}.`
        : undefined,
  },
  {
    id: "lost-heartbeats",
    about: "host",
    title: "The agent lost heartbeats",
    atlas: "AML.T0107",
    points: 40,
    remediation: "Find out why the control plane was out of reach for so long, and what ran meanwhile.",
    applies: ({ heartbeat, policy }) =>
      heartbeat.spool.dropped > policy.spoolDroppedMax
        ? `The agent dropped ${heartbeat.spool.dropped} heartbeats since enrolment: nothing tells what they showed.`
        : undefined,
  },
  {
    id: "late-heartbeats",
    about: "host",
    title: "The agent falls behind",
    atlas: "AML.T0107",
    points: 30,
    remediation: "See whether something between the host and the control plane slows it down.",
    applies: ({ heartbeat, policy }) =>
      heartbeat.spool.waiting > policy.spoolWaitingMax
        ? `${heartbeat.spool.waiting} heartbeats wait on the host.`
        : undefined,
  },
  {
    id: "containment-failed",
    about: "host",
    title: "Containment did not work",
    atlas: "AML.T0107",
    points: 80,
    remediation: "Take the host off the network by other means, then read the agent's reason.",
    applies: ({ heartbeat: { containment } }) =>
      containment.outcome === "failed"
        ? `The agent could not ${containment.action} in mode ${containment.mode}: ${containment.reason ?? "no reason given"}.`
        : undefined,
  },
  {
    id: "containment-leaks",
    about: "host",
    title: "Containment is reported and does not hold",
    atlas: "AML.T0112",
    points: 90,
    remediation: "Take the host off the network by other means: a forbidden address answers from it.",
    applies: ({ heartbeat: { containment } }) =>
      containment.action === "isolate" &&
      containment.outcome === "applied" &&
      containment.mode !== "observe" &&
      containment.probes?.forbiddenBlocked === false
        ? `The agent applied ${listed([containment.mode])}, and its own probe still reached a forbidden address.`
        : undefined,
  },
];
