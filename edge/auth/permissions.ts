/** What a caller may do, and who may: the one place where roles become rights. */

export const ROLES = ["viewer", "analyst", "responder", "admin"] as const;
export type Role = (typeof ROLES)[number];

export const PERMISSIONS = [
  "read",
  /** The SIEM export alone: a key with this scope sees nothing else. */
  "read-events",
  "handle-incidents",
  "contain",
  /** Second pair of eyes on somebody else's request. Never a machine's, see {@link NEVER_FOR_KEYS}. */
  "approve",
  "manage-assets",
  "manage-settings",
  "manage-tokens",
  "manage-keys",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Each role may do what the one before it may, and more. */
const ADDED: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ["read", "read-events"],
  analyst: ["handle-incidents"],
  responder: ["contain", "approve"],
  admin: ["manage-assets", "manage-settings", "manage-tokens", "manage-keys"],
};

export const permissionsOf = (role: Role): readonly Permission[] =>
  ROLES.slice(0, ROLES.indexOf(role) + 1).flatMap((each) => ADDED[each]);

/** A machine approves nothing, and makes no further machines: a stolen key cannot outlive its own expiry. */
export const NEVER_FOR_KEYS: readonly Permission[] = ["approve", "manage-keys"];

/** Rights of an API key: those of its role, narrowed to its scopes if it has any. */
export const keyPermissions = (role: Role, scopes: readonly string[] | undefined): Permission[] =>
  permissionsOf(role).filter(
    (permission) => !NEVER_FOR_KEYS.includes(permission) && (scopes?.includes(permission) ?? true),
  );

/**
 * Role by name of what the identity provider says of a person: a role of the organisation without its `org:`
 * (`admin`), or a permission in full (`org:hosts:isolate`). Configuration, see `LZ_ADMIN_ROLES`.
 */
export type RoleMap = Readonly<Record<string, Role>>;

export const ROLE_MAP_DEFAULT: RoleMap = {
  admin: "admin",
  responder: "responder",
  analyst: "analyst",
  viewer: "viewer",
  member: "viewer",
};

/** The highest role that any of the names stands for; undefined when none of them is known. */
export function roleOf(names: readonly string[], map: RoleMap): Role | undefined {
  // `hasOwn`: a role that calls itself "constructor" is no role.
  const found = names.filter((name) => Object.hasOwn(map, name)).map((name) => ROLES.indexOf(map[name]!));
  return ROLES[Math.max(...found, -1)];
}

/** Who calls: a person in a session that the identity provider vouches for, or a machine with an API key. */
export type Admin = {
  tenantId: string;
  /** For an API key `key_` and its id. */
  userId: string;
  sessionId: string;
  role: Role;
  /** Somebody else acts in this person's name: may look, may not change anything. */
  impersonated: boolean;
  via: "session" | "api-key";
  /** The person who made the API key. */
  keyMadeBy?: string;
  permissions: readonly Permission[];
};
