import type { Notice } from "./notice.tsx";

/**
 * Confirmations shown after a change, keyed by the value of the query parameter `done`. A link can select one
 * of these texts but cannot supply its own text.
 */
const NOTICES: Readonly<Record<string, Notice>> = {
  isolate: {
    tone: "ok",
    words: "Isolation requested and recorded. The steps below show whether the agent has proven it.",
  },
  waiting: {
    tone: "ok",
    words: "Request recorded, but nothing is isolated yet. A second person must approve it within one hour.",
  },
  release: {
    tone: "ok",
    words: "Release requested and recorded. The steps below show whether the agent has proven it.",
  },
  expire: {
    tone: "ok",
    words:
      "Host removed from the active list. The removal is recorded. The host returns with its next heartbeat.",
  },
  revoke: {
    tone: "ok",
    words: "Device key revoked. The revocation is recorded. The agent on this host cannot report any more.",
  },
  merge: {
    tone: "ok",
    words:
      "Hosts merged. The merge is recorded. The open incidents of this host are closed, and its history stays here.",
  },
  acknowledge: { tone: "ok", words: "Incident acknowledged and recorded. It stays open." },
  "acknowledge-many": {
    tone: "ok",
    words:
      "Incidents acknowledged, with one record each. Incidents that were already acknowledged or resolved did not change.",
  },
  resolve: {
    tone: "ok",
    words: "Incident resolved and recorded. It opens again if its condition is detected again.",
  },
  approve: {
    tone: "ok",
    words:
      "Approved and recorded. The isolation is now requested. Open the host to see what the agent has proven.",
  },
  deny: { tone: "ok", words: "Denied and recorded. Nothing was isolated." },
  again: {
    tone: "ok",
    words: "Requested again and recorded. A second person must approve it within one hour.",
  },
  policy: { tone: "ok", words: "Policy saved and recorded. It applies to every heartbeat from now on." },
  settings: { tone: "ok", words: "Settings saved and recorded." },
  same: { tone: "ok", words: "No changes to save." },
  "token-revoked": {
    tone: "ok",
    words:
      "Token revoked. The revocation is recorded. The token cannot enrol hosts any more. Hosts that used it stay enrolled.",
  },
  webhook: { tone: "ok", words: "Webhook saved and recorded." },
  resent: {
    tone: "ok",
    words: "Delivery queued again and recorded. It keeps its event id and gets the full number of attempts.",
  },
  "webhook-deleted": { tone: "ok", words: "Webhook and its secrets deleted. The deletion is recorded." },
};

export const noticeOf = (code: string | undefined): Notice | undefined =>
  code !== undefined && Object.hasOwn(NOTICES, code) ? NOTICES[code] : undefined;
