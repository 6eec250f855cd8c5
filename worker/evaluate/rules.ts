import type { Policy } from "../../shared/table/items.ts";
import type { Engine } from "../../shared/wire/heartbeat.ts";

export type Rule = {
  id: string;
  title: string;
  /** MITRE ATLAS technique this may be a step of. */
  atlas: string;
  /** 0-100. From 70 on the finding is CRITICAL, from 30 on a WARNING. */
  points: number;
  remediation: string;
  /** The facts of this case in one sentence; undefined when the rule does not apply. */
  applies(engine: Engine, policy: Policy): string | undefined;
};

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const exposedAddresses = (engine: Engine): string[] =>
  engine.bind.filter((address) => !LOOPBACK.test(address));

const at = (engine: Engine): string =>
  `pid ${engine.pid}${engine.ports.length > 0 ? `, port ${engine.ports[0]}` : ""}`;

/** `*` stands for any run of characters; case does not matter. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.toLowerCase().split("*");
  const text = name.toLowerCase();
  if (parts.length === 1) return text === parts[0];
  if (!text.startsWith(parts[0]!)) return false;
  let from = parts[0]!.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  const last = parts.at(-1)!;
  return text.length - from >= last.length && text.endsWith(last);
}

const unapprovedModels = (engine: Engine, policy: Policy): string[] =>
  engine.models
    .filter((model) => model.loaded && !policy.approvedModels.some((pattern) => matches(pattern, model.name)))
    .map((model) => model.name);

/** Every rule there is. A rule looks at one engine and one policy, at nothing else. */
export const RULES: readonly Rule[] = [
  {
    id: "unapproved-engine",
    title: "AI engine without approval",
    atlas: "AML.T0016",
    points: 40,
    remediation: "Approve the engine in the policy, or have it removed from the host.",
    applies: (engine, policy) =>
      engine.id === "unknown-weights" || policy.approvedEngines.includes(engine.id)
        ? undefined
        : `${engine.name} runs here (${at(engine)}) and is not on the list of approved engines.`,
  },
  {
    id: "exposed-engine",
    title: "AI engine open to the network",
    atlas: "AML.T0132",
    points: 80,
    remediation: "Bind it to 127.0.0.1, or put it behind a proxy that asks for a credential.",
    applies: (engine) => {
      const addresses = exposedAddresses(engine);
      if (addresses.length === 0 || engine.auth === "required") return undefined;
      return `${engine.name} listens on ${addresses.slice(0, 3).join(", ")} (${at(engine)}) and asks for no credential.`;
    },
  },
  {
    id: "exposed-behind-credential",
    title: "AI engine reachable from the network",
    atlas: "AML.T0132",
    points: 35,
    remediation: "Bind it to 127.0.0.1 unless others are meant to use it.",
    applies: (engine) => {
      const addresses = exposedAddresses(engine);
      if (addresses.length === 0 || engine.auth !== "required") return undefined;
      return `${engine.name} listens on ${addresses.slice(0, 3).join(", ")} (${at(engine)}) and asks for a credential.`;
    },
  },
  {
    id: "unapproved-model",
    title: "Model without approval in memory",
    atlas: "AML.T0010.003",
    points: 35,
    remediation: "Approve the model in the policy, or unload it and delete its weights.",
    applies: (engine, policy) => {
      const names = unapprovedModels(engine, policy);
      if (names.length === 0) return undefined;
      const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
      return `${engine.name} has ${names.slice(0, 3).join(", ")}${more} loaded (${at(engine)}), not approved.`;
    },
  },
  {
    id: "unknown-weights",
    title: "Model weights in an unknown process",
    atlas: "AML.T0016",
    points: 70,
    remediation: "Find out what the process is; end it or have its product added to the catalogue.",
    applies: (engine) =>
      engine.id === "unknown-weights"
        ? `${engine.executable ?? "A process"} (pid ${engine.pid}) holds model weights in memory and is no known engine.`
        : undefined,
  },
  {
    id: "renamed-binary",
    title: "AI engine under another name",
    atlas: "AML.T0074",
    points: 70,
    remediation: "Ask the user why the binary was renamed; isolate the host if there is no good answer.",
    applies: (engine) =>
      engine.renamed
        ? `${engine.name} runs as ${engine.executable ?? "an unknown executable"} (pid ${engine.pid}), a name it does not come with.`
        : undefined,
  },
];
