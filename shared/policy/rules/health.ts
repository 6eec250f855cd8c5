import { DAY_MS } from "../../time/durations.ts";
import { type HostRule, listed, whenAny } from "../rule.ts";
import { compareVersions } from "../version.ts";

/** Age in days of a catalogue whose version is a date (`2026.11.21`). Undefined for other versions. */
function catalogueAgeDays(catalogue: string, at: string): number | undefined {
  const found = /^(2\d{3})\.(\d\d)\.(\d\d)/.exec(catalogue);
  const madeMs = found ? Date.parse(`${found[1]}-${found[2]}-${found[3]}T00:00:00.000Z`) : Number.NaN;
  return Number.isFinite(madeMs) ? Math.floor((Date.parse(at) - madeMs) / DAY_MS) : undefined;
}

/**
 * Rules on whether the agent can read its sources, reports in time and applies containment. A source without
 * results does not prove that nothing runs.
 */
export const HEALTH: readonly HostRule[] = [
  {
    id: "silent-collector",
    about: "host",
    title: "The agent cannot read a required source",
    atlas: "AML.T0015",
    points: 50,
    remediation: "Read the collector's message on the host's page. Usually, the agent lacks a permission.",
    applies: ({ heartbeat, policy }) =>
      whenAny(
        heartbeat.collectors
          .filter(({ name, status }) => status === "failed" && policy.requiredCollectors.includes(name))
          .map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`)),
        (names) => `The agent cannot read ${names}, so it cannot detect engines there.`,
      ),
  },
  {
    id: "missing-collector",
    about: "host",
    title: "The agent does not report a required source",
    atlas: "AML.T0015",
    points: 55,
    remediation: "Update the agent. If it is up to date, find out who changed it.",
    applies: ({ heartbeat, policy }) =>
      whenAny(
        policy.requiredCollectors.filter(
          (required) => !heartbeat.collectors.some(({ name }) => name === required),
        ),
        (names) => `The heartbeat does not report ${names}, which the policy requires.`,
      ),
  },
  {
    id: "stale-catalogue",
    about: "host",
    title: "The agent's catalogue is outdated",
    atlas: "AML.T0015",
    points: 30,
    remediation: "Update the agent. An old catalogue does not recognise newer engines.",
    applies: ({ heartbeat, policy, at }) => {
      const days = catalogueAgeDays(heartbeat.agent.catalogue, at);
      return policy.catalogueAgeDaysMax > 0 && days !== undefined && days > policy.catalogueAgeDaysMax
        ? `The agent's catalogue ${heartbeat.agent.catalogue} is ${days} days old.`
        : undefined;
    },
  },
  {
    id: "outdated-agent",
    about: "host",
    title: "The agent is older than the policy allows",
    atlas: "AML.T0107",
    points: 30,
    remediation: "Update the agent to the version that the policy requires.",
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
    remediation:
      "Find out why the control plane was unreachable for so long, and what ran on the host during that time.",
    applies: ({ heartbeat, policy }) =>
      heartbeat.spool.dropped > policy.spoolDroppedMax
        ? `The agent has dropped ${heartbeat.spool.dropped} heartbeats since enrolment. Their contents are lost.`
        : undefined,
  },
  {
    id: "late-heartbeats",
    about: "host",
    title: "Heartbeats are delayed",
    atlas: "AML.T0107",
    points: 30,
    remediation: "Check the network connection between the host and the control plane.",
    applies: ({ heartbeat, policy }) =>
      heartbeat.spool.waiting > policy.spoolWaitingMax
        ? `${heartbeat.spool.waiting} heartbeats have not been sent yet and are waiting on the host.`
        : undefined,
  },
  {
    id: "containment-failed",
    about: "host",
    title: "Containment failed",
    atlas: "AML.T0107",
    points: 80,
    remediation:
      "Disconnect the host from the network by other means. Then read the reason that the agent reports.",
    applies: ({ heartbeat: { containment } }) =>
      containment.outcome === "failed"
        ? `The agent could not ${containment.action} the host in mode ${containment.mode}: ${containment.reason ?? "no reason given"}.`
        : undefined,
  },
  {
    id: "containment-leaks",
    about: "host",
    title: "Containment is reported as applied, but does not block",
    atlas: "AML.T0112",
    points: 90,
    remediation:
      "Disconnect the host from the network by other means: it can still reach a forbidden address.",
    applies: ({ heartbeat: { containment } }) =>
      containment.action === "isolate" &&
      containment.outcome === "applied" &&
      containment.mode !== "observe" &&
      containment.probes?.forbiddenBlocked === false
        ? `The agent applied mode ${listed([containment.mode])}, but its own probe still reached a forbidden address.`
        : undefined,
  },
];
