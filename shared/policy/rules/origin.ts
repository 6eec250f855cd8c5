import { matchesAny } from "../glob-pattern.ts";
import { looksLikeInstructions } from "../prompt-injection.ts";
import { type EngineRule, isInDoubt, likelyHolds, processOf, whenAny } from "../rule.ts";
import { compareVersions } from "../version.ts";
import { VULNERABILITIES, type Vulnerability } from "../vulnerabilities.ts";

/**
 * Programs that open documents, and programs that run scripts from documents. None of them should start an
 * engine.
 */
const DOCUMENT_PROGRAMS =
  /^(winword|excel|powerpnt|outlook|onenote|microsoft (?:word|excel|powerpoint|outlook|onenote)|soffice|acrord32|acrobat|wscript|cscript|mshta)(\.exe|\.bin)?$/i;

/** Vulnerabilities that affect this version of the engine, except those that the policy accepts. */
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
    .map(({ id, summary }) => `${id} (${summary})`)
    .slice(0, 2)
    .join("; ");

/** Rules on the process of an engine: its executable, account, parent process and version. */
export const ORIGIN: readonly EngineRule[] = [
  {
    id: "unknown-weights",
    about: "engine",
    title: "Model weights in an unknown process",
    atlas: "AML.T0016.002",
    points: 70,
    remediation:
      "Find out what the process is. Stop it, or request the addition of its product to the catalogue.",
    applies: (engine) =>
      engine.id === "unknown-weights" && !isInDoubt(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) has model weights in memory and is not a known engine.`
        : undefined,
  },
  {
    id: "likely-weights",
    about: "engine",
    title: "Probable model weights in an unknown process",
    atlas: "AML.T0016.002",
    points: 45,
    remediation:
      "Find out what the process is. A notebook or training job with a lot of data in memory shows the same signs.",
    applies: (engine) =>
      likelyHolds(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) has an inference library loaded and uses as much memory as a model needs.`
        : undefined,
  },
  {
    id: "reads-model-files",
    about: "engine",
    title: "Program that reads model files",
    atlas: "AML.T0035",
    points: 35,
    remediation:
      "Find out why the program reads them. If it keeps a model in memory, it is reported as model weights in an unknown process.",
    applies: (engine) =>
      isInDoubt(engine) && !likelyHolds(engine)
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) reads model files, without other signs of an engine.`
        : undefined,
  },
  {
    id: "unidentified-server",
    about: "engine",
    title: "Unknown server with the API of an AI engine",
    atlas: "AML.T0016.001",
    points: 45,
    remediation:
      "Find out which product it is. Then approve it, remove it, or request its addition to the catalogue.",
    applies: (engine) =>
      engine.id === "openai-compatible"
        ? `${engine.executable ?? "A process"} (${processOf(engine)}) responds like an AI engine, but it is not a known product.`
        : undefined,
  },
  {
    id: "renamed-binary",
    about: "engine",
    title: "AI engine with a renamed executable",
    atlas: "AML.T0074",
    points: 70,
    remediation: "Ask the user why the executable was renamed. Isolate the host if there is no good reason.",
    applies: (engine) =>
      engine.renamed
        ? `${engine.name} is running under a different name: ${engine.executable ?? "an unknown executable"} (pid ${engine.pid}).`
        : undefined,
  },
  {
    id: "banned-executable",
    about: "engine",
    title: "Banned executable",
    atlas: "AML.T0010.001",
    points: 90,
    remediation: "Isolate the host, save a copy of the file for analysis, then remove it.",
    applies: (engine, { policy }) =>
      engine.executableSha256 !== undefined && policy.bannedExecutables.includes(engine.executableSha256)
        ? `${engine.name} runs from a file that the policy bans: ${engine.executable ?? "unknown path"}, SHA-256 ${engine.executableSha256}.`
        : undefined,
  },
  {
    id: "unapproved-executable",
    about: "engine",
    title: "Executable that is not an approved build",
    atlas: "AML.T0010.001",
    points: 45,
    remediation:
      "Install an approved build, or check the origin of this file and add its SHA-256 to the policy.",
    applies: (engine, { policy }) =>
      policy.approvedExecutables.length > 0 &&
      engine.executableSha256 !== undefined &&
      !policy.approvedExecutables.includes(engine.executableSha256) &&
      !policy.bannedExecutables.includes(engine.executableSha256)
        ? `${engine.name} runs from ${engine.executable ?? "an unknown path"}, SHA-256 ${engine.executableSha256}, which is not an approved build.`
        : undefined,
  },
  {
    id: "suspect-path",
    about: "engine",
    title: "AI engine in a temporary or download folder",
    atlas: "AML.T0011.000",
    points: 50,
    remediation: "Ask the user where the program came from. Install it properly or remove it.",
    applies: (engine, { policy }) =>
      engine.executable !== undefined && matchesAny(policy.suspectPaths, engine.executable)
        ? `${engine.name} (${processOf(engine)}) runs from ${engine.executable}, where no program should be installed.`
        : undefined,
  },
  {
    id: "privileged-engine",
    about: "engine",
    title: "AI engine with administrator rights",
    atlas: "AML.T0105",
    points: 40,
    remediation: "Run the engine under its own account. A vulnerability in it would expose the whole host.",
    applies: (engine, { policy }) =>
      engine.user !== undefined &&
      engine.container === undefined &&
      matchesAny(policy.privilegedUsers, engine.user)
        ? `${engine.name} (${processOf(engine)}) runs as ${engine.user}.`
        : undefined,
  },
  {
    id: "document-parent",
    about: "engine",
    title: "AI engine started by a document program",
    atlas: "AML.T0011",
    points: 75,
    remediation: "Treat it as an intrusion: isolate the host and examine the document that was open.",
    applies: (engine) =>
      whenAny(
        engine.parents.filter((name) => DOCUMENT_PROGRAMS.test(name)),
        (names) => `${engine.name} (${processOf(engine)}) was started by ${names}.`,
      ),
  },
  {
    id: "instructions-in-name",
    about: "engine",
    title: "Name that contains instructions for a language model",
    atlas: "AML.T0051",
    points: 60,
    remediation:
      "The name is meant to manipulate a language model. Find out who chose it, and what else they changed.",
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
      return texts.some(looksLikeInstructions)
        ? `A model, client or file of ${engine.name} (${processOf(engine)}) has a name that reads like instructions to a language model.`
        : undefined;
    },
  },
  {
    id: "critical-vulnerability",
    about: "engine",
    title: "Engine with a critical vulnerability",
    atlas: "AML.T0049",
    points: 75,
    remediation:
      "Update the engine now. Until then, bind it to 127.0.0.1 and load no model of unknown origin.",
    applies: (engine, { policy }) => {
      const found = vulnerabilitiesOf(engine.id, engine.version, policy.acceptedCves).filter(
        (cve) => cve.isCritical,
      );
      return found.length === 0
        ? undefined
        : `${engine.name} ${engine.version} (${processOf(engine)}) is affected by ${cves(found)}. Fixed in ${found.at(-1)!.fixed}.`;
    },
  },
  {
    id: "known-vulnerability",
    about: "engine",
    title: "Engine with a known vulnerability",
    atlas: "AML.T0049",
    points: 40,
    remediation: "Update the engine, or accept the vulnerability in the policy.",
    applies: (engine, { policy }) => {
      const found = vulnerabilitiesOf(engine.id, engine.version, policy.acceptedCves).filter(
        (cve) => !cve.isCritical,
      );
      return found.length === 0
        ? undefined
        : `${engine.name} ${engine.version} (${processOf(engine)}) is affected by ${cves(found)}. Fixed in ${found.at(-1)!.fixed}.`;
    },
  },
  {
    id: "outdated-engine",
    about: "engine",
    title: "Engine older than the policy allows",
    atlas: "AML.T0010.001",
    points: 35,
    remediation: "Update the engine to the version that the policy requires.",
    applies: (engine, { policy }) => {
      const wanted = policy.engineVersionsMin[engine.id];
      return wanted !== undefined &&
        engine.version !== undefined &&
        compareVersions(engine.version, wanted) === -1
        ? `${engine.name} ${engine.version} (${processOf(engine)}) is older than ${wanted}.`
        : undefined;
    },
  },
];
