import type { z } from "zod";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { MESSAGES } from "../network/messages.ts";

/** One field that the agent sends. `[]` in a path stands for every element of a list. */
export type Explained = { message: string; path: string; type: string; values: unknown[]; why: string };

/**
 * Why each field is sent. A test compares these tables with the schemas. It fails for a field without a
 * reason and for a reason without a field.
 */
export const REASONS: Readonly<Record<keyof typeof MESSAGES, Readonly<Record<string, string>>>> = {
  enrolment: {
    token: "proves that an administrator invited this host; sent once and not saved on this host",
    deviceKey: "public half of this host's key, with which later signatures of this host are verified",
    employeeId: "employee responsible for this host, as given at enrolment",
    "host.hostname": "host name, by which your administrators recognise this host",
    "host.os": "operating system, which decides which agent and which containment modes this host can use",
    "host.arch": "processor architecture, which decides which agent this host can use",
    "host.agentVersion": "version of the agent, which shows whether this host needs a newer one",
    "hardware.id":
      "hash of the mainboard's identifiers, different in each organisation, which shows whether this machine was enrolled before",
    "hardware.strength": "source of the hash: the mainboard or the operating system",
  },
  session: {
    agentVersion: "version of the agent, which shows whether this host needs a newer one",
    "hardware.id": "the same hash as at enrolment; a different hash means that this disk was copied",
    "hardware.strength": "source of the hash: the mainboard or the operating system",
    copiedTo: "host name; sent only by a machine that found the identity of another machine on its disk",
  },
  heartbeat: {
    v: "version of the message format, so that older and newer agents can be used together",
    sequence: "number of the heartbeat, which shows lost and repeated heartbeats",
    sentAt: "time of the scan; a heartbeat can arrive hours later",
    stateSince: "time of the last change, so that unchanged heartbeats need not be stored",
    "agent.version": "version of the agent, which shows whether this host needs a newer one",
    "agent.catalogue": "version of the catalogue of products that the agent looked for",
    "agent.intervalMs": "time between heartbeats, which shows when a host has been silent for too long",
    "agent.run":
      "random id of this run of the daemon, which shows whether two machines use the same identity",
    "host.hostname": "host name, by which your administrators recognise this host",
    "host.os": "operating system, which decides which agent and which containment modes this host can use",
    "host.arch": "processor architecture, which decides which agent this host can use",
    "engines[].id": "id of the AI engine in the public catalogue",
    "engines[].name": "display name",
    "engines[].kind": "purpose, such as inference, interface or gateway",
    "engines[].confidence": "how certain the agent is that this engine exists, 0 to 100",
    "engines[].version": "version of the engine, because known vulnerabilities depend on it",
    "engines[].pid": "process id, for containment and for you to check",
    "engines[].processStartedAt":
      "start time, which distinguishes this process from a later one with the same id",
    "engines[].executable": "path of the program; home directories are shortened to ~",
    "engines[].executableSha256": "hash of the program, which identifies a known program under any name",
    "engines[].package": "operating system package that contains the program, which shows known software",
    "engines[].signer": "signer of the program (macOS, Windows), which shows programs from unknown makers",
    "engines[].renamed": "whether the program runs under a different name than its maker gave it",
    "engines[].user": "account that the program runs under",
    "engines[].parents[]": "names of the programs that started the engine, such as a terminal or an IDE",
    "engines[].container": "container that the program runs in",
    "engines[].ports[]": "ports that the engine listens on",
    "engines[].bind[]": "addresses that the engine listens on, which show whether other hosts can reach it",
    "engines[].auth": "whether the engine requires a credential",
    "engines[].models[].name":
      "name of a model that the engine serves, because your organisation approves models by name",
    "engines[].models[].loaded": "whether the model is in memory now or only on disk",
    "engines[].models[].format": "format of the weights file, from its first bytes",
    "engines[].models[].sizeBytes": "size in bytes, because rules can depend on the size of a model",
    "engines[].models[].architecture": "family of the model, from the header of its file",
    "engines[].models[].parameters": "number of parameters of the model, from the header of its file",
    "engines[].models[].quantisation": "precision of the model's parameters, from the header of its file",
    "engines[].models[].licence": "licence, because some licences forbid use at work",
    "engines[].models[].publisher": "publisher, because your organisation can approve models by publisher",
    "engines[].models[].digest": "hash of the model, which identifies it under any name",
    "engines[].evidence[].signal": "kind of evidence for the engine",
    "engines[].evidence[].detail": "the evidence itself, so that you can check the finding",
    "engines[].evidence[].weight": "number that this evidence adds to the confidence",
    "engines[].clients[].name": "program that uses the engine, such as an IDE, a browser or a script",
    "engines[].clients[].pid": "process id, for you to check",
    "engines[].clients[].executable": "path of the program; home directories are shortened to ~",
    "engines[].clients[].directory":
      "working directory, sent only if your organisation enables it; ~ for the home directory",
    "engines[].clients[].remote": "address of another host that uses the engine",
    "engines[].clients[].connections": "number of connections; their content is never read",
    "stores[].id": "catalogue id of the application that stores these models",
    "stores[].name": "display name",
    "stores[].models[].name": "name of a model on this disk, because your organisation bans models by name",
    "stores[].models[].format": "format of the weights file, from its first bytes",
    "stores[].models[].sizeBytes": "size in bytes, because rules can depend on the size of a model",
    "stores[].models[].architecture": "family of the model, from the header of its file",
    "stores[].models[].parameters": "number of parameters of the model, from the header of its file",
    "stores[].models[].quantisation": "precision of the model's parameters, from the header of its file",
    "stores[].models[].licence": "licence, because some licences forbid use at work",
    "stores[].models[].publisher": "publisher, because your organisation can approve models by publisher",
    "stores[].models[].digest": "hash of the model, which identifies it under any name",
    "collectors[].name": "name of a data source that the agent reads",
    "collectors[].status":
      "whether the agent could read this source; it finds nothing in a source that it cannot read",
    "collectors[].detail": "why the agent could not read the source, or could read it only partly",
    "containment.generation": "number of your administrators' newest directive that this host carried out",
    "containment.action": "action of the directive: isolate or release",
    "containment.mode": "mode of the isolation: observe, stop-engines or network",
    "containment.stopEnginesBy": "whether engines are suspended or terminated",
    "containment.outcome": "whether the directive could be carried out",
    "containment.at": "time of the outcome",
    "containment.reason": "reason for a failure, or details about what the agent did",
    "containment.probes.controlPlaneReachable": "proof that the control plane is still reachable",
    "containment.probes.forbiddenBlocked": "proof that forbidden connections are blocked",
    "containment.signature":
      "signature with this host's key, so that no intermediary can claim an isolation or a release",
    "spool.waiting": "number of older heartbeats that wait to be sent",
    "spool.dropped":
      "number of heartbeats lost, for example because the control plane was unreachable for too long",
  },
  directive: {
    v: "version of the message format, so that older and newer agents can be used together",
    generation:
      "number of the newest directive that was carried out; the edge responds only with a newer one",
  },
};

/** Headers of every request, in addition to the message. */
export const HEADERS_SENT =
  "Every request also carries the tenant and asset id (in the signature's keyid), the time, a digest and a " +
  "signature of the body, and the agent's version as User-Agent. The agent sends no cookies, and no other headers except those that HTTP needs.";

/** Returns the paths and types of all fields of a message, from its schema. */
export function fieldsOf(schema: z.ZodType, prefix = ""): { path: string; type: string }[] {
  const definition = (schema as unknown as { def: Definition }).def;
  switch (definition.type) {
    case "object":
      return Object.entries(definition.shape!).flatMap(([name, member]) =>
        fieldsOf(member, prefix ? `${prefix}.${name}` : name),
      );
    case "array":
      return fieldsOf(definition.element!, `${prefix}[]`);
    case "optional":
    case "nullable":
      return fieldsOf(definition.innerType!, prefix);
    case "enum":
      return [{ path: prefix, type: Object.values(definition.entries!).join(" | ") }];
    case "literal":
      return [{ path: prefix, type: definition.values!.join(" | ") }];
    default:
      return [{ path: prefix, type: definition.type }];
  }
}

/** The members of a zod 4 schema definition that the wire schemas use (zod.dev/packages/core, `def`). */
type Definition = {
  type: string;
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  innerType?: z.ZodType;
  entries?: Record<string, string | number>;
  values?: unknown[];
};

/** Returns all values at a path. Lists are flattened, and absent members are skipped. */
export function valuesAt(value: unknown, path: string): unknown[] {
  let values: unknown[] = [value];
  for (const step of path.split(/\.|(?=\[\])/)) {
    values =
      step === "[]"
        ? values.flatMap((list) => (Array.isArray(list) ? list : []))
        : values.map((owner) =>
            typeof owner === "object" && owner !== null
              ? (owner as Record<string, unknown>)[step]
              : undefined,
          );
    values = values.filter((member) => member !== undefined);
  }
  return values;
}

/** Returns every field that the agent sends, with its values in the given messages. */
export function explain(current: {
  heartbeat: Heartbeat;
  enrolment?: object;
  session: object;
  directive: object;
}): Explained[] {
  return Object.entries(MESSAGES).flatMap(([message, schema]) =>
    fieldsOf(schema).map(({ path, type }) => ({
      message,
      path,
      type,
      values: valuesAt(current[message as keyof typeof MESSAGES], path),
      why: REASONS[message as keyof typeof MESSAGES][path] ?? "not documented: please report this as a bug",
    })),
  );
}

const VALUES_SHOWN_MAX = 4;
const VALUE_CHARACTERS_MAX = 70;

const CUT =
  `For each field, at most ${VALUES_SHOWN_MAX} different values are shown, each shortened to ${VALUE_CHARACTERS_MAX} characters. ` +
  "Use --json for all values.";

/** Formats the explanation as text for people: one block per field, in the order in which the fields are sent. */
export function explanationText(fields: readonly Explained[]): string {
  const lines: string[] = [];
  let message = "";
  for (const field of fields) {
    if (field.message !== message) {
      message = field.message;
      lines.push("", `== ${message} ==`, "");
    }
    lines.push(`${field.path}`, `    now: ${shown(field.values)}`, `    why: ${field.why}`);
  }
  return [HEADERS_SENT, CUT, ...lines].join("\n");
}

function shown(values: readonly unknown[]): string {
  if (values.length === 0) return "not sent now";
  const distinct = [...new Set(values.map((value) => JSON.stringify(value)))];
  const more = distinct.length - VALUES_SHOWN_MAX;
  return distinct.slice(0, VALUES_SHOWN_MAX).map(cut).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

const cut = (text: string): string =>
  text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text;
