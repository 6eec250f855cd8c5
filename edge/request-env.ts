import type { Admin } from "./auth/permissions.ts";

/**
 * Variables of the Hono context. `requestId` is always set. `admin` is set in the API and on pages.
 * `idempotencyKey` and `version` are set in API operations that change something. `fields` is set in form
 * handlers of pages.
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
