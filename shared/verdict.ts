/** Errors that a caller can cause, by stable code. Internal errors are thrown instead. */
export const REFUSALS = {
  "wire.malformed": { status: 400, log: "info", title: "The request is malformed" },
  "wire.media-type": { status: 415, log: "info", title: "The content type must be application/json" },
  "wire.too-large": { status: 413, log: "info", title: "The body is too large" },
  "wire.unsigned": { status: 401, log: "info", title: "The request is not signed as required" },
  "wire.stale": { status: 401, log: "info", title: "The signature is outside the accepted time window" },
  "wire.bad-signature": { status: 401, log: "warn", title: "The signature is not valid" },
  "wire.headers-too-large": { status: 431, log: "info", title: "The headers are too long" },
  "wire.too-slow": { status: 408, log: "info", title: "The body did not arrive in time" },
  "wire.too-many": { status: 429, log: "info", title: "Too many requests" },
  "wire.session-expired": { status: 401, log: "info", title: "The session has expired" },
  "asset.revoked": { status: 403, log: "warn", title: "This asset was revoked" },
  "asset.copied": {
    status: 409,
    log: "warn",
    title: "This identity belongs to another machine. Enrol this machine with a new token",
  },
  "enrolment.invalid-token": { status: 401, log: "warn", title: "The enrolment token is not valid" },
  "enrolment.used-up": { status: 409, log: "warn", title: "The enrolment token has no uses left" },
  "enrolment.needs-control-key": {
    status: 403,
    log: "warn",
    title: "This node enrols new devices only. Send a token that replaces a device key to an admin node",
  },
  "admin.unauthenticated": { status: 401, log: "debug", title: "Sign in to continue" },
  "admin.no-organisation": { status: 403, log: "info", title: "Choose an organisation to continue" },
  "admin.forbidden": { status: 403, log: "warn", title: "Your role does not allow this" },
  "admin.cross-site": { status: 403, log: "warn", title: "The request did not come from this site" },
  "admin.not-found": { status: 404, log: "info", title: "The resource does not exist" },
  "admin.invalid": { status: 400, log: "info", title: "The request is not valid" },
  "admin.method": { status: 405, log: "info", title: "The resource does not support this method" },
  "admin.outdated": {
    status: 412,
    log: "info",
    title: "The resource has changed since you read it. Reload it and try again",
  },
  "admin.unconditional": {
    status: 428,
    log: "info",
    title: "The If-Match header with the version you read is required",
  },
  "admin.conflict": { status: 409, log: "info", title: "The current state does not allow this" },
  "admin.too-long": {
    status: 413,
    log: "info",
    title: "The content is too long for a file in this format",
  },
  "admin.copies": { status: 409, log: "info", title: "Several machines use the identity of this asset" },
  "admin.capped": { status: 429, log: "warn", title: "The limit of isolations per hour is reached" },
  "admin.read-only": {
    status: 403,
    log: "info",
    title: "This edge node has no control key, so it is read-only",
  },
} as const satisfies Record<
  `${string}.${string}`,
  {
    status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 412 | 413 | 415 | 428 | 429 | 431;
    log: "debug" | "info" | "warn";
    title: string;
  }
>;

export type RefusalCode = keyof typeof REFUSALS;

export type Refusal = { ok: false; code: RefusalCode; detail?: string };

export type Verdict<T> = { ok: true; value: T } | Refusal;

export const accept = <T>(value: T): Verdict<T> => ({ ok: true, value });

/** `detail` is sent to the client. It must describe the problem, and must never contain a secret or a body. */
export const refuse = (code: RefusalCode, detail?: string): Refusal =>
  detail === undefined ? { ok: false, code } : { ok: false, code, detail };
