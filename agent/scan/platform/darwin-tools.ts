/** Limits of one run of ps(1) or lsof(8). */
export const LIMITS = { timeoutMs: 4000, bytesMax: 8 * 1024 * 1024 };

/**
 * Sets the locale of ps(1) and lsof(8). As a result, `lstart` has English month names, and UTF-8 paths are
 * printed without escapes. A daemon has no UTF-8 locale by default. An empty LC_ALL counts as unset.
 */
export const LOCALE = ["/usr/bin/env", "LC_ALL=", "LC_TIME=C", "LC_CTYPE=UTF-8"];

export const LSOF = "/usr/sbin/lsof";
