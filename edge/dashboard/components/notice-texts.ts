import type { Notice } from "./notice.tsx";

/** Said after a change, by code: no text of an address is ever shown. */
const NOTICES: Readonly<Record<string, Notice>> = {
  isolate: {
    tone: "ok",
    words: "Isolation requested and recorded. Whether it holds is what the steps below prove.",
  },
  waiting: {
    tone: "ok",
    words: "Recorded, and nothing is isolated yet: a second person has to approve it within the hour.",
  },
  release: {
    tone: "ok",
    words: "Release requested and recorded. Whether it is done is what the steps below prove.",
  },
  expire: {
    tone: "ok",
    words: "Taken off the active list and recorded. It returns by itself with its next heartbeat.",
  },
  revoke: { tone: "ok", words: "Revoked and recorded: this device never reports again." },
  merge: { tone: "ok", words: "Merged and recorded. Its open incidents are closed; its history stays here." },
  acknowledge: { tone: "ok", words: "Acknowledged and recorded. The incident stays open." },
  "acknowledge-many": {
    tone: "ok",
    words: "Acknowledged and recorded, each by itself. What somebody had answered before was left as it was.",
  },
  resolve: { tone: "ok", words: "Resolved and recorded. It opens again when its condition is seen again." },
  approve: {
    tone: "ok",
    words: "Approved and recorded: the isolation is requested. Its host's page shows what is proven of it.",
  },
  deny: { tone: "ok", words: "Denied and recorded. Nothing was isolated." },
  again: {
    tone: "ok",
    words: "Asked again and recorded: a second person has to approve it within the hour.",
  },
  policy: { tone: "ok", words: "Saved and recorded. It counts for every heartbeat from now on." },
  settings: { tone: "ok", words: "Saved and recorded." },
  same: { tone: "ok", words: "It was so already: nothing was changed and nothing recorded." },
  "token-revoked": {
    tone: "ok",
    words: "Revoked and recorded: no host gets in with that token any more. Those that did stay.",
  },
  webhook: { tone: "ok", words: "Saved and recorded." },
  resent: {
    tone: "ok",
    words: "Queued and recorded: it is sent again under the id it had, with all its attempts anew.",
  },
  "webhook-deleted": { tone: "ok", words: "Removed and recorded, with its secrets." },
};

export const noticeOf = (code: string | undefined): Notice | undefined =>
  code !== undefined && Object.hasOwn(NOTICES, code) ? NOTICES[code] : undefined;
