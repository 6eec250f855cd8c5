import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "one-api",
  name: "One API and New API",
  kind: "gateway",
  ports: [3000],
  names: ["one-api", "new-api"],
  traits: [
    {
      path: "/api/status",
      json: {
        success: { is: "boolean" },
        "data.quota_per_unit": { is: "number" },
        "data.system_name": { is: "string" },
      },
      weight: "strong",
      says: "One API's status document",
    },
  ],
  version: [{ path: "/api/status", at: "data.version" }],
  openai: true,
  sources: ["https://github.com/songquanpeng/one-api", "https://github.com/QuantumNous/new-api"],
  fixtures: {
    positive: [
      {
        source: "code: songquanpeng/one-api 8df4a26 controller/misc.go (GetStatus)",
        answers: {
          "/api/status": {
            body: {
              success: true,
              message: "",
              data: {
                version: "v0.6.10",
                start_time: 1,
                email_verification: false,
                github_oauth: false,
                system_name: "One API",
                quota_per_unit: 500000,
                display_in_currency: true,
              },
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: Jupyter server (GET /api/status)",
        answers: { "/api/status": { body: { started: "2025-01-01T00:00:00Z", connections: 0, kernels: 0 } } },
      },
    ],
  },
};

export default entry;
