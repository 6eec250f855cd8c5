import type { Client, Engine } from "../../wire/heartbeat.ts";
import { matchesAny } from "../glob-pattern.ts";
import { clockOf, isWorkingTime } from "../hours.ts";
import { at, type EngineRule, whenAny } from "../rule.ts";

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
  // As macOS calls them, their helpers too.
  "*Microsoft Word*",
  "*Microsoft Excel*",
  "*Microsoft PowerPoint*",
  "*Microsoft Outlook*",
  "*Microsoft OneNote*",
];

/** True in a directory that a pattern names, and in all below it; `/srv/secret/*` is `/srv/secret` too. */
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

/** Who feeds the models, from where and when. */
export const USE: readonly EngineRule[] = [
  {
    id: "banned-client",
    about: "engine",
    title: "Banned program uses an AI engine",
    atlas: "AML.T0040",
    points: 65,
    remediation: "End the program; ask what it was given to read.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(engine, (name) => matchesAny(policy.bannedClients, name)),
        (names) => `${names} uses ${engine.name} (${at(engine)}), and the policy bans it.`,
      ),
  },
  {
    id: "unapproved-client",
    about: "engine",
    title: "Program without approval uses an AI engine",
    atlas: "AML.T0040",
    points: 30,
    remediation: "Approve the program in the policy, or end its use of the engine.",
    applies: (engine, { policy }) =>
      policy.approvedClients.length === 0
        ? undefined
        : whenAny(
            namesWhere(
              engine,
              (name) => !matchesAny(policy.approvedClients, name) && !matchesAny(policy.bannedClients, name),
            ),
            (names) =>
              `${names} uses ${engine.name} (${at(engine)}) and is not on the list of approved clients.`,
          ),
  },
  {
    id: "office-client",
    about: "engine",
    title: "Office program feeds a model",
    atlas: "AML.T0057",
    points: 45,
    remediation:
      "Ask which documents were given to the model; approve the program in the policy if that is allowed.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(engine, (name) => matchesAny(OFFICE, name) && !matchesAny(policy.approvedClients, name)),
        (names) => `${names} uses ${engine.name} (${at(engine)}): documents can reach the model unseen.`,
      ),
  },
  {
    id: "protected-directory",
    about: "engine",
    title: "Protected files within reach of a model",
    atlas: "AML.T0037",
    points: 80,
    remediation:
      "Stop the client, then find out what it read; the directory is on the policy's list for a reason.",
    applies: (engine, { policy }) =>
      whenAny(
        engine.clients.flatMap((client) =>
          client.directory !== undefined && isWithin(policy.protectedDirectories, client.directory)
            ? [`${nameOf(client) ?? "a program"} in ${client.directory}`]
            : [],
        ),
        (names) => `${engine.name} (${at(engine)}) is in use by ${names}, a protected directory.`,
      ),
  },
  {
    id: "outside-hours",
    about: "engine",
    title: "AI engine in use outside of working hours",
    atlas: "AML.T0040",
    points: 35,
    remediation: "Ask the user; a host that works alone at night deserves a look.",
    applies: (engine, { policy, at: time }) =>
      policy.workingHours !== undefined &&
      engine.clients.length > 0 &&
      !isWorkingTime(time, policy.workingHours)
        ? `${engine.name} (${at(engine)}) had ${engine.clients.length} client(s) at ${time.slice(11, 16)} UTC, outside of ${policy.workingHours.from} to ${policy.workingHours.to} ${clockOf(policy.workingHours)}.`
        : undefined,
  },
  {
    id: "autonomous-agent",
    about: "engine",
    title: "AI agent that acts by itself",
    atlas: "AML.T0103",
    points: 50,
    remediation: "Find out which tools and accounts it was given; approve it in the policy or remove it.",
    applies: (engine, { policy }) =>
      AGENT_KINDS.has(engine.kind) && !policy.approvedEngines.includes(engine.id)
        ? `${engine.name} (${at(engine)}) can run tools on its own and is not approved.`
        : undefined,
  },
  {
    id: "model-gateway",
    about: "engine",
    title: "Gateway to models elsewhere",
    atlas: "AML.T0096",
    points: 45,
    remediation: "Find out which providers it forwards to: what is sent to it may leave the company.",
    applies: (engine, { policy }) =>
      engine.kind === "gateway" && !policy.approvedEngines.includes(engine.id)
        ? `${engine.name} (${at(engine)}) forwards requests to other models and is not approved.`
        : undefined,
  },
  {
    id: "script-client",
    about: "engine",
    title: "Script host uses an AI engine",
    atlas: "AML.T0050",
    points: 40,
    remediation: "Ask what the script does with the answers; a model must not decide what a shell runs.",
    applies: (engine, { policy }) =>
      whenAny(
        namesWhere(
          engine,
          (name) =>
            /^(powershell|pwsh|cmd|wscript|cscript|mshta|osascript)(\.exe)?$/i.test(name) &&
            !matchesAny(policy.approvedClients, name),
        ),
        (names) => `${names} uses ${engine.name} (${at(engine)}).`,
      ),
  },
];
