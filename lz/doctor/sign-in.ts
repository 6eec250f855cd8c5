import { bad, type Check, good, note } from "./check.ts";

/** Whether the edge can verify sessions, by what `/readyz/admin` says of the identity provider's keys. */
export function checkSignInKeys(readiness: Readonly<Record<string, unknown>>): Check {
  const advice =
    "look at the edge's log for issuer-keys.not-refreshed, and ask LZ_ADMIN_JWKS_URL from its host";
  switch (readiness.signInKeys) {
    case "fresh":
      return good("sign-in keys", "the identity provider answers");
    case "stale":
      return bad("sign-in keys", "the identity provider is down: its last keys work for 24 hours", advice);
    case "away":
      return bad("sign-in keys", "there are none: nobody can sign in", advice);
    default:
      return note("sign-in keys", "the edge has not asked for them yet");
  }
}
