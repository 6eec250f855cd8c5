import { z } from "zod";

/** `org_…` of the identity provider. No `#`: it is the separator of table keys; no `.`: of `keyid`. */
export const tenantId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** ULID (github.com/ulid/spec): 26 characters of Crockford base 32, minted by the edge at enrolment. */
export const assetId = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);

/** Catalogue ids, rule ids, collector names. */
export const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/);

/** What the company calls its people: a login, a mail address, a directory id. */
export const employeeId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/);
