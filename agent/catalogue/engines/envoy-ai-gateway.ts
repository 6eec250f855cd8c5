import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "envoy-ai-gateway",
  name: "Envoy AI Gateway",
  kind: "gateway",
  ports: [1975],
  names: ["aigw"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^Envoy AI Gateway$" } },
      weight: "identity",
      says: "its models are owned by Envoy AI Gateway",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  sources: ["https://aigateway.envoyproxy.io/docs/"],
  fixtures: {
    positive: [
      {
        source: "code: envoyproxy/ai-gateway v1.1.0 internal/controller/gateway.go (defaultOwnedBy)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                { id: "gpt-4o-mini", object: "model", created: 1735689600, owned_by: "Envoy AI Gateway" },
              ],
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: Envoy in front of another API",
        answers: {
          "/": { status: 404, headers: { server: "envoy" } },
          "/v1/models": { status: 404, headers: { server: "envoy" } },
        },
      },
    ],
  },
};

export default entry;
