import type { CatalogEntry } from "../entry.ts";

/**
 * KServe's model server. This entry also stands for other servers that use the KServe v2 protocol and are not
 * in the catalogue.
 */
const entry: CatalogEntry = {
  id: "kserve",
  name: "KServe v2 inference server",
  kind: "inference-engine",
  ports: [8080, 8081],
  names: [],
  runsOn: ["python"],
  traits: [
    {
      path: "/v2",
      json: { name: { matches: "^kserve$" }, extensions: { is: "array" } },
      weight: "identity",
      says: "its server metadata names kserve",
    },
  ],
  version: [{ path: "/v2", at: "version" }],
  sources: ["https://github.com/kserve/kserve", "https://github.com/kserve/open-inference-protocol"],
  fixtures: {
    positive: [
      {
        source: "code: kserve 0.21.0 of PyPI, kserve/protocol/dataplane.py (metadata)",
        answers: {
          "/v2": {
            body: { name: "kserve", version: "0.21.0", extensions: ["model_repository_extension"] },
          },
        },
      },
    ],
    negative: [
      {
        source: "recorded from MLServer 1.7.1, the same protocol",
        answers: { "/v2": { body: { name: "mlserver", version: "1.7.1", extensions: [] } } },
      },
      {
        source: "made up: another server that returns metadata",
        answers: { "/v2": { body: { name: "orders", version: "1.7.1", extensions: [] } } },
      },
    ],
  },
};

export default entry;
