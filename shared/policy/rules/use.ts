import type { Client, Engine } from "../../wire/heartbeat.ts";
import { matchesAny } from "../glob-pattern.ts";
import { clockOf, isWorkingTime } from "../hours.ts";
import { type EngineRule, processOf, whenAny } from "../rule.ts";

const nameOf = ({ name, executable }: Client): string | undefined => name ?? executable;
const namesWhere = (engine: Engine, holds: (name: string) => boolean): string[] =>
  engine.clients.flatMap((client) => {
    const name = nameOf(client);
    return name !== undefined && holds(name) ? [name] : [];
  });

const OFFICE = [
  "excel*",
  "winword*",
  "powerpnt*",
  "outlook*",
  "onenote*",
  "soffice*",
  "thunderbird*",
  // Names on macOS, including those of helper processes.
  "*Microsoft Word*",
  "*Microsoft Excel*",
  "*Microsoft PowerPoint*",
  "*Microsoft Outlook*",
  "*Microsoft OneNote*",
];

/**
 * True for a directory that matches a pattern, and for all its subdirectories. `/srv/secret/*` also matches
 * `/srv/secret`.
 */
function isWithin(patterns: readonly string[], directory: string): boolean {
  if (patterns.length === 0) return false;
  const whole = `${directory}${directory.includes("\\") ? "\\" : "/"}`;
  for (const { index } of whole.matchAll(/[\\/]/g)) {
    const isNamed = [index, index + 1].some((end) => matchesAny(patterns, whole.slice(0, end)));
    if (isNamed) return true;
  }
  return false;
}
const AGENT_KINDS = new Set(["agent", "agent-builder", "coding-agent", "mcp"]);

/** Rules on the clients of an engine: the programs, their directories and the times of use. */
export const USE: readonly EngineRule[] = [
  {
    id: "banned-client",
    about: "engine",
    title: "Banned program uses an AI engine",
    atlas: "AML.T0040",
    points: 65,
    remediation: "Stop the program. Ask the user which data it sent to the model.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(engine, (name) => matchesAny(policy.bannedClients, name)),
        (names) => `${names} uses ${engine.name} (${processOf(engine)}), and the policy bans it.`,
      ),
  },
  {
    id: "unapproved-client",
    about: "engine",
    title: "Unapproved program uses an AI engine",
    atlas: "AML.T0040",
    points: 30,
    remediation: "Approve the program in the policy, or stop its use of the engine.",
    applies: (engine, { policy }) =>
      policy.approvedClients.length === 0
        ? undefined
        : whenAny(
            namesWhere(
              engine,
              (name) => !matchesAny(policy.approvedClients, name) && !matchesAny(policy.bannedClients, name),
            ),
            (names) =>
              `${names} uses ${engine.name} (${processOf(engine)}) and is not on the list of approved clients.`,
          ),
  },
  {
    id: "office-client",
    about: "engine",
    title: "Office program uses an AI engine",
    atlas: "AML.T0057",
    points: 45,
    remediation:
      "Ask which documents were sent to the model. If this is allowed, approve the program in the policy.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(engine, (name) => matchesAny(OFFICE, name) && !matchesAny(policy.approvedClients, name)),
        (names) => `${names} uses ${engine.name} (${processOf(engine)}): documents may be sent to the model.`,
      ),
  },
  {
    id: "protected-directory",
    about: "engine",
    title: "AI engine used from a protected directory",
    atlas: "AML.T0037",
    points: 80,
    remediation:
      "Stop the client. Then find out what it read: files in this directory must not reach a model.",
    applies: (engine, { policy }) =>
      whenAny(
        engine.clients.flatMap((client) =>
          client.directory !== undefined && isWithin(policy.protectedDirectories, client.directory)
            ? [`${nameOf(client) ?? "a program"} in ${client.directory}`]
            : [],
        ),
        (names) =>
          `${engine.name} (${processOf(engine)}) is in use by ${names}, which is a protected directory.`,
      ),
  },
  {
    id: "outside-hours",
    about: "engine",
    title: "AI engine in use outside working hours",
    atlas: "AML.T0040",
    points: 35,
    remediation:
      "Ask the user whether this use was intended. If the host was unattended, find out which program used the engine.",
    applies: (engine, { policy, at: time }) =>
      policy.workingHours !== undefined &&
      engine.clients.length > 0 &&
      !isWorkingTime(time, policy.workingHours)
        ? `${engine.name} (${processOf(engine)}) had ${engine.clients.length} client(s) at ${time.slice(11, 16)} UTC, outside the working hours ${policy.workingHours.from} to ${policy.workingHours.to} ${clockOf(policy.workingHours)}.`
        : undefined,
  },
  {
    id: "autonomous-agent",
    about: "engine",
    title: "Autonomous AI agent",
    atlas: "AML.T0103",
    points: 50,
    remediation:
      "Find out which tools and accounts the agent can use. Approve it in the policy, or remove it.",
    applies: (engine, { policy }) =>
      AGENT_KINDS.has(engine.kind) && !policy.approvedEngines.includes(engine.id)
        ? `${engine.name} (${processOf(engine)}) can run tools on its own and is not approved.`
        : undefined,
  },
  {
    id: "model-gateway",
    about: "engine",
    title: "Gateway to external models",
    atlas: "AML.T0096",
    points: 45,
    remediation: "Find out which providers it forwards requests to: data may leave your organisation.",
    applies: (engine, { policy }) =>
      engine.kind === "gateway" && !policy.approvedEngines.includes(engine.id)
        ? `${engine.name} (${processOf(engine)}) forwards requests to other models and is not approved.`
        : undefined,
  },
  {
    id: "script-client",
    about: "engine",
    title: "Script host uses an AI engine",
    atlas: "AML.T0050",
    points: 40,
    remediation:
      "Find out what the script does with the output of the model. A model must not decide which commands a shell runs.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(
          engine,
          (name) =>
            /^(powershell|pwsh|cmd|wscript|cscript|mshta|osascript)(\.exe)?$/i.test(name) &&
            !matchesAny(policy.approvedClients, name),
        ),
        (names) => `${names} uses ${engine.name} (${processOf(engine)}).`,
      ),
  },
];
