/** Why an asset of a bulk change was left as it is. */
export const SKIP_REASONS = [
  "not-found",
  /** It is not what the control key signed. */
  "not-signed",
  "already",
  "contained",
  /** It reported within `silentHours`. */
  "reported",
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];
