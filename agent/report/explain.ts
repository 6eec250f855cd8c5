import type { z } from "zod";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import { MESSAGES } from "../network/messages.ts";

/** One field that leaves the host. `[]` in a path stands for every element of a list. */
export type Explained = { message: string; path: string; type: string; values: unknown[]; why: string };

/**
 * Why each field is sent. A test holds these tables to the schemas, field by field: a new field without a reason
 * does not pass, and neither does a reason without a field.
 */
export const REASONS: Readonly<Record<keyof typeof MESSAGES, Readonly<Record<string, string>>>> = {
  enrolment: {
    token: "proves that an administrator invited this host; sent once and kept nowhere",
    deviceKey: "public half of this host's key: whatever it signs later is known to be from here",
    employeeId: "who answers for this host; as given at enrolment",
    "host.hostname": "the name under which your administrators know this host",
    "host.os": "tells which agent and which containment fit",
    "host.arch": "tells which agent fits",
    "host.agentVersion": "shows hosts that need a newer agent",
    "hardware.id":
      "hash of the mainboard's identifiers for your organisation only: shows that this machine was enrolled before",
    "hardware.strength": "what the hash was made from: the mainboard or the operating system",
  },
  session: {
    agentVersion: "shows hosts that need a newer agent",
    "hardware.id": "the same hash as at enrolment: another one means that this disk was copied",
    "hardware.strength": "what the hash was made from: the mainboard or the operating system",
    copiedTo: "host name, only of a machine that found the identity of another one on its disk",
  },
  heartbeat: {
    v: "form of this message, so that older and newer agents live side by side",
    sequence: "counts heartbeats: a lost or repeated one is noticed",
    sentAt: "when this was seen; heartbeats may arrive hours later",
    stateSince: "since when nothing has changed: unchanged heartbeats need not be stored",
    "agent.version": "shows hosts that need a newer agent",
    "agent.catalogue": "which list of engines was looked for",
    "agent.intervalMs": "how long a silence is normal",
    "agent.run": "random, made when the daemon starts: two machines that use one identity are noticed",
    "host.hostname": "the name under which your administrators know this host",
    "host.os": "tells which agent and which containment fit",
    "host.arch": "tells which agent fits",
    "engines[].id": "which AI engine it is, by the public catalogue",
    "engines[].name": "its name for people",
    "engines[].kind": "what it is for: inference, interface, gateway and so on",
    "engines[].confidence": "how sure the agent is, 0 to 100",
    "engines[].version": "known weaknesses depend on it",
    "engines[].pid": "names the process, for containment and for you to check",
    "engines[].processStartedAt": "tells this process from a later one with the same number",
    "engines[].executable": "which program it is; home directories are shortened to ~",
    "engines[].executableSha256": "recognises a known program under any name",
    "engines[].package":
      "which package of the system brought the program: known software is told from unknown",
    "engines[].signer": "who signed the program (macOS, Windows): a maker you know, or nobody",
    "engines[].renamed": "the program does not carry a name its maker gave it",
    "engines[].user": "under which account it runs",
    "engines[].parents[]": "names of the programs that started it: a terminal, an IDE, an app",
    "engines[].container": "it runs in this container",
    "engines[].ports[]": "where it listens",
    "engines[].bind[]": "whether others in the network can reach it",
    "engines[].auth": "whether it asks for a credential before it answers",
    "engines[].models[].name": "which model it serves: your organisation approves models by name",
    "engines[].models[].loaded": "whether the model is in memory now or only on disk",
    "engines[].models[].format": "kind of weights file, from its first bytes",
    "engines[].models[].sizeBytes": "large models are governed differently",
    "engines[].models[].architecture": "family of the model, from the header of its file",
    "engines[].models[].parameters": "size of the model, from the header of its file",
    "engines[].models[].quantisation": "variant of the model, from the header of its file",
    "engines[].models[].licence": "some licences forbid use at work",
    "engines[].models[].publisher": "your organisation may approve publishers",
    "engines[].models[].digest": "recognises a model under any name",
    "engines[].evidence[].signal": "what gave the engine away",
    "engines[].evidence[].detail": "what was seen, so that you can check the finding",
    "engines[].evidence[].weight": "what it added to the confidence",
    "engines[].clients[].name": "which program uses the engine: an IDE, a browser, a script",
    "engines[].clients[].pid": "names the process, for you to check",
    "engines[].clients[].executable": "which program it is; home directories are shortened to ~",
    "engines[].clients[].directory":
      "where it works, only if your organisation asks for it; ~ for the home directory",
    "engines[].clients[].remote": "another host uses the engine from this address",
    "engines[].clients[].connections": "how many connections it holds; never what is said over them",
    "stores[].id": "whose models these are while it does not run, by the public catalogue",
    "stores[].name": "its name for people",
    "stores[].models[].name": "which model lies on this disk: your organisation bans models by name",
    "stores[].models[].format": "kind of weights file, from its first bytes",
    "stores[].models[].sizeBytes": "large models are governed differently",
    "stores[].models[].architecture": "family of the model, from the header of its file",
    "stores[].models[].parameters": "size of the model, from the header of its file",
    "stores[].models[].quantisation": "variant of the model, from the header of its file",
    "stores[].models[].licence": "some licences forbid use at work",
    "stores[].models[].publisher": "your organisation may approve publishers",
    "stores[].models[].digest": "recognises a model under any name",
    "collectors[].name": "a source the agent looks at",
    "collectors[].status": "whether it could look: a blind source is not a clean one",
    "collectors[].detail": "why it could not, or could only in part",
    "containment.generation": "newest order of your administrators that was obeyed",
    "containment.action": "what that order was",
    "containment.mode": "how far containment goes",
    "containment.stopEnginesBy": "whether engines were to be suspended or terminated",
    "containment.outcome": "whether it worked",
    "containment.at": "when",
    "containment.reason": "why it did not work, or what was done",
    "containment.probes.controlPlaneReachable": "proof: the control plane still answers",
    "containment.probes.forbiddenBlocked": "proof: what is forbidden really is out of reach",
    "containment.signature": "by this host's key: nobody on the way can say that it was isolated or freed",
    "spool.waiting": "how many older heartbeats are still to come",
    "spool.dropped": "how many were lost because the control plane was away for too long",
  },
  directive: {
    v: "form of this message, so that older and newer agents live side by side",
    generation: "newest order of your administrators that was obeyed: only a newer one is answered",
  },
};

/** Beside the messages: what every request carries in its headers. */
export const HEADERS_SENT =
  "Every request also carries the tenant and asset id (in the signature's keyid), the time, a digest and a " +
  "signature of the body, and the agent's version as User-Agent. No cookie, and beyond that only what HTTP itself needs.";

/** All fields of a message as paths, from its schema. */
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

/** The parts of a zod 4 schema definition that the wire schemas use (zod.dev/packages/core, `def`). */
type Definition = {
  type: string;
  shape?: Record<string, z.ZodType>;
  element?: z.ZodType;
  innerType?: z.ZodType;
  entries?: Record<string, string | number>;
  values?: unknown[];
};

/** Values at a path, through lists and absent members. */
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

/** Every field that leaves the host, with its values in the messages given. */
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
      why:
        REASONS[message as keyof typeof MESSAGES][path] ?? "not documented: please report this as a defect",
    })),
  );
}

const VALUES_SHOWN_MAX = 4;
const VALUE_CHARACTERS_MAX = 70;

const CUT =
  `Shown of each field are at most ${VALUES_SHOWN_MAX} different values, cut to ${VALUE_CHARACTERS_MAX} characters; ` +
  "--json prints all.";

/** For people: one field per block, in the order in which it is sent. */
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
