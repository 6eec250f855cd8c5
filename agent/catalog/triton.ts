import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "triton",
  name: "NVIDIA Triton Inference Server",
  kind: "inference-engine",
  ports: [8000, 8001, 8002],
  names: ["tritonserver"],
  libraries: ["/libtritonserver\\.so"],
  traits: [
    {
      path: "/v2",
      json: { name: { matches: "^triton$" }, extensions: { is: "array" } },
      weight: "identity",
      says: "its server metadata names triton",
    },
  ],
  version: [{ path: "/v2", at: "version" }],
  sources: ["https://docs.nvidia.com/deeplearning/triton-inference-server/"],
  fixtures: {
    positive: [
      {
        source: "documented: triton-inference-server/server docs/protocol (KServe v2 metadata)",
        answers: {
          "/v2": {
            body: {
              name: "triton",
              version: "2.56.0",
              extensions: ["classification", "sequence", "model_repository"],
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: OpenVINO Model Server, the same protocol",
        answers: { "/v2": { body: { name: "OpenVINO Model Server", version: "2025.2", extensions: [] } } },
      },
    ],
  },
};

export default entry;
