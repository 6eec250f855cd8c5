import type { CatalogEntry } from "./entry.ts";

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
  ],
  version: [{ path: "/status", at: "version" }],
  openai: true,
  sources: ["https://www.tensorzero.com/docs/gateway/api-reference"],
  fixtures: {
    positive: [
      {
        source: "documented: tensorzero.com/docs gateway API reference (GET /health)",
        answers: {
          "/health": { body: { gateway: "ok", clickhouse: "ok" } },
          "/status": { body: { status: "ok", version: "2025.9.2" } },
        },
      },
    ],
    negative: [{ source: "made up: a health document", answers: { "/health": { body: { status: "ok" } } } }],
  },
};

export default entry;
