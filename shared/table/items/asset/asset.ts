import { z } from "zod";
import { assetId, employeeId, tenantId } from "../../../ids.ts";
import { deviceKey } from "../../../wire/enrolment.ts";
import { hardware } from "../../../wire/hardware.ts";
import { containmentReport, mode, stopEnginesBy } from "../../../wire/heartbeat.ts";
import { isoTimestamp, text } from "../../../wire/text.ts";
import { count } from "../count.ts";

export const ASSET_STATUSES = ["ACTIVE", "ISOLATED"] as const;

/** Maximum number of assets that one asset can supersede. Each re-imaging of a laptop adds one. */
export const SUPERSEDED_MAX = 50;

/** The newest containment request of an administrator, with its directive. */
const wish = z.object({
  generation: z.int().min(1),
  action: z.enum(["isolate", "release"]),
  mode,
  /** How engines are stopped, for an isolation in mode `stop-engines`. Absent: engines are suspended. */
  stopEnginesBy: stopEnginesBy.optional(),
  requestedAt: isoTimestamp,
  expiresAt: isoTimestamp,
  directive: z.string(),
});

/** A containment report with a verified signature, and the public device key that signed it. */
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
  /** Status that the administrator requested. `proof` contains the status that the agent proved. */
  status: z.enum(ASSET_STATUSES),
  generation: count,
  wish: wish.optional(),
  /** The agent's report on the directive with the newest generation that it obeyed. */
  proof: provenReport.optional(),
  /** Set if a report on this generation had no valid signature of the device key and was ignored. */
  unsignedReport: z.object({ generation: count, at: isoTimestamp }).optional(),
  /** Hash and number of this asset's newest custody record. */
  custodyHash: z.string().optional(),
  custodyCount: count,
  revokedAt: isoTimestamp.optional(),
  /**
   * Set if a restored host reported the isolation of generation `generation` again after its release was
   * proven. `at` is the time of the new proof, and `since` is the generation of the release. `since` is 0
   * after this has been resolved.
   */
  setBack: z.object({ generation: count, since: count, at: isoTimestamp }).optional(),
  /** The newest report that a release code was used. It is independent of the current request. */
  freedByCode: provenReport.optional(),
  /** Newest generation whose release by code is recorded in the custody log. */
  offlineReleaseOf: count.optional(),
  /**
   * Newest generation above `generation` that the device reported with a signature. It is set if the table
   * was restored from a backup that is older than the last directive that the device obeyed. The next request
   * must have a higher generation. Otherwise the agent ignores it.
   */
  heardGeneration: count.optional(),
  /** Time at which the device key was last replaced. */
  keyRotatedAt: isoTimestamp.optional(),
  /**
   * Time at which an administrator removed the asset from the active list. The asset returns with its next
   * heartbeat.
   */
  expiredAt: isoTimestamp.optional(),
  /** Id of the asset that superseded this one. This asset is then revoked and never returns. */
  supersededBy: assetId.optional(),
  /** Ids of the assets that this one superseded, oldest merge first. */
  supersedes: z.array(assetId).max(SUPERSEDED_MAX).optional(),
  /** Id of the enrolment token. Absent for assets that enrolled before 2026-12. */
  enrolledWith: text(64).optional(),
  /** Fingerprint of the machine that the host sent at enrolment. It is not proven. */
  hardware: hardware.optional(),
  /**
   * Assets that sent the same mainboard fingerprint at enrolment, newest first. They suggest a merge, and
   * have no other effect.
   */
  enrolledBefore: z.array(assetId).max(8).optional(),
});
export type AssetItem = z.infer<typeof assetItem>;
