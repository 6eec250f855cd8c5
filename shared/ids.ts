import { z } from "zod";

/**
 * Id of an organisation at the identity provider (`org_…`). Excludes `#`, the separator of table keys, and
 * `.`, the separator of `keyid`.
 */
export const tenantId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/**
 * Id of an asset: a ULID (github.com/ulid/spec), 26 characters of Crockford base 32. The edge generates it at
 * enrolment.
 */
export const assetId = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);

/** Form of catalogue ids, rule ids and collector names. */
export const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/);

/** Identifier of a person in the organisation, for example a login, an email address or a directory id. */
export const employeeId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/);
