import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { count } from "./count.ts";

/** Compact JWS (RFC 7515). */
const jws = z.string().regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);

/** Authority record: the signature for an item, made with a control key or, for a new device, with an enrol key. */
export const authorityItem = z.object({
  type: z.literal("Authority"),
  tenantId,
  /** Sort key of the signed item. */
  item: z.string().min(1).max(1024),
  signature: jws,
  /**
   * The signed agent settings (shared/wire/agent-settings.ts). Only present in the record of the tenant's
   * settings.
   */
  agentSettings: jws.optional(),
});
export type AuthorityItem = z.infer<typeof authorityItem>;

/** Claims of an authority record. The signature covers them. */
export const authorityClaims = z.object({
  tenant: tenantId,
  item: z.string().min(1).max(1024),
  /** Number of the tenant's newest custody record at the time of signing. 0 for a newly enrolled device. */
  version: count,
  /** SHA-256 of the item's covered members in base64url, see `hashOfCovered`. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** Expiry of the item in seconds since the epoch. After this time, TTL may have deleted the item. */
  until: z.int().optional(),
});
export type AuthorityClaims = z.infer<typeof authorityClaims>;

/** Signed digest of a tenant's authority records. It reveals a removed or restored record. */
export const authorityHeadItem = z.object({
  type: z.literal("AuthorityHead"),
  tenantId,
  signature: jws,
});
export type AuthorityHeadItem = z.infer<typeof authorityHeadItem>;

export const authorityHeadClaims = z.object({
  tenant: tenantId,
  version: count,
  /** Number of records in the partition, without the head. */
  count,
  /** Sum of the records' digests modulo 2^256 as 64 hex digits, see `addToDigest`. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AuthorityHeadClaims = z.infer<typeof authorityHeadClaims>;
