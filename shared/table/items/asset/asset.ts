import { z } from "zod";
import { assetId, employeeId, tenantId } from "../../../ids.ts";
import { deviceKey } from "../../../wire/enrolment.ts";
import { hardware } from "../../../wire/hardware.ts";
import { containmentReport, mode, stopEnginesBy } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";

export const ASSET_STATUSES = ["ACTIVE", "ISOLATED"] as const;

/** Assets that one asset may take the place of: a laptop is re-imaged this often at most. */
export const SUPERSEDED_MAX = 50;

/** The newest change an admin made to an asset's containment, and the directive that carries it out. */
export const wish = z.object({
  generation: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode,
  /** Of an isolation in mode `stop-engines`. Absent: suspend. */
  stopEnginesBy: stopEnginesBy.optional(),
  requestedAt: isoTimestamp,
  expiresAt: isoTimestamp,
  directive: z.string(),
});
export type Wish = z.infer<typeof wish>;

/** A report as it was checked before it was kept: with its signature, and the public device key that it is by. */
export const provenReport = containmentReport.extend({ signedBy: deviceKey.optional() });
export type ProvenReport = z.infer<typeof provenReport>;

export const assetItem = z.object({
  type: z.literal("Asset"),
  tenantId,
  assetId,
  employeeId,
  hostname: text(253),
  os: text(120),
  arch: text(20),
  deviceKey,
  enrolledAt: isoTimestamp,
  /** What the admin wants. What is proven stands in `proof`. */
  status: z.enum(ASSET_STATUSES),
  generation: count,
  wish: wish.optional(),
  /** The agent's report on the newest generation it obeyed. */
  proof: provenReport.optional(),
  /** A report on this generation came that the device key did not sign: nothing was taken from it. */
  unsignedReport: z.object({ generation: count, at: isoTimestamp }).optional(),
  /** Hash and number of this asset's newest custody record. */
  custodyHash: z.string().optional(),
  custodyCount: count,
  revokedAt: isoTimestamp.optional(),
  /** The host reported generation `generation` as isolated again, proven at `at`, although the release `since` is proven. 0: over. */
  setBack: z.object({ generation: count, since: count, at: isoTimestamp }).optional(),
  /** The report of a release by a code, whatever was wished by then: it stands until the next one. */
  freedByCode: provenReport.optional(),
  /** Newest generation whose release by a code is in the custody log. */
  offlineReleaseOf: count.optional(),
  /**
   * Newest generation that the device reported beyond `generation`, signed: the table was restored from a backup that is
   * older than what the host obeyed. The next wish has to be newer than it, or the agent does not obey.
   */
  heardGeneration: count.optional(),
  /** When the device key was last replaced. */
  keyRotatedAt: isoTimestamp.optional(),
  /** When an administrator took it off the active list. It returns with the next heartbeat after that. */
  expiredAt: isoTimestamp.optional(),
  /** The asset that took its place. It is revoked then, and never returns. */
  supersededBy: assetId.optional(),
  /** Assets that this one took the place of, oldest merge first. */
  supersedes: z.array(assetId).max(SUPERSEDED_MAX).optional(),
  /** Id of the enrolment token that it enrolled with. Absent for assets of before 2026-12. */
  enrolledWith: text(64).optional(),
  /** Fingerprint of the machine that enrolled, as it claimed it. */
  hardware: hardware.optional(),
  /** Assets that claimed the same mainboard when they enrolled, newest first. A proposal: it takes nothing from them. */
  enrolledBefore: z.array(assetId).max(8).optional(),
});
export type AssetItem = z.infer<typeof assetItem>;
