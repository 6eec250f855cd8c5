import { matchesAny } from "../glob-pattern.ts";
import { looksLikeOrders } from "../prompt-injection.ts";
import { at, type EngineRule, isInDoubt, likelyHolds, whenAny } from "../rule.ts";
import { compareVersions } from "../version.ts";
import { VULNERABILITIES, type Vulnerability } from "../vulnerabilities.ts";

/** Programs that open documents or run what documents bring along: none has a reason to start an engine. */
const DOCUMENT_PROGRAMS =
  /^(winword|excel|powerpnt|outlook|onenote|microsoft (?:word|excel|powerpoint|outlook|onenote)|soffice|acrord32|acrobat|wscript|cscript|mshta)(\.exe|\.bin)?$/i;

/** Vulnerabilities that the version of this engine has and the company has not accepted. */
function vulnerabilitiesOf(engineId: string, version: string | undefined, accepted: readonly string[]) {
  if (version === undefined) return [];
  return VULNERABILITIES.filter(
    ({ id, engine, from, fixed }) =>
      engine === engineId &&
      !accepted.includes(id) &&
      compareVersions(version, fixed) === -1 &&
      (from === undefined || (compareVersions(version, from) ?? -1) >= 0),
  );
}

const cves = (found: readonly Vulnerability[]) =>
  found
    .map(({ id, summary }) => `${id}, ${summary}`)
    .slice(0, 2)
    .join("; ");

/** What the process is: its executable, its account, what started it, its version. */
export const ORIGIN: readonly EngineRule[] = [
  {
    id: "unknown-weights",
    about: "engine",
    title: "Model weights in an unknown process",
    atlas: "AML.T0016.002",
    points: 70,
    remediation: "Find out what the process is; end it or have its product added to the catalogue.",
    applies: (engine) =>
      engine.id === "unknown-weights" && !isInDoubt(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) holds model weights in memory and is no known engine.`
        : undefined,
  },
  {
    id: "likely-weights",
    about: "engine",
    title: "Model weights likely in an unknown process",
    atlas: "AML.T0016.002",
    points: 45,
    remediation:
      "Find out what the process is. A notebook or a training job that read much data can look the same.",
    applies: (engine) =>
      likelyHolds(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) has an inference library loaded and holds as much memory as a model takes.`
        : undefined,
  },
  {
    id: "reads-model-files",
    about: "engine",
    title: "Program that reads model files",
    atlas: "AML.T0035",
    points: 35,
    remediation:
      "Find out what it reads them for. If it keeps one in memory, it is reported as model weights in an unknown process.",
    applies: (engine) =>
      isInDoubt(engine) && !likelyHolds(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) reads model files and shows no other sign of an engine.`
        : undefined,
  },
  {
    id: "unidentified-server",
    about: "engine",
    title: "Unknown server that speaks like an AI engine",
    atlas: "AML.T0016.001",
    points: 45,
    remediation: "Find out which product it is; have it approved, removed or added to the catalogue.",
    applies: (engine) =>
      engine.id === "openai-compatible"
        ? `${engine.executable ?? "A process"} (${at(engine)}) answers like an AI engine and is no known one.`
        : undefined,
  },
  {
    id: "renamed-binary",
    about: "engine",
    title: "AI engine under another name",
    atlas: "AML.T0074",
    points: 70,
    remediation: "Ask the user why the binary was renamed; isolate the host if there is no good answer.",
    applies: (engine) =>
      engine.renamed
        ? `${engine.name} runs as ${engine.executable ?? "an unknown executable"} (pid ${engine.pid}), a name it does not come with.`
        : undefined,
  },
  {
    id: "banned-executable",
    about: "engine",
    title: "Banned executable",
    atlas: "AML.T0010.001",
    points: 90,
    remediation: "Isolate the host, keep a copy of the file for analysis, then remove it.",
    applies: (engine, { policy }) =>
      engine.executableSha256 !== undefined && policy.bannedExecutables.includes(engine.executableSha256)
        ? `${engine.name} runs from a file the policy bans: ${engine.executable ?? "unknown path"}, SHA-256 ${engine.executableSha256}.`
        : undefined,
  },
  {
    id: "unapproved-executable",
    about: "engine",
    title: "Executable that is not an approved build",
    atlas: "AML.T0010.001",
    points: 45,
    remediation:
      "Install the approved build, or add this one's SHA-256 to the policy after a look at where it came from.",
    applies: (engine, { policy }) =>
      policy.approvedExecutables.length > 0 &&
      engine.executableSha256 !== undefined &&
      !policy.approvedExecutables.includes(engine.executableSha256) &&
      !policy.bannedExecutables.includes(engine.executableSha256)
        ? `${engine.name} runs from ${engine.executable ?? "an unknown path"}, SHA-256 ${engine.executableSha256}, which is no approved build.`
        : undefined,
  },
  {
    id: "suspect-path",
    about: "engine",
    title: "AI engine in a place for passing files",
    atlas: "AML.T0011.000",
    points: 50,
    remediation: "Ask how it got there; have it installed properly or removed.",
    applies: (engine, { policy }) =>
      engine.executable !== undefined && matchesAny(policy.suspectPaths, engine.executable)
        ? `${engine.name} (${at(engine)}) runs from ${engine.executable}, where nothing should be installed.`
        : undefined,
  },
  {
    id: "privileged-engine",
    about: "engine",
    title: "AI engine with administrator's rights",
    atlas: "AML.T0105",
    points: 40,
    remediation: "Run it under an account of its own: a hole in it would give away the whole host.",
    applies: (engine, { policy }) =>
      engine.user !== undefined &&
      engine.container === undefined &&
      matchesAny(policy.privilegedUsers, engine.user)
        ? `${engine.name} (${at(engine)}) runs as ${engine.user}.`
        : undefined,
  },
  {
    id: "document-parent",
    about: "engine",
    title: "AI engine started by a document program",
    atlas: "AML.T0011",
    points: 75,
    remediation: "Treat it as an intrusion: isolate the host and look at the document that was open.",
    applies: (engine) =>
      whenAny(
        engine.parents.filter((name) => DOCUMENT_PROGRAMS.test(name)),
        (names) => `${engine.name} (${at(engine)}) was started by ${names}.`,
      ),
  },
  {
    id: "instructions-in-name",
    about: "engine",
    title: "A name that tries to give orders",
    atlas: "AML.T0051",
    points: 60,
    remediation: "Somebody wrote it for a language model to read: find out who, and what else they changed.",
    applies: (engine) => {
      const models = engine.models.flatMap(({ name, publisher, licence }) => [
        name,
        publisher ?? "",
        licence ?? "",
      ]);
      const clients = engine.clients.flatMap(({ name, executable, directory }) => [
        name ?? "",
        executable ?? "",
        directory ?? "",
      ]);
      const texts = [
        ...models,
        ...clients,
        engine.executable ?? "",
        engine.version ?? "",
        engine.container ?? "",
        engine.user ?? "",
      ];
      return texts.some(looksLikeOrders)
        ? `A model, client or file of ${engine.name} (${at(engine)}) carries a name that reads like instructions to a language model.`
        : undefined;
    },
  },
  {
    id: "critical-vulnerability",
    about: "engine",
    title: "Engine with a critical vulnerability",
    atlas: "AML.T0049",
    points: 75,
    remediation: "Update it now; until then bind it to 127.0.0.1 and load no model of unknown origin.",
    applies: (engine, { policy }) => {
      const found = vulnerabilitiesOf(engine.id, engine.version, policy.acceptedCves).filter(
        (cve) => cve.isCritical,
      );
      return found.length === 0
        ? undefined
        : `${engine.name} ${engine.version} (${at(engine)}) is known for ${cves(found)}. Fixed in ${found.at(-1)!.fixed}.`;
    },
  },
  {
    id: "known-vulnerability",
    about: "engine",
    title: "Engine with a known vulnerability",
    atlas: "AML.T0049",
    points: 40,
    remediation: "Update it, or accept the vulnerability in the policy with a reason.",
    applies: (engine, { policy }) => {
      const found = vulnerabilitiesOf(engine.id, engine.version, policy.acceptedCves).filter(
        (cve) => !cve.isCritical,
      );
      return found.length === 0
        ? undefined
        : `${engine.name} ${engine.version} (${at(engine)}) is known for ${cves(found)}. Fixed in ${found.at(-1)!.fixed}.`;
    },
  },
  {
    id: "outdated-engine",
    about: "engine",
    title: "Engine older than the policy allows",
    atlas: "AML.T0010.001",
    points: 35,
    remediation: "Update it to the version the policy names.",
    applies: (engine, { policy }) => {
      const wanted = policy.engineVersionsMin[engine.id];
      return wanted !== undefined &&
        engine.version !== undefined &&
        compareVersions(engine.version, wanted) === -1
        ? `${engine.name} ${engine.version} (${at(engine)}) is older than ${wanted}.`
        : undefined;
    },
  },
];
