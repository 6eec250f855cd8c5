import type { Engine, Model } from "../../wire/heartbeat.ts";
import { matchesAny } from "../glob-pattern.ts";
import { type EngineRule, grown, listed, processOf, whenAny } from "../rule.ts";

const loaded = (engine: Engine): Model[] => engine.models.filter((model) => model.loaded);
const namesOf = (models: readonly Model[]): string[] => models.map((model) => model.name);

/** Catalogue ids of engines whose product is unknown. They cannot be approved by name, so other rules report them. */
const NAMELESS = new Set(["unknown-weights", "openai-compatible"]);

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Rules on approved and banned engines, models, publishers and licences. */
export const APPROVAL: readonly EngineRule[] = [
  {
    id: "unapproved-engine",
    about: "engine",
    title: "Unapproved AI engine",
    atlas: "AML.T0016.002",
    points: 40,
    remediation: "Approve the engine in the policy, or remove it from the host.",
    applies: (engine, { policy }) =>
      NAMELESS.has(engine.id) ||
      policy.approvedEngines.includes(engine.id) ||
      policy.bannedEngines.includes(engine.id)
        ? undefined
        : `${engine.name} runs here (${processOf(engine)}) and is not on the list of approved engines.`,
  },
  {
    id: "banned-engine",
    about: "engine",
    title: "Banned AI engine",
    atlas: "AML.T0016.002",
    points: 75,
    remediation: "Stop the engine and remove it from the host. Isolate the host if it returns.",
    applies: (engine, { policy }) =>
      policy.bannedEngines.includes(engine.id)
        ? `${engine.name} runs here (${processOf(engine)}), and the policy bans it.`
        : undefined,
  },
  {
    id: "unapproved-model",
    about: "engine",
    title: "Unapproved model in memory",
    atlas: "AML.T0010.003",
    points: 35,
    remediation: "Approve the model in the policy, or unload it and delete its weights.",
    applies: (engine, { policy }) =>
      whenAny(
        namesOf(loaded(engine)).filter(
          (name) => !matchesAny(policy.approvedModels, name) && !matchesAny(policy.bannedModels, name),
        ),
        (names) =>
          `${engine.name} has ${names} loaded (${processOf(engine)}), which the policy does not approve.`,
      ),
  },
  {
    id: "banned-model",
    about: "engine",
    title: "Banned model in memory",
    atlas: "AML.T0010.003",
    points: 75,
    pointsMax: 90,
    remediation: "Unload the model and delete its weights. Ask the user why the model was needed.",
    applies: (engine, { policy }) => {
      const names = [
        ...new Set(namesOf(loaded(engine)).filter((name) => matchesAny(policy.bannedModels, name))),
      ];
      return names.length > 0
        ? {
            explanation: `${engine.name} has ${listed(names)} loaded (${processOf(engine)}), which the policy bans.`,
            points: grown(75, 5, names.length),
          }
        : undefined;
    },
  },
  {
    id: "banned-model-at-rest",
    about: "engine",
    title: "Banned model on disk",
    atlas: "AML.T0035",
    points: 30,
    remediation: "Delete the weights of the model, so that it cannot be loaded.",
    applies: (engine, { policy }) =>
      whenAny(
        engine.models
          .filter((model) => !model.loaded && matchesAny(policy.bannedModels, model.name))
          .map((model) => model.name),
        (names) => `${engine.name} could load ${names} (${processOf(engine)}), which the policy bans.`,
      ),
    appliesAtRest: (store, { policy }) =>
      whenAny(
        store.models.map(({ name }) => name).filter((name) => matchesAny(policy.bannedModels, name)),
        (names) => `${store.name} holds ${names} on disk, which the policy bans.`,
      ),
  },
  {
    id: "unapproved-publisher",
    about: "engine",
    title: "Model from an unapproved publisher",
    atlas: "AML.T0010.003",
    points: 35,
    remediation: "Approve the publisher in the policy, or use a model from an approved publisher.",
    applies: (engine, { policy }) =>
      policy.approvedPublishers.length === 0
        ? undefined
        : whenAny(
            loaded(engine)
              .filter(
                ({ publisher }) =>
                  publisher !== undefined &&
                  !matchesAny(policy.approvedPublishers, publisher) &&
                  !matchesAny(policy.bannedPublishers, publisher),
              )
              .map(({ name, publisher }) => `${name} from ${publisher}`),
            (names) =>
              `${engine.name} has ${names} loaded (${processOf(engine)}), whose publisher is not approved.`,
          ),
  },
  {
    id: "unknown-publisher",
    about: "engine",
    title: "Model of unknown origin",
    atlas: "AML.T0010.003",
    points: 30,
    remediation: "Find out where the weights came from. Use a copy with a known publisher instead.",
    applies: (engine, { policy }) =>
      policy.approvedPublishers.length === 0
        ? undefined
        : whenAny(
            namesOf(loaded(engine).filter(({ publisher }) => publisher === undefined)),
            (names) =>
              `${engine.name} has ${names} loaded (${processOf(engine)}), and its publisher is unknown.`,
          ),
  },
  {
    id: "banned-publisher",
    about: "engine",
    title: "Model from a banned publisher",
    atlas: "AML.T0010.003",
    points: 75,
    remediation: "Unload the model and delete its weights.",
    applies: (engine, { policy }) =>
      whenAny(
        loaded(engine)
          .filter(
            ({ publisher }) => publisher !== undefined && matchesAny(policy.bannedPublishers, publisher),
          )
          .map(({ name, publisher }) => `${name} from ${publisher}`),
        (names) =>
          `${engine.name} has ${names} loaded (${processOf(engine)}), and the policy bans the publisher.`,
      ),
  },
  {
    id: "unapproved-licence",
    about: "engine",
    title: "Model with an unapproved licence",
    atlas: "AML.T0048.004",
    points: 30,
    remediation: "Review the licence and approve it in the policy, or use a model with an approved licence.",
    applies: (engine, { policy }) =>
      policy.approvedLicences.length === 0
        ? undefined
        : whenAny(
            loaded(engine)
              .filter(
                ({ licence }) =>
                  licence !== undefined &&
                  !matchesAny(policy.approvedLicences, licence) &&
                  !matchesAny(policy.bannedLicences, licence),
              )
              .map(({ name, licence }) => `${name} (${licence})`),
            (names) =>
              `${engine.name} has ${names} loaded (${processOf(engine)}), under a licence that the policy does not approve.`,
          ),
  },
  {
    id: "banned-licence",
    about: "engine",
    title: "Model with a banned licence",
    atlas: "AML.T0048.004",
    points: 55,
    remediation:
      "Unload the model: the policy bans its licence. Ask the legal department about results produced with the model.",
    applies: (engine, { policy }) =>
      whenAny(
        loaded(engine)
          .filter(({ licence }) => licence !== undefined && matchesAny(policy.bannedLicences, licence))
          .map(({ name, licence }) => `${name} (${licence})`),
        (names) =>
          `${engine.name} has ${names} loaded (${processOf(engine)}), under a licence that the policy bans.`,
      ),
  },
  {
    id: "oversized-model",
    about: "engine",
    title: "Model larger than allowed",
    atlas: "AML.T0016.002",
    points: 30,
    remediation: "Use a smaller model, or raise the size limit in the policy.",
    applies: (engine, { policy }) =>
      policy.modelBytesMax === 0
        ? undefined
        : whenAny(
            loaded(engine)
              .filter(({ sizeBytes }) => sizeBytes !== undefined && sizeBytes > policy.modelBytesMax)
              .map(({ name, sizeBytes }) => `${name} (${gib(sizeBytes!)})`),
            (names) =>
              `${engine.name} has ${names} loaded (${processOf(engine)}), larger than the limit of ${gib(policy.modelBytesMax)}.`,
          ),
  },
];
