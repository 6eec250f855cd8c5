import type { Admin } from "./auth/permissions.ts";

/**
 * Variables of the Hono context. `requestId` is always set, `admin` in the API and on pages, `idempotencyKey` and `version`
 * in operations of the API that change something, `fields` in form handlers of pages.
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
