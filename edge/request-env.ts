import type { Admin } from "./auth/permissions.ts";

/**
 * `requestId` is set everywhere, `admin` behind the admin routes and the pages, `idempotencyKey` and `version` behind the
 * changing operations of the API, `fields` behind the forms of the pages.
 */
export type Env = {
  Variables: {
    requestId: string;
    admin: Admin;
    idempotencyKey?: string;
    version?: number;
    fields?: Readonly<Record<string, string>>;
  };
};
