// @ts-check
// Renews the session in a hidden frame shortly before its token expires. Otherwise the user would be sent to
// sign-in while reading or typing. The cookie lz_until contains the expiry.
import { isEnded } from "./freshness.client.js";
import { serverNowMs } from "./timestamps.client.js";

const RENEW_BEFORE_MS = 15_000;
const RETRY_MS = 5000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isRenewing = false;

/** Expiry of the token in ms, or 0 if this site does not renew sessions. */
const expiryMs = () => Number(/(?:^|; )lz_until=(\d+)/.exec(document.cookie)?.[1] ?? 0) * 1000;

export function renewSession() {
  clearTimeout(timer);
  const expiry = expiryMs();
  if (expiry === 0 || isEnded() || document.visibilityState === "hidden") return;
  const wait = expiry - serverNowMs() - RENEW_BEFORE_MS;
  if (wait > 0) {
    timer = setTimeout(renewSession, wait);
    return;
  }
  if (isRenewing) return;
  isRenewing = true;
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.src = "/session";
  frame.addEventListener("load", () => {
    frame.remove();
    isRenewing = false;
    // If the expiry did not change, the renewal failed and is retried. If the session has ended, a later poll
    // shows this to the user.
    timer = setTimeout(renewSession, expiryMs() > expiry ? 0 : RETRY_MS);
  });
  document.body.append(frame);
}
