import { z } from "zod";
import { assetId, employeeId, tenantId } from "../../../ids.ts";
import { deviceKey } from "../../../wire/enrolment.ts";
import { hardware } from "../../../wire/hardware.ts";
import { containmentReport, mode, stopEnginesBy } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";

export const ASSET_STATUSES = ["ACTIVE", "ISOLATED"] as const;

/** Limit of assets that one asset may supersede: how often a laptop is re-imaged. */
export const SUPERSEDED_MAX = 50;

/** The newest containment request of an administrator, with the directive that carries it out. */
const wish = z.object({
  generation: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode,
  /** For an isolation in mode `stop-engines`. Absent: suspend. */
  stopEnginesBy: stopEnginesBy.optional(),
  requestedAt: isoTimestamp,
  expiresAt: isoTimestamp,
  directive: z.string(),
});

/** A verified report, with its signature and the public device key that signed it. */
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
  /** Status that the administrator requested. `proof` says what is proven. */
  status: z.enum(ASSET_STATUSES),
  generation: count,
  wish: wish.optional(),
  /** The agent's report on the newest generation that it obeyed. */
  proof: provenReport.optional(),
  /** A report on this generation arrived without a valid signature of the device key and was ignored. */
  unsignedReport: z.object({ generation: count, at: isoTimestamp }).optional(),
  /** Hash and number of this asset's newest custody record. */
  custodyHash: z.string().optional(),
  custodyCount: count,
  revokedAt: isoTimestamp.optional(),
  /**
   * The host reported isolation of generation `generation` again, proven at `at`, after the release `since`
   * was proven. `since` is 0 when this is over.
   */
  setBack: z.object({ generation: count, since: count, at: isoTimestamp }).optional(),
  /** The newest report of a release by code, regardless of the current request. */
  freedByCode: provenReport.optional(),
  /** Newest generation whose release by code is in the custody log. */
  offlineReleaseOf: count.optional(),
  /**
   * Newest generation beyond `generation` that the device reported, signed. It exists if the table was
   * restored from a backup that is older than the last directive obeyed. The next request must have a higher
   * generation, or the agent ignores it.
   */
  heardGeneration: count.optional(),
  /** When the device key was last replaced. */
  keyRotatedAt: isoTimestamp.optional(),
  /** When an administrator removed the asset from the active list. It returns with its next heartbeat. */
  expiredAt: isoTimestamp.optional(),
  /** The asset that superseded this one. This one is revoked then, and never returns. */
  supersededBy: assetId.optional(),
  /** Assets that this one superseded, oldest merge first. */
  supersedes: z.array(assetId).max(SUPERSEDED_MAX).optional(),
  /** Id of the enrolment token. Absent for assets that enrolled before 2026-12. */
  enrolledWith: text(64).optional(),
  /** Fingerprint of the machine, as claimed at enrolment. */
  hardware: hardware.optional(),
  /**
   * Assets that claimed the same mainboard at enrolment, newest first. A suggestion for a merge; it does not
   * change them.
   */
  enrolledBefore: z.array(assetId).max(8).optional(),
});
export type AssetItem = z.infer<typeof assetItem>;
