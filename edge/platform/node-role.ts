import type { NodeKind } from "../../shared/node-secrets.ts";

/** Values of `LZ_ROLE`. */
export const NODE_ROLES = ["ingest", "enrol", "admin", "all"] as const;
export type NodeRole = (typeof NODE_ROLES)[number];

/** A group of routes. The role of a node determines which groups it serves. */
export type Part = Exclude<NodeKind, "worker">;

/** An admin node also enrols, because replacing the device key of an enrolled host needs the control key. */
const PARTS: Readonly<Record<NodeRole, readonly Part[]>> = {
  ingest: ["ingest"],
  enrol: ["enrol"],
  admin: ["admin", "enrol"],
  all: ["ingest", "enrol", "admin"],
};

export const serves = (role: NodeRole, part: Part): boolean => PARTS[role].includes(part);

const ADMIN_SETTINGS = [
  "LZ_ADMIN_ISSUER",
  "LZ_ADMIN_JWKS_URL",
  "LZ_ADMIN_PARTIES",
  "LZ_SIGN_IN_URL",
] as const;
const QUEUE_SETTINGS = ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS", "SQS_QUEUE_URL"] as const;

/**
 * Settings that only some roles need. With separate roles, the enrol key is on a different node, so its
 * public half must be configured on every node. A node with the role `all` can sign new devices with the
 * control key.
 */
export const NEEDED_SETTINGS = {
  ingest: [...QUEUE_SETTINGS, "LZ_ENROL_JWKS"],
  enrol: ["LZ_ENROL_KEY", "LZ_ENROL_JWKS"],
  admin: [...QUEUE_SETTINGS, ...ADMIN_SETTINGS, "LZ_CONTROL_KEY", "LZ_ENROL_JWKS"],
  all: [...QUEUE_SETTINGS, ...ADMIN_SETTINGS],
} as const satisfies Record<NodeRole, readonly string[]>;
