/** Reasons why a bulk change skips an asset. */
export const SKIP_REASONS = [
  "not-found",
  /** The signature of the asset does not verify. */
  "not-signed",
  /** An earlier request already made this change. */
  "already",
  "contained",
  /** The asset reported within `silentHours`. */
  "reported",
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];
