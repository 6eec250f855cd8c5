/** Form of an `Idempotency-Key` header, and of the hidden field that has its role in forms of the dashboard. */
export const IDEMPOTENCY_KEY_FORM = /^[A-Za-z0-9_-]{8,100}$/;
