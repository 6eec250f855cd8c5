import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tensorzero",
  name: "TensorZero",
  kind: "gateway",
  ports: [3000],
  names: [],
  commands: ["(?:^|/)gateway --config-file \\S*tensorzero"],
  traits: [
    {
      path: "/health",
      statuses: [200, 503],
      json: { gateway: { matches: "^(?:ok|error)$" }, clickhouse: { is: "present" } },
      weight: "strong",
      says: "TensorZero's health document",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?tensorzero_",
      weight: "identity",
      says: "metrics named tensorzero",
    },
  ],
  version: [{ path: "/status", at: "version" }],
  openai: true,
  sources: ["https://www.tensorzero.com/docs/gateway/api-reference"],
  fixtures: {
    positive: [
      {
        source:
          "code: tensorzero/tensorzero 2026.4.1 tensorzero-core/src/endpoints/status.rs, observability/mod.rs",
        answers: {
          "/health": {
            body: { gateway: "ok", clickhouse: "ok", postgres: "ok", valkey: "ok", valkey_cache: "ok" },
          },
          "/metrics": { body: "# HELP tensorzero_requests_total Requests handled by TensorZero.\n" },
          "/status": { body: { status: "ok", version: "2025.9.2" } },
        },
      },
      {
        source: "code: tensorzero/tensorzero 2026.4.1 crates/gateway/src/cli.rs",
        process: {
          executable: "/usr/local/bin/gateway",
          argv: ["gateway", "--config-file", "/app/config/tensorzero.toml"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a health response of another service",
        answers: { "/health": { body: { status: "ok" } } },
      },
    ],
  },
};

export default entry;
