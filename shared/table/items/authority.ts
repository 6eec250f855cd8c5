import { z } from "zod";
import { tenantId } from "../../ids.ts";
import { count } from "./count.ts";

/** Compact JWS (RFC 7515). */
const jws = z.string().regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);

/** Proof that a control key (or, for a new device, an enrol key) stands behind an item that grants or decides. */
export const authorityItem = z.object({
  type: z.literal("Authority"),
  tenantId,
  /** Sort key of the item. */
  item: z.string().min(1).max(1024),
  signature: jws,
  /** Of the tenant's settings: what agents are given of them, signed. See shared/wire/agent-settings.ts. */
  agentSettings: jws.optional(),
});
export type AuthorityItem = z.infer<typeof authorityItem>;

/** What the signature of a record covers. */
export const authorityClaims = z.object({
  tenant: tenantId,
  item: z.string().min(1).max(1024),
  /** Number of the tenant's newest custody record when this was signed; 0 for a device that enrolled. */
  version: count,
  /** Base64url SHA-256 of the item's covered members: see `hashOfCovered`. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** Seconds since the epoch. From then on TTL may have removed the item. */
  until: z.int().optional(),
});
export type AuthorityClaims = z.infer<typeof authorityClaims>;

/** The signed sum of a tenant's authority records. It shows a record that was removed or put back to an older one. */
export const authorityHeadItem = z.object({
  type: z.literal("AuthorityHead"),
  tenantId,
  signature: jws,
});
export type AuthorityHeadItem = z.infer<typeof authorityHeadItem>;

export const authorityHeadClaims = z.object({
  tenant: tenantId,
  version: count,
  /** Records in the partition, the head left out. */
  count,
  /** Sum of the records' digests modulo 2^256, 64 hex digits: see `addToDigest`. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type AuthorityHeadClaims = z.infer<typeof authorityHeadClaims>;
