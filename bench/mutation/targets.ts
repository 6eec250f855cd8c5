/**
 * The high-risk modules, each with the test files that answer for it. The files run in this order, each in a process of
 * its own, until one fails: put the fastest and the most specific first.
 */
export const TARGETS: Record<string, readonly string[]> = {
  "edge/admin/commit.ts": [
    "tests/offline/edge/commit-transaction.test.ts",
    "tests/offline/edge/commit.test.ts",
    "tests/offline/edge/custody-record.test.ts",
    "tests/offline/edge/containment-faults.test.ts",
    "tests/offline/edge/admin-routes.test.ts",
  ],
  "edge/open-actions.ts": [
    "tests/offline/edge/open-actions.test.ts",
    "tests/offline/edge/open-actions-paging.test.ts",
    "tests/offline/edge/directive-poll.test.ts",
  ],
  "edge/ingest.ts": ["tests/offline/edge/ingest.test.ts", "tests/offline/edge/authenticate.test.ts"],
  "edge/enqueue.ts": ["tests/offline/edge/enqueue.test.ts"],
  "edge/queue-client.ts": ["tests/offline/edge/queue-client.test.ts", "tests/offline/worker/verify.test.ts"],
  "edge/admin/guard-isolation.ts": [
    "tests/offline/edge/guard-isolation.test.ts",
    "tests/offline/edge/containment-guard.test.ts",
  ],
  "edge/admin/clerk-claims.ts": [
    "tests/offline/edge/clerk-claims.test.ts",
    "tests/offline/edge/admin-authenticate.test.ts",
  ],
  "agent/spool.ts": ["tests/offline/agent/spool.test.ts", "tests/offline/agent/send.test.ts"],
  "agent/contain/nftables.ts": [
    "tests/offline/agent/contain-rules.test.ts",
    "tests/offline/agent/contain-systems.test.ts",
    "tests/offline/agent/contain-network.test.ts",
    "tests/offline/agent/contain-state-files.test.ts",
  ],
  "agent/contain/obey.ts": [
    "tests/offline/agent/contain.test.ts",
    "tests/offline/agent/directive-poll.test.ts",
    "tests/offline/agent/contain-release-code.test.ts",
    "tests/offline/agent/contain-state-files.test.ts",
  ],
  "agent/contain/stop-engines.ts": [
    "tests/offline/agent/contain-stop-engines.test.ts",
    "tests/offline/agent/contain-terminate.test.ts",
    "tests/offline/agent/contain-rules.test.ts",
    "tests/offline/agent/contain-state-files.test.ts",
  ],
  "agent/collect/candidate.ts": [
    "tests/offline/agent/collect-candidates.test.ts",
    "tests/offline/agent/catalog.test.ts",
  ],
  "agent/collect/candidate-evidence.ts": [
    "tests/offline/agent/collect-candidates.test.ts",
    "tests/offline/agent/catalog.test.ts",
  ],
  "agent/collect/candidates.ts": [
    "tests/offline/agent/collect-candidates.test.ts",
    "tests/offline/agent/catalog.test.ts",
  ],
  "agent/collect/join-candidates.ts": [
    "tests/offline/agent/collect-candidates.test.ts",
    "tests/offline/agent/catalog.test.ts",
  ],
  "shared/custody.ts": [
    "tests/offline/shared/custody.test.ts",
    "tests/offline/lz/custody-export.test.ts",
    "tests/offline/edge/custody-record.test.ts",
    "tests/offline/edge/commit-transaction.test.ts",
    "tests/offline/lz/containment-custody.test.ts",
  ],
  "shared/containment.ts": [
    "tests/offline/shared/containment.test.ts",
    "tests/offline/worker/proof.test.ts",
    "tests/offline/agent/contain-release-code.test.ts",
    "tests/offline/shared/containment-model.test.ts",
  ],
  "shared/wire/signature.ts": [
    "tests/offline/shared/signature.test.ts",
    "tests/offline/shared/report-signature.test.ts",
    "tests/offline/shared/keyid.test.ts",
    "tests/offline/edge/authenticate.test.ts",
  ],
  "shared/queue/message.ts": [
    "tests/offline/shared/queue-message.test.ts",
    "tests/offline/shared/contracts.test.ts",
    "tests/offline/worker/verify.test.ts",
    "tests/offline/edge/enqueue.test.ts",
    "tests/offline/worker/dead-letters.test.ts",
  ],
  "shared/wire/directive.ts": [
    "tests/offline/shared/directive.test.ts",
    "tests/offline/agent/pins.test.ts",
    "tests/offline/agent/contain.test.ts",
  ],
  "worker/place.ts": [
    "tests/offline/worker/place-table.test.ts",
    "tests/offline/worker/place.test.ts",
    "tests/offline/worker/dates.test.ts",
  ],
  "worker/record.ts": [
    "tests/offline/worker/record-faults.test.ts",
    "tests/offline/worker/policy-edits.test.ts",
    "tests/offline/worker/dates.test.ts",
    "tests/offline/worker/place.test.ts",
    "tests/offline/worker/fleet.test.ts",
    "tests/offline/worker/proof.test.ts",
    "tests/offline/worker/reviews.test.ts",
    "tests/offline/worker/poll.test.ts",
    "tests/offline/worker/incident-life.test.ts",
    "tests/offline/worker/exactly-once.test.ts",
  ],
  "worker/proof.ts": ["tests/offline/worker/proof.test.ts"],
  "worker/verify.ts": ["tests/offline/worker/verify.test.ts", "tests/offline/worker/poll.test.ts"],
};
