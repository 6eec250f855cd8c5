export const ROLES = ["viewer", "analyst", "responder", "admin"] as const;
export type Role = (typeof ROLES)[number];

export const PERMISSIONS = [
  "read",
  /** Read the SIEM export. An API key with only this scope can read nothing else. */
  "read-events",
  "handle-incidents",
  "contain",
  /** Approve or deny another person's request to isolate. Not available to API keys, see {@link NEVER_FOR_KEYS}. */
  "approve",
  "manage-assets",
  "manage-settings",
  "manage-tokens",
  "manage-keys",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Permissions that each role has in addition to those of the previous role in {@link ROLES}. */
const ADDED: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ["read", "read-events"],
  analyst: ["handle-incidents"],
  responder: ["contain", "approve"],
  admin: ["manage-assets", "manage-settings", "manage-tokens", "manage-keys"],
};

export const permissionsOf = (role: Role): readonly Permission[] =>
  ROLES.slice(0, ROLES.indexOf(role) + 1).flatMap((each) => ADDED[each]);

/**
 * Permissions that no API key has. Without `manage-keys`, a stolen key cannot create another key that
 * outlives it.
 */
export const NEVER_FOR_KEYS: readonly Permission[] = ["approve", "manage-keys"];

/** Permissions of an API key: those of its role, limited to its scopes if it has any. */
export const keyPermissions = (role: Role, scopes: readonly string[] | undefined): Permission[] =>
  permissionsOf(role).filter(
    (permission) => !NEVER_FOR_KEYS.includes(permission) && (scopes?.includes(permission) ?? true),
  );

/**
 * The LifecycleZero role for each name that the identity provider sends. A name is an organisation role
 * without `org:` (`admin`) or a full permission (`org:hosts:isolate`). Set by `LZ_ADMIN_ROLES`.
 */
export type RoleMap = Readonly<Record<string, Role>>;

export const ROLE_MAP_DEFAULT: RoleMap = {
  admin: "admin",
  responder: "responder",
  analyst: "analyst",
  viewer: "viewer",
  member: "viewer",
};

/** Returns the highest role among those that the names map to, or undefined if no name is known. */
export function roleOf(names: readonly string[], map: RoleMap): Role | undefined {
  // `hasOwn` ignores inherited properties, for example if a role is named "constructor".
  const found = names.filter((name) => Object.hasOwn(map, name)).map((name) => ROLES.indexOf(map[name]!));
  return ROLES[Math.max(...found, -1)];
}

/** An authenticated caller: a person with a session of the identity provider, or a machine with an API key. */
export type Admin = {
  tenantId: string;
  /** Id of the person at the identity provider, or `key_` and the id of the API key. */
  userId: string;
  sessionId: string;
  role: Role;
  /** True if another person uses this person's session (impersonation). An impersonated session can only read. */
  impersonated: boolean;
  via: "session" | "api-key";
  /** User id of the person who created the API key. Absent for a session. */
  keyMadeBy?: string;
  permissions: readonly Permission[];
};
