/** Roles of a node. An edge with all edge roles has the role `all`. */
export type NodeKind = "ingest" | "enrol" | "admin" | "worker";

/** Settings that contain a secret or a private key. A compromised node exposes all secrets that it holds. */
const SECRETS = [
  "LZ_EDGE_SECRETS",
  "LZ_QUEUE_KEYS",
  "LZ_CONTROL_KEY",
  "LZ_CONTROL_KEY_NEXT",
  "LZ_ENROL_KEY",
  "LZ_AI_API_KEY",
] as const;

/**
 * Secrets that each kind of node uses. `LZ_CONTROL_KEY_NEXT` is stored together with the key that it will
 * replace.
 */
const USED: Readonly<Record<NodeKind, readonly string[]>> = {
  ingest: ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS"],
  enrol: ["LZ_ENROL_KEY"],
  admin: ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "LZ_CONTROL_KEY", "LZ_CONTROL_KEY_NEXT"],
  worker: ["LZ_QUEUE_KEYS", "LZ_AI_API_KEY"],
};

type Environment = Readonly<Record<string, string | undefined>>;

export type NodeSecrets = {
  /** Environment without the secrets that this kind of node does not use, so that they are not loaded. */
  own: Environment;
  /** One line for each secret to remove, without its value. Empty with `LZ_EXTRA_SECRETS=allow`. */
  problems: string[];
};

/** Separates the secrets that a node needs from those that it must not hold. */
export function separateSecrets(kind: NodeKind, environment: Environment): NodeSecrets {
  const others = new Set<string>(SECRETS.filter((name) => !USED[kind].includes(name)));
  const own = Object.fromEntries(Object.entries(environment).filter(([name]) => !others.has(name)));
  const isAllowed = environment.LZ_EXTRA_SECRETS === "allow";
  const held = isAllowed ? [] : [...others].filter((name) => environment[name]);
  const who = kind === "worker" ? "a worker" : `a node with LZ_ROLE=${kind}`;
  const problems = held.map(
    (name) => `${name}: ${who} must not hold it. Remove it, or set LZ_EXTRA_SECRETS=allow to ignore it`,
  );
  return { own, problems };
}
