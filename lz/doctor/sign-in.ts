import { bad, type Check, good, note } from "./check.ts";

/** Checks whether the edge can verify sessions, from the state of the identity provider's keys in `/readyz/admin`. */
export function checkSignInKeys(readiness: Readonly<Record<string, unknown>>): Check {
  const advice =
    "search the edge's log for issuer-keys.not-refreshed, and request the URL in LZ_ADMIN_JWKS_URL from the edge's host";
  switch (readiness.signInKeys) {
    case "fresh":
      return good("sign-in keys", "the identity provider responds");
    case "stale":
      return bad(
        "sign-in keys",
        "the identity provider does not respond; its last keys work for 24 hours",
        advice,
      );
    case "away":
      return bad("sign-in keys", "not available: sign-in does not work", advice);
    default:
      return note("sign-in keys", "the edge has not requested them yet");
  }
}
