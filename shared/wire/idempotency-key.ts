/**
 * Format of an `Idempotency-Key` header. Forms of the dashboard have a hidden field with the same format and
 * purpose.
 */
export const IDEMPOTENCY_KEY_FORM = /^[A-Za-z0-9_-]{8,100}$/;
