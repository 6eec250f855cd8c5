/**
 * The high-risk modules, each with the test files that answer for it. The files run in this order, each in a process of
 * its own, until one fails: put the fastest and the most specific first.
 */
export const TARGETS: Record<string, readonly string[]> = {
  "edge/control/custody/custody-transaction.ts": [
    "tests/offline/edge/control/custody/commit-transaction.test.ts",
    "tests/offline/edge/control/custody/commit.test.ts",
    "tests/offline/edge/control/custody/custody-record.test.ts",
    "tests/offline/edge/control/containment/containment-faults.test.ts",
    "tests/offline/edge/api/admin-routes.test.ts",
  ],
  "edge/heartbeat/pending-actions.ts": [
    "tests/offline/edge/heartbeat/pending-actions.test.ts",
    "tests/offline/edge/heartbeat/read-pending-actions.test.ts",
    "tests/offline/edge/directive/long-poll-route.test.ts",
  ],
  "edge/heartbeat/admit-heartbeat.ts": [
    "tests/offline/edge/heartbeat/ingest.test.ts",
    "tests/offline/edge/heartbeat/authenticate.test.ts",
  ],
  "edge/heartbeat/queue-batcher.ts": ["tests/offline/edge/heartbeat/queue-batcher.test.ts"],
  "edge/platform/queue-client.ts": [
    "tests/offline/edge/platform/queue-client.test.ts",
    "tests/offline/worker/heartbeat/verify.test.ts",
  ],
  "edge/control/containment/isolation-limits.ts": [
    "tests/offline/edge/control/containment/guard-isolation.test.ts",
    "tests/offline/edge/control/containment/containment-guard.test.ts",
  ],
  "edge/auth/clerk-claims.ts": [
    "tests/offline/edge/auth/clerk-claims.test.ts",
    "tests/offline/edge/auth/authenticate.test.ts",
  ],
  "agent/report/spool.ts": [
    "tests/offline/agent/report/spool.test.ts",
    "tests/offline/agent/report/send.test.ts",
  ],
  "agent/contain/platform/nftables.ts": [
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/systems.test.ts",
    "tests/offline/agent/contain/network/network.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/apply-directive.ts": [
    "tests/offline/agent/contain/apply-directive.test.ts",
    "tests/offline/agent/report/directive-poll.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/apply-release-code.ts": [
    "tests/offline/agent/contain/apply-directive.test.ts",
    "tests/offline/agent/report/directive-poll.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/carry-out-order.ts": [
    "tests/offline/agent/contain/apply-directive.test.ts",
    "tests/offline/agent/report/directive-poll.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/reassert-isolation.ts": [
    "tests/offline/agent/contain/apply-directive.test.ts",
    "tests/offline/agent/report/directive-poll.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/state/containment-store.ts": [
    "tests/offline/agent/contain/apply-directive.test.ts",
    "tests/offline/agent/report/directive-poll.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/engine-ports.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/refused-ports.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/stop-context.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/stop-engines.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/suspend-engines.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/contain/engines/terminate-engines.ts": [
    "tests/offline/agent/contain/engines/stop-engines.test.ts",
    "tests/offline/agent/contain/engines/terminate.test.ts",
    "tests/offline/agent/contain/rules.test.ts",
    "tests/offline/agent/contain/state-files.test.ts",
  ],
  "agent/scan/identify/candidate.ts": [
    "tests/offline/agent/scan/identify/candidates.test.ts",
    "tests/offline/agent/catalogue/catalog.test.ts",
  ],
  "agent/scan/identify/candidate-evidence.ts": [
    "tests/offline/agent/scan/identify/candidates.test.ts",
    "tests/offline/agent/catalogue/catalog.test.ts",
  ],
  "agent/scan/identify/find-candidates.ts": [
    "tests/offline/agent/scan/identify/candidates.test.ts",
    "tests/offline/agent/catalogue/catalog.test.ts",
  ],
  "agent/scan/identify/join-candidates.ts": [
    "tests/offline/agent/scan/identify/candidates.test.ts",
    "tests/offline/agent/catalogue/catalog.test.ts",
  ],
  "shared/containment/custody-chain.ts": [
    "tests/offline/shared/table/items/custody.test.ts",
    "tests/offline/lz/custody/custody-export.test.ts",
    "tests/offline/edge/control/custody/custody-record.test.ts",
    "tests/offline/edge/control/custody/commit-transaction.test.ts",
    "tests/offline/lz/containment/containment-custody.test.ts",
  ],
  "shared/containment/containment-state.ts": [
    "tests/offline/shared/containment/containment.test.ts",
    "tests/offline/worker/record/proof.test.ts",
    "tests/offline/agent/contain/release-code.test.ts",
    "tests/offline/shared/containment/containment-model.test.ts",
  ],
  "shared/wire/signature.ts": [
    "tests/offline/shared/wire/signature.test.ts",
    "tests/offline/shared/wire/report-signature.test.ts",
    "tests/offline/shared/wire/keyid.test.ts",
    "tests/offline/edge/heartbeat/authenticate.test.ts",
  ],
  "shared/queue/message.ts": [
    "tests/offline/shared/queue/queue-message.test.ts",
    "tests/offline/shared/wire/contracts.test.ts",
    "tests/offline/worker/heartbeat/verify.test.ts",
    "tests/offline/edge/heartbeat/queue-batcher.test.ts",
    "tests/offline/worker/receive/dead-letters.test.ts",
  ],
  "shared/wire/directive.ts": [
    "tests/offline/shared/wire/directive.test.ts",
    "tests/offline/agent/identity/pins.test.ts",
    "tests/offline/agent/contain/apply-directive.test.ts",
  ],
  "worker/heartbeat/timeline-position.ts": [
    "tests/offline/worker/heartbeat/place-table.test.ts",
    "tests/offline/worker/heartbeat/place.test.ts",
    "tests/offline/worker/heartbeat/dates.test.ts",
  ],
  "worker/record/record-heartbeat.ts": [
    "tests/offline/worker/receive/record-faults.test.ts",
    "tests/offline/worker/record/policy-edits.test.ts",
    "tests/offline/worker/heartbeat/dates.test.ts",
    "tests/offline/worker/heartbeat/place.test.ts",
    "tests/offline/worker/fleet/fleet.test.ts",
    "tests/offline/worker/record/proof.test.ts",
    "tests/offline/worker/review/reviews.test.ts",
    "tests/offline/worker/receive/poll.test.ts",
    "tests/offline/worker/record/incident-life.test.ts",
    "tests/offline/worker/receive/exactly-once.test.ts",
  ],
  "worker/record/containment-proof.ts": ["tests/offline/worker/record/proof.test.ts"],
  "worker/heartbeat/verify-message.ts": [
    "tests/offline/worker/heartbeat/verify.test.ts",
    "tests/offline/worker/receive/poll.test.ts",
  ],
};
